"""age identities that a person must be asked for: with a passphrase, or of a plugin.

They are tried after those that need no question, and only for a file that they may open: an ssh key under a passphrase names its stanzas, so no one is
asked in vain. What was asked once is kept, a refusal too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from agent.adapters.keys.credential import key_bytes
from agent.values.errors import AgentError, DataKeyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.adapters.keys.age_format import AgeFile, Stanza
    from agent.adapters.keys.age_ssh import PrivateKeyFile, SshIdentity
    from agent.values.secret import Secret

_T = TypeVar("_T")


class Person(Protocol):
    """The person at the terminal. Questions and messages hold text of files and plugins: it must be escaped where it is shown."""

    def ask(self, question: str, *, hidden: bool = True, keep_as: str = "") -> Secret:
        """A line of text. Raises DataKeyError where no one can be asked, or no one answers.

        With `keep_as`, a name that reveals nothing, the answer may be kept beyond this run, and one that was kept be given.
        """
        ...

    def forget(self, keep_as: str) -> None:
        """The answer was wrong; an empty name was kept nowhere."""
        ...

    def show(self, message: str) -> None: ...


class Identity(Protocol):
    """A private key that is available. `recipient` is empty where it has none."""

    @property
    def recipient(self) -> str: ...

    def unwrap(self, stanza: Stanza) -> bytes | None:
        """The file key; None of a stanza for another recipient. Raises DataKeyError for one that breaks its type's format."""
        ...


class Asking(Protocol):
    """Identities behind a question."""

    def open(self, file: AgeFile) -> bytes | None:
        """The plaintext; None where the file is for other recipients. Raises DataKeyError, whose fact `source` is the identity's place."""
        ...


class LockedSshKey:
    """An ssh private key under a passphrase."""

    def __init__(self, private: PrivateKeyFile, person: Person, *, source: str) -> None:
        self._private = private
        self._source = source
        self._identity = _Once(lambda: self._unlock(person))

    def open(self, file: AgeFile) -> bytes | None:
        if not any(self._private.may_open(stanza) for stanza in file.stanzas):
            return None
        return file.open_with([self._identity.get()])

    def _unlock(self, person: Person) -> SshIdentity:
        passphrase = _ask_passphrase(person, self._source)
        try:
            return self._private.unlock(passphrase)
        except ValueError:
            raise DataKeyError("the passphrase is wrong, or the ssh key is damaged", source=self._source) from None


class LockedFile:
    """An identity file under a passphrase; `parse` makes identities of its plaintext."""

    def __init__(self, file: AgeFile, parse: Callable[[bytes], Asking], person: Person, *, source: str) -> None:
        self._file = file
        self._source = source
        self._keys = _Once(lambda: parse(self._decrypt(person)))

    def open(self, file: AgeFile) -> bytes | None:
        return self._keys.get().open(file)

    def _decrypt(self, person: Person) -> bytes:
        from agent.adapters.keys.age_scrypt import PassphraseIdentity

        passphrase = _ask_passphrase(person, self._source, keep_as=self._keep_as)
        try:
            plaintext = self._file.open_with([PassphraseIdentity(passphrase)])
        except DataKeyError:
            raise DataKeyError("the passphrase-protected identity file is damaged", source=self._source) from None
        if plaintext is None:
            person.forget(self._keep_as)
            raise DataKeyError("the passphrase is wrong", source=self._source)
        return plaintext

    @property
    def _keep_as(self) -> str:
        """The name under which sops keeps the passphrase: of the file's content."""
        import base64
        import hashlib

        return f"SopsAge{base64.b32encode(hashlib.sha256(self._file.data).digest()[:25]).decode()}"


def _ask_passphrase(person: Person, source: str, *, keep_as: str = "") -> bytes:
    try:
        passphrase = key_bytes(person.ask(f"Passphrase of {source}:", keep_as=keep_as))
    except DataKeyError as error:
        raise error.with_facts(source=source) from None
    if not passphrase:
        person.forget(keep_as)
        raise DataKeyError("no passphrase was given", source=source)
    return passphrase


class _Once(Generic[_T]):
    """What is asked for once: its error is kept too."""

    def __init__(self, make: Callable[[], _T]) -> None:
        self._make = make
        self._made: _T | None = None
        self._error: AgentError | None = None

    def get(self) -> _T:
        if self._error is not None:
            raise self._error.copy()
        if self._made is None:
            try:
                self._made = self._make()
            except AgentError as error:
                self._error = error
                raise
        return self._made
