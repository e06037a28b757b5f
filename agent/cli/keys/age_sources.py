"""The user's age identities, found where sops finds them, and only once a data key of age has to be opened.

SOPS_AGE_KEY, SOPS_AGE_KEY_FILE, SOPS_AGE_KEY_CMD and ~/.config/sops/age/keys.txt (XDG_CONFIG_HOME), all of them; for a data key of an
ssh key also SOPS_AGE_SSH_PRIVATE_KEY_FILE, SOPS_AGE_SSH_PRIVATE_KEY_CMD, ~/.ssh/id_ed25519 and ~/.ssh/id_rsa. The commands get
SOPS_AGE_RECIPIENT. Passphrases are asked for at the terminal; where there is none, a key under a passphrase is not used.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from agent.cli import terminal
from agent.sops.format.keys import name_of
from agent.values import system
from agent.values.dataclass import dataclass, field
from agent.values.errors import AgentError, ConfigError, DataKeyError
from agent.values.secret import Secret
from agent.values.text import escape, masked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from io import FileIO

    from agent.adapters.keys.age import AgeKeys
    from agent.adapters.keys.gpg_agent import GpgAgent
    from agent.sops.format.keys import Recipient, WrappedKey

_LARGEST = 1 << 24


@dataclass(frozen=True, slots=True)
class _Found:
    """The identities of some places, and what could not be read of them."""

    keys: AgeKeys = field(repr=False)
    problems: tuple[AgentError, ...]


class UserAgeKeys:
    """The user's identities as MasterKeys. What was read or typed is kept, so that no question is asked twice in a run."""

    def __init__(self) -> None:
        self._parts: dict[str, _Found] = {}

    def unwrap(self, key: WrappedKey) -> Secret:
        """Raises DataKeyError; its fact `unused` has what could not be read, `set` says where an identity would be found."""
        recipient = name_of(key)
        found = self._find(recipient)
        try:
            return found.keys.unwrap(key)
        except DataKeyError as error:
            facts: dict[str, str] = {}
            if found.problems:
                facts["unused"] = "; ".join(str(problem) for problem in found.problems)
            elif not found.keys.identities and not found.keys.asking:
                ssh = "SOPS_AGE_SSH_PRIVATE_KEY_FILE, or make ~/.ssh/id_ed25519"
                facts["set"] = ssh if _is_ssh(recipient) else f"SOPS_AGE_KEY_FILE, or write {_default_file()}"
            raise error.with_facts(**facts) from None

    def wrap(self, recipient: Recipient, data_key: Secret, *, created_at: str) -> WrappedKey:
        """Raises RecipientError, DataKeyError."""
        from agent.adapters.keys.age import AgeKeys

        return AgeKeys().wrap(recipient, data_key, created_at=created_at, person=Terminal())

    def _find(self, recipient: str) -> _Found:
        parts = [
            self._once("files", _files),
            self._once(f"command {recipient}", lambda: _command("SOPS_AGE_KEY_CMD", recipient)),
        ]
        if _is_ssh(recipient):
            parts.append(self._once("ssh files", _ssh_files))
            command = self._once(f"ssh {recipient}", lambda: _command("SOPS_AGE_SSH_PRIVATE_KEY_CMD", recipient))
            parts.append(command)
        first, *others = [part.keys for part in parts]
        return _Found(first.merge(*others), tuple(problem for part in parts for problem in part.problems))

    def _once(self, name: str, sources: Callable[[], Iterable[_Source]]) -> _Found:
        if name not in self._parts:
            self._parts[name] = _read(sources())
        return self._parts[name]


class Terminal:
    """The person at the controlling terminal, who is asked even where standard input is a pipe.

    What may be kept, gpg-agent is asked for first, as sops does.
    """

    def ask(self, question: str, *, hidden: bool = True, keep_as: str = "") -> Secret:
        """Raises DataKeyError where there is no terminal, or the answer is broken off."""
        kept = _gpg_agent().ask(question, keep_as) if keep_as else None
        if kept is not None:
            return kept
        prompt = f"{escape(question)} "
        try:
            with open("/dev/tty", "r+b", buffering=0) as tty:
                if hidden:
                    return Secret(_ask_hidden(prompt), "answer")
                tty.write(prompt.encode())
                return Secret(_line(tty), "answer")
        except (OSError, EOFError):
            raise DataKeyError("a passphrase is needed, and there is no terminal to ask for it") from None

    def forget(self, keep_as: str) -> None:
        if keep_as:
            _gpg_agent().forget(keep_as)

    def show(self, message: str) -> None:
        terminal.note(message)


