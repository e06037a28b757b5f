"""What a Git server is shown, and how it reaches git: through a pipe that git's children inherit.

An argument list and an environment are readable in the process table, a file outlives a kill. So the answer to git's credential
protocol (gitcredentials(7)) waits in an anonymous pipe, and a helper of one line copies it from there when the server asks.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from agent.engine.ports import GitCredential
from agent.values.errors import SourceError
from agent.values.reveal import reveal

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from agent.values.fingerprint import Fingerprinter
    from agent.values.secret import Secret

_LARGEST: Final = 16 * 1024
"""Bytes; a pipe takes 64 KiB without a reader."""


@contextmanager
def offered(credential: GitCredential | None) -> Generator[int | None]:
    """The read end of a pipe that holds the answer; None where there is nothing to offer. Raises SourceError."""
    answer = _answer(credential)
    if answer is None:
        yield None
        return
    reader, writer = os.pipe()
    try:
        try:
            os.write(writer, answer)
        finally:
            os.close(writer)
        yield reader
    finally:
        os.close(reader)


def helper(descriptor: int) -> str:
    """The value of `credential.helper` that answers `get` from this descriptor, and forgets."""
    return f'!f() {{ test "$1" != get || cat /dev/fd/{descriptor}; }}; f'


def mirror_name(fingerprinter: Fingerprinter, url: str, credential: GitCredential | None) -> str:
    """The folder of the mirror: another URL, credential or authority is another mirror, so knowing a URL is not enough to read."""
    if credential is None:
        return fingerprinter.tree("git", url, None)
    return fingerprinter.tree(
        "git",
        url,
        {"username": credential.username, "password": credential.password, "authority": credential.ca_pem},
    )


def _answer(credential: GitCredential | None) -> bytes | None:
    if credential is None or (credential.password is None and not credential.username):
        return None
    password = b""
    if credential.password is not None:
        plain = reveal(credential.password)
        password = plain if isinstance(plain, bytes) else str(plain).encode("utf-8", "surrogateescape")
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


def of_secret(data: Mapping[str, Secret]) -> GitCredential:
    """The credential that a Secret's keys `username`, `password` and `ca.crt` hold. Raises SourceError."""
    return GitCredential(_clear(data, "username"), data.get("password"), _clear(data, "ca.crt"))


def _clear(data: Mapping[str, Secret], key: str) -> str:
    if key not in data:
        return ""
    value = reveal(data[key])
    try:
        return value.decode() if isinstance(value, bytes) else str(value)
    except UnicodeDecodeError:
        raise SourceError("a key of the Secret with the credentials is not text", field=key) from None
