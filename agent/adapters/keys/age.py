"""age: data keys for X25519, hybrid post-quantum, ssh, tag and plugin recipients, and every kind of identity that opens them.

Private keys stay in memory. The file format, the stanzas of each kind and what has to be asked for are modules of their own; those that
few keys need are loaded when one is met.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, LiteralString

from agent.adapters.keys import age_format, age_x25519
from agent.adapters.keys.credential import data_key_bytes, key_bytes, key_text
from agent.sops.format.keys import AgeKey, AgeRecipient
from agent.values.dataclass import dataclass, field
from agent.values.errors import AgentError, ConfigError, DataKeyError, LimitError, RecipientError
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.adapters.keys.age_format import AgeFile, Stanza
    from agent.adapters.keys.age_identities import Asking, Identity, LockedFile, Person
    from agent.sops.format.keys import Recipient, WrappedKey


@dataclass(frozen=True, slots=True)
class AgeKeys:
    """Available identities, then those that a person must be asked for; `passed_over` counts those for which no one can be asked.

    Files with more than `stanzas` recipients are not tried, and none once `is_late` says so.
    """

    identities: tuple[Identity, ...] = field(default=(), repr=False)
    asking: tuple[Asking, ...] = field(default=(), repr=False)
    passed_over: int = 0
    stanzas: int = age_format.MOST_STANZAS
    is_late: Callable[[], bool] = field(default=age_format.never, repr=False, compare=False)

    @classmethod
    def parse(
        cls, text: Secret, *, source: str, person: Person | None = None, public: str = "", most: int | None = None
    ) -> AgeKeys:
        """The identities of a file as age-keygen writes it, also under a passphrase, or an ssh private key.

        Several identities may stand on a line. `person` is asked for passphrases, and by plugins; where there is none, plugins' identities are passed over. `public` is the
        text of the `.pub` file of an ssh key. Raises ConfigError with source and line, LimitError for more than `most` identities.
        """
        data = key_bytes(text)
        if age_format.is_age_file(data):
            return cls(asking=(_locked_file(data, source, person),))
        if b"-----BEGIN " in data and b"PRIVATE KEY-----" in data:
            if most == 0:
                raise _too_many(source)
            return _ssh_key(data, public, source, person)
        return _identity_lines(key_text(text), source, person, most)

    @property
    def recipients(self) -> tuple[str, ...]:
        """Of the available identities."""
        return tuple(identity.recipient for identity in self.identities)

    def merge(self, *others: AgeKeys) -> AgeKeys:
        """All identities of these, the same one once."""
        every = (self, *others)
        distinct = {identity.recipient or id(identity): identity for keys in every for identity in keys.identities}
        return AgeKeys(
            tuple(distinct.values()),
            tuple(each for keys in every for each in keys.asking),
            sum(keys.passed_over for keys in every),
            self.stanzas,
            self.is_late,
        )

    def unwrap(self, key: WrappedKey) -> Secret:
        """By any of the identities. Raises DataKeyError, which distinguishes a damaged key from one for another recipient."""
        if not isinstance(key, AgeKey):
            raise DataKeyError("not an age key")
        data_key = self.decrypt(key.enc.encode("utf-8", "surrogateescape"), armored=True)
        if data_key is None:
            raise self._no_match(key)
        return Secret(data_key, f"data key by age {key.recipient}")

    def decrypt(self, data: bytes, *, armored: bool) -> bytes | None:
        """The plaintext of an age file; None where no identity matches.

        Raises DataKeyError: a message of `age_format` for a file that is damaged, or why an identity cannot be asked for.
        """
        file = age_format.parse(age_format.unarmor(data) if armored else data, most=self.stanzas)
        return self.open(file)

    def open(self, file: AgeFile) -> bytes | None:
        """As `decrypt`."""
        if len(file.stanzas) > 1 and any(stanza.type == "scrypt" for stanza in file.stanzas):
            raise age_format.malformed()
        plaintext = file.open_with(self.identities, is_late=self.is_late)
        if plaintext is None and self.asking:
            return self._ask(file)
        return plaintext

    def _ask(self, file: AgeFile) -> bytes | None:
        from agent.adapters.keys.age_identities import LockedFile

        problems: list[AgentError] = []
        # Files under a passphrase last: any file may be for them.
        for each in sorted(self.asking, key=lambda each: isinstance(each, LockedFile)):
            try:
                plaintext = each.open(file)
            except AgentError as error:
                problems.append(error)
            else:
                if plaintext is not None:
                    return plaintext
        if problems:
            raise problems[0]
        return None

    def _no_match(self, key: AgeKey) -> DataKeyError:
        if key.recipient.split()[:2] in [recipient.split() for recipient in self.recipients]:
            return DataKeyError("the identity is available, but the wrapped key is damaged or was made for another one")
        if self.passed_over:
            return DataKeyError(
                "only age identities that need a plugin are available, and there is no terminal to ask at"
            )
        if not self.identities and not self.asking:
            return DataKeyError("no age identity is available")
        return DataKeyError("no matching private key: none of the age identities belongs to this recipient")

    def wrap(self, recipient: Recipient, data_key: Secret, *, created_at: str, person: Person | None = None) -> AgeKey:
        """For a recipient of any kind; age keeps no time. Raises RecipientError, DataKeyError."""
        del created_at
        if not isinstance(recipient, AgeRecipient):
            raise DataKeyError("not an age recipient")
        plaintext = data_key_bytes(data_key)
        try:
            return AgeKey(recipient.recipient, age_format.armor(_encrypt(recipient.recipient, plaintext, person)))
        except ValueError:
            raise RecipientError(
                "not an age recipient",
                hint="it is age1…, as `agent keygen` prints it, or an ssh-ed25519 or ssh-rsa public key",
                recipient=recipient.recipient,
            ) from None


def generate(*, hybrid: bool = False) -> tuple[str, Secret]:
    """A new identity: its recipient and its secret text."""
    if hybrid:
        from agent.adapters.keys import age_hybrid

        recipient, text = age_hybrid.generate()
    else:
        recipient, text = age_x25519.generate()
    return recipient, Secret(text, "age identity")


def _encrypt(recipient: str, plaintext: bytes, person: Person | None) -> bytes:
    """Raises ValueError for what is no recipient, DataKeyError."""
    file_key, nonce = os.urandom(age_format.FILE_KEY_SIZE), os.urandom(16)

    def file(stanza: Stanza) -> bytes:
        return age_format.write([stanza], file_key, nonce, plaintext)

    if recipient.startswith("age1pq1"):
        from agent.adapters.keys.age_hybrid import HybridRecipient

        return file(HybridRecipient.parse(recipient).wrap(file_key))
    if recipient.startswith("ssh-"):
        from agent.adapters.keys.age_ssh import SshRecipient

        return file(SshRecipient.parse(recipient).wrap(file_key))
    if recipient.startswith("age1") and recipient.count("1") > 1:
        from agent.adapters.keys import age_plugin

        return age_plugin.encrypt(recipient, plaintext, person)
    return file(age_x25519.X25519Recipient.parse(recipient).wrap(file_key))


def _locked_file(data: bytes, source: str, person: Person | None) -> LockedFile:
    from agent.adapters.keys.age_identities import LockedFile

    if person is None:
        raise ConfigError(
            "the identity file has a passphrase, and there is no terminal to ask for it",
            hint="decrypt it to a file on tmpfs and use that",
            file=source,
        )
    try:
        file = age_format.parse(age_format.unarmor(data) if data.startswith(b"-") else data)
    except DataKeyError:
        raise ConfigError("the passphrase-protected identity file is damaged", file=source) from None
    return LockedFile(
        file, lambda text: AgeKeys.parse(Secret(text, source), source=source, person=person), person, source=source
    )


def _ssh_key(data: bytes, public: str, source: str, person: Person | None) -> AgeKeys:
    from agent.adapters.keys.age_ssh import PrivateKeyFile

    try:
        private = PrivateKeyFile.parse(data, public=public)
        if not private.locked:
            return AgeKeys((private.unlock(None),))
    except ValueError:
        raise ConfigError(
            "not an ssh private key that age supports",
            hint="it supports ssh-ed25519, and ssh-rsa from 2048 bits",
            file=source,
        ) from None
    if person is None:
        raise ConfigError(
            "the ssh private key has a passphrase, and there is no terminal to ask for it",
            hint="ssh-keygen -p removes the passphrase from a copy of it",
            file=source,
        )
    from agent.adapters.keys.age_identities import LockedSshKey

    return AgeKeys(asking=(LockedSshKey(private, person, source=source),))


def _identity_lines(content: str, source: str, person: Person | None, most: int | None) -> AgeKeys:
    identities: list[Identity] = []
    asking: list[Asking] = []
    passed_over = 0
    for count, (number, word) in enumerate(_words(content)):
        if count == most:
            raise _too_many(source).with_facts(line=number)
        try:
            if not word.startswith("AGE-PLUGIN-"):
                identities.append(_identity(word))
            elif person is None:
                passed_over += 1
            else:
                from agent.adapters.keys.age_plugin import PluginIdentity

                asking.append(PluginIdentity(word, person, source=source))
        except ValueError:
            message = _other(word, content, content.splitlines()[number - 1])
            raise ConfigError(message, hint="one AGE-SECRET-KEY-1… a line", file=source, line=number) from None
    return AgeKeys(tuple(identities), tuple(asking), passed_over)


def _other(word: str, content: str, line: str) -> LiteralString:
    """What stands where an identity should, as far as it is known."""
    upper = word.upper()
    known: tuple[tuple[bool, LiteralString], ...] = (
        (
            upper.startswith(("AGE-SECRET-KEY-", "AGE-PLUGIN-")),
            "an age identity that is damaged: a part is missing, or mistyped",
        ),
        (
            "AGE-SECRET-KEY-" in line,
            "an age identity with text around it: it stands alone in its line, without quotes or a name",
        ),
        (word.startswith("age1"), "an age recipient, which is public, and not the identity"),
        (word.startswith(("ssh-", "ecdsa-", "sk-")), "the public half of an ssh key, and not the private one"),
        ("-----BEGIN PGP" in content, "a PGP key, and not an age identity: gpg --import takes it"),
        ("-----BEGIN CERTIFICATE" in content, "a certificate, and not an age identity"),
        (" PUBLIC KEY-----" in content, "a public key, and not an age identity"),
    )
    for applies, message in known:
        if applies:
            return message
    return "not an age identity"


def _too_many(source: str) -> LimitError:
    return LimitError(
        "more private keys than are tried",
        hint="limits.identities in the operator's file is the limit for one Application",
        file=source,
    )


def _words(content: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(content.splitlines(), 1):
        if not line.lstrip().startswith("#"):
            yield from ((number, word) for word in line.split())


def _identity(text: str) -> Identity:
    if text.startswith("AGE-SECRET-KEY-PQ-"):
        from agent.adapters.keys.age_hybrid import HybridIdentity

        return HybridIdentity.parse(text)
    return age_x25519.X25519Identity.parse(text)