def _gpg_agent() -> GpgAgent:
    """That of the user, where sops looks for it."""
    from agent.adapters.keys.gpg_agent import GpgAgent

    environment = os.environ
    named = environment.get("GPG_AGENT_INFO", "").partition(":")[0]
    sockets = [named or os.path.join(_home(), ".gnupg/S.gpg-agent")]
    if not named and environment.get("XDG_RUNTIME_DIR"):
        sockets.append(os.path.join(environment["XDG_RUNTIME_DIR"], "gnupg/S.gpg-agent"))
    options = {
        "ttyname": _terminal_name(),
        "ttytype": environment.get("TERM", ""),
        "display": environment.get("DISPLAY", ""),
    }
    return GpgAgent(sockets, {name: value for name, value in options.items() if value})


def _terminal_name() -> str:
    for descriptor in range(3):
        try:
            return os.ttyname(descriptor)
        except OSError:
            continue
    return ""


def _ask_hidden(prompt: str) -> str:
    import getpass
    import warnings

    with warnings.catch_warnings():
        # It would rather echo than fail.
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            return getpass.getpass(prompt)
        except getpass.GetPassWarning:
            raise EOFError from None


def _line(tty: FileIO) -> str:
    return tty.readline(4096).decode("utf-8", "surrogateescape").rstrip("\r\n")


@dataclass(frozen=True, slots=True)
class _Source:
    """A place of identities; `public` is the text of the `.pub` file of an ssh key. `read` raises ConfigError."""

    name: str
    read: Callable[[], bytes | str] = field(repr=False)
    public: str = ""


def _read(sources: Iterable[_Source]) -> _Found:
    from agent.adapters.keys.age import AgeKeys

    found = AgeKeys()
    problems: list[AgentError] = []
    for source in sources:
        try:
            text = Secret(source.read(), source.name)
            keys = AgeKeys.parse(text, source=source.name, person=Terminal(), public=source.public)
            if not keys.identities and not keys.asking:
                problems.append(ConfigError("there is no age identity in it", file=source.name))
            found = found.merge(keys)
        except ConfigError as error:
            problems.append(error)
    return _Found(found, tuple(problems))


def _files() -> Iterator[_Source]:
    if "SOPS_AGE_KEY" in os.environ:
        yield _Source("SOPS_AGE_KEY", lambda: os.environ["SOPS_AGE_KEY"])
    if "SOPS_AGE_KEY_FILE" in os.environ:
        yield _file(os.environ["SOPS_AGE_KEY_FILE"])
    if os.path.exists(_default_file()):
        yield _file(_default_file())


def _ssh_files() -> Iterator[_Source]:
    if "SOPS_AGE_SSH_PRIVATE_KEY_FILE" in os.environ:
        yield _file(os.environ["SOPS_AGE_SSH_PRIVATE_KEY_FILE"])
    for name in ("id_ed25519", "id_rsa"):
        path = os.path.join(_home(), ".ssh", name)
        if os.path.exists(path):
            yield _file(path)


def _file(path: str) -> _Source:
    return _Source(path, lambda: _content(path), _public(f"{path}.pub"))


def _content(path: str) -> bytes:
    if masked(path) != path:
        raise ConfigError("a private key stands where the path of its file belongs", file=path)
    try:
        with open(path, "rb") as stream:
            content = stream.read(_LARGEST + 1)
    except (OSError, ValueError) as error:
        name = path or "an empty name"
        raise ConfigError("the file of a private key cannot be read", file=name, cause=system.cause(error)) from None
    if len(content) > _LARGEST:
        raise ConfigError("the file of a private key is larger than 16 MiB", file=path)
    return content


def _public(path: str) -> str:
    """The line of a public key beside a private one; empty where there is none."""
    try:
        return _content(path).decode().strip()
    except (ConfigError, UnicodeDecodeError):
        return ""


def _command(variable: str, recipient: str) -> Iterator[_Source]:
    command = os.environ.get(variable)
    if command:
        yield _Source(variable, lambda: _output(variable, command, recipient))


def _output(variable: str, command: str, recipient: str) -> bytes:
    import shlex
    import subprocess  # the user's own command

    environment = {**os.environ, "SOPS_AGE_RECIPIENT": recipient}
    try:
        # Standard input may be the file to decrypt.
        return subprocess.run(  # noqa: S603
            shlex.split(command), check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=environment
        ).stdout
    except OSError as error:
        raise ConfigError("the command does not start", file=variable, cause=system.cause(error)) from None
    except (ValueError, IndexError):
        raise ConfigError("the command cannot be read", hint="are all quotes closed?", file=variable) from None
    except subprocess.CalledProcessError as error:
        raise ConfigError("the command failed", file=variable, exit=error.returncode) from None


def _default_file() -> str:
    return os.path.join(os.environ.get("XDG_CONFIG_HOME") or os.path.join(_home(), ".config"), "sops/age/keys.txt")


def _home() -> str:
    return os.path.expanduser("~")


def _is_ssh(recipient: str) -> bool:
    return recipient.startswith("ssh-")
