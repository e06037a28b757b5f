"""What a Git server is shown, and how it reaches git: through a pipe that git's children inherit, or a file in memory.

An argument list and an environment are readable in the process table, a file outlives a kill. So the answer to git's credential
protocol (gitcredentials(7)) waits in an anonymous pipe, and a helper of one line copies it from there when the server asks. A deploy key
waits in a file without a name, which is gone with the last process that has it open. What GitHub is shown for a token is made here too.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.adapters.git import addresses
from agent.engine.credentials import GitCredential, GitHubApp
from agent.values.errors import SourceError
from agent.values.reveal import reveal
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from agent.values.fingerprint import Fingerprinter

_LARGEST: Final = 16 * 1024
"""Bytes; a pipe takes 64 KiB without a reader."""


@dataclass(frozen=True, slots=True)
class Answers:
    """`configuration` makes git show the credentials, if it inherits the `descriptors`."""

    configuration: dict[str, str]
    descriptors: tuple[int, ...]


@contextmanager
def offered(credentials: Mapping[str, GitCredential | None]) -> Generator[Answers]:
    """The answers for origins that have one, as the read ends of pipes. Raises SourceError."""
    answers = {origin: answer for origin, each in credentials.items() if (answer := _answer(each)) is not None}
    with ExitStack() as stack:
        readers = {origin: stack.enter_context(_pipe(answer)) for origin, answer in answers.items()}
        configuration = {f"credential.{origin}.helper": _helper(reader) for origin, reader in readers.items()}
        yield Answers(configuration, tuple(readers.values()))


@contextmanager
def _pipe(content: bytes) -> Generator[int]:
    reader, writer = os.pipe()
    try:
        try:
            os.write(writer, content)
        finally:
            os.close(writer)
        yield reader
    finally:
        os.close(reader)


def _helper(descriptor: int) -> str:
    """Answers `get` from this descriptor, and forgets."""
    return f'!f() {{ test "$1" != get || cat /dev/fd/{descriptor}; }}; f'


@contextmanager
def in_memory(name: str, content: bytes) -> Generator[int]:
    """The descriptor of an anonymous file in memory, which this user alone may open through /proc; `name` shows there."""
    descriptor = os.memfd_create(name)
    try:
        os.fchmod(descriptor, 0o600)
        with open(descriptor, "wb", closefd=False) as stream:
            stream.write(content)
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def key_file(identity: Secret) -> Generator[int]:
    """The same of a deploy key, as OpenSSH reads it."""
    # It loads every kind of key.
    from agent.adapters.git import deploy_keys  # noqa: PLC0415

    with in_memory("identity", deploy_keys.openssh(_bytes(identity))) as descriptor:
        yield descriptor


def mirror_name(fingerprinter: Fingerprinter, url: str, credential: GitCredential | None) -> str:
    """The folder of the mirror: another URL, credential or authority is another mirror, so knowing a URL is not enough to read."""
    if credential is None:
        return fingerprinter.tree("git", url, None)
    if credential.identity is not None:
        return fingerprinter.tree("git", url, {"identity": credential.identity, "known_hosts": credential.known_hosts})
    if credential.app is not None:
        # not by the token: each would be another mirror
        app = credential.app
        shown = {"app": app.number, "installation": app.installation, "key": app.key, "tokens": app.tokens}
        return fingerprinter.tree("git", url, {**shown, "authority": credential.ca_pem})
    return fingerprinter.tree(
        "git",
        url,
        {"username": credential.username, "password": credential.password, "authority": credential.ca_pem},
    )


def _answer(credential: GitCredential | None) -> bytes | None:
    if credential is None or (credential.password is None and not credential.username):
        return None
    password = b"" if credential.password is None else _bytes(credential.password)
    username = credential.username.encode("utf-8", "surrogateescape")
    if len(username) + len(password) > _LARGEST or any(
        bad in part for part in (username, password) for bad in (b"\n", b"\r", b"\0")
    ):
        raise SourceError(
            "the credential holds a line break or is too long",
            hint="store user name and password without a final newline",
            field="spec.source.credentials",
        )
    return b"username=%s\npassword=%s\n" % (username, password)


def of_secret(data: Mapping[str, Secret], url: str) -> GitCredential:
    """The credential for a repository that a Secret holds. Raises SourceError. May take seconds.

    Its keys: `username`, `password` and `ca.crt`, or those of a GitHub App and `ca.crt`; over SSH `identity`, `known_hosts`, and `password`
    for the passphrase of `identity`.
    """
    from agent.adapters.git import deploy_keys, github_apps  # noqa: PLC0415  # as above

    if not addresses.is_ssh(url):
        if any(key in data for key in github_apps.KEYS):
            app = _app(data)
            github_apps.check_host(app.tokens, url)
            return GitCredential("", None, _clear(data, "ca.crt"), app=app)
        return GitCredential(_clear(data, "username"), data.get("password"), _clear(data, "ca.crt"))
    if "identity" not in data:
        raise SourceError(
            "the Secret with the credentials holds no deploy key",
            hint="Git over SSH needs the keys identity, a private key, and known_hosts",
            field="identity",
        )
    known_hosts = _clear(data, "known_hosts")
    if not any(line.strip() and not line.lstrip().startswith("#") for line in known_hosts.splitlines()):
        raise SourceError(
            "the Secret with the credentials holds no host key",
            hint="agent known-hosts HOST prints what belongs into known_hosts",
            field="known_hosts",
        )
    identity, passphrase = data["identity"], data.get("password")
    der = deploy_keys.unlock(_bytes(identity), None if passphrase is None else _bytes(passphrase))
    return GitCredential("", None, identity=Secret(der, *identity.labels), known_hosts=known_hosts)


def _app(data: Mapping[str, Secret]) -> GitHubApp:
    from agent.adapters.git import github_apps  # noqa: PLC0415  # as above

    number, installation, private_key, base = github_apps.KEYS
    numbers = [github_apps.number(_clear(data, key), key) for key in (number, installation)]
    tokens = github_apps.tokens_url(_clear(data, base), numbers[1])
    key = data.get(private_key)
    der = github_apps.unlock(b"" if key is None else _bytes(key))
    return GitHubApp(numbers[0], numbers[1], Secret(der, private_key), tokens)


def authorization(app: GitHubApp, now: float) -> str:
    """The header by which an App asks for a token, at `now` of Unix time. For a request, and nothing else."""
    from agent.adapters.git import github_apps  # noqa: PLC0415  # as above

    return f"Bearer {github_apps.assertion(_bytes(app.key), app.number, now)}"


def of_proxy(user: str, password: str) -> GitCredential:
    """What the operator's proxy is asked with."""
    return GitCredential(user, Secret(password, "proxy"))


def handed_out(credential: GitCredential, token: str) -> GitCredential:
    """What Git is asked with: a token that was handed out for the App of a credential."""
    return GitCredential("x-access-token", Secret(token, "github#token"), credential.ca_pem)


def _bytes(secret: Secret) -> bytes:
    plain = reveal(secret)
    return plain if isinstance(plain, bytes) else str(plain).encode("utf-8", "surrogateescape")


def _clear(data: Mapping[str, Secret], key: str) -> str:
    if key not in data:
        return ""
    try:
        return _bytes(data[key]).decode()
    except UnicodeDecodeError:
        raise SourceError("a key of the Secret with the credentials is not text", field=key) from None
