"""The MAC of a file: SHA-512 over every value in file order, encrypted with the data key and bound to `lastmodified`.

It is what makes a file one piece: without it, values could be removed, reordered or swapped between files of one data key, and clear
values edited. It is verified before anything of a file is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.hashes import SHA512, Hash

from agent.sops.format import cipher
from agent.values.errors import MacMismatchError, SopsError

if TYPE_CHECKING:
    from agent.sops.format.cipher import Cipher
    from agent.sops.format.metadata import Metadata

_ONLY_ENCRYPTED: Final = bytes.fromhex("8a3fd2ad54ce66527b1034f3d147be0b0b975b3bf44f72c6fdadec8176f27d69")
"""SHA-256 of `sops`. Seeds the hash where clear values are left out, so that the two ways never give the same MAC."""

_AT_ONCE: Final = 256
"""Values that are hashed in one call: a call takes longer than to hash a short one."""


class Mac:
    """The running hash over the values of all documents.

    It is that of `cryptography`, which has opened the values; `hashlib` would load OpenSSL a second time.
    """

    def __init__(self, *, only_encrypted: bool) -> None:
        self._only_encrypted = only_encrypted
        self._hash = Hash(SHA512())
        self._waiting = [_ONLY_ENCRYPTED] if only_encrypted else []

    def add(self, value: bytes, *, encrypted: bool) -> None:
        """The next value's bytes (`cipher.plain_bytes`). Comments and nulls are not fed."""
        if encrypted or not self._only_encrypted:
            self._waiting.append(value)
            if len(self._waiting) == _AT_ONCE:
                self._feed()

    def _feed(self) -> None:
        self._hash.update(b"".join(self._waiting))
        self._waiting.clear()

    def text(self) -> str:
        """Uppercase hex."""
        self._feed()
        return self._hash.copy().finalize().hex().upper()


def verify(computed: str, metadata: Metadata, opener: Cipher, *, file: str) -> None:
    """Raises MacMismatchError where the file's MAC is missing, does not open, or is not the one computed."""
    stored = cipher.parse(metadata.mac)
    if not metadata.mac:
        raise MacMismatchError("the file has no MAC", hint="restore it from the commit that encrypted it", file=file)
    try:
        opened = None if stored is None else opener.open(stored, metadata.lastmodified)
    except SopsError:
        opened = None
    if not isinstance(opened, str):
        raise MacMismatchError(
            "the file's MAC does not open", hint="mac, lastmodified or the keys were edited by hand", file=file
        )
    # By their hashes, since comparing takes as long as two texts agree.
    if _hash(opened) != _hash(computed):
        raise MacMismatchError(
            "the file was altered after it was encrypted",
            hint="restore it, and change it with `agent edit` or sops",
            file=file,
        )


def encrypt(computed: str, encrypter: Cipher, *, lastmodified: str, iv: bytes) -> str:
    """The MAC as the metadata holds it."""
    return encrypter.encrypt(computed, lastmodified, iv)


def _hash(text: str) -> bytes:
    hasher = Hash(SHA512())
    hasher.update(text.encode("utf-8", "surrogateescape"))
    return hasher.finalize()
