"""Keyed fingerprints: the only form in which a value shows in a diff, record, audit line, status, metric or page.

Keys come by HKDF-SHA256 (RFC 5869) from the installation key, per purpose and per (Application uid, object, path), so that equal
values cannot be linked across tenants or fields. A fingerprint is HMAC-SHA256 cut to 128 bits; people are shown 48. A Secret and
an equal plain scalar give the same fingerprint. A bare hash never leaves the process: a weak password can be guessed from one.
"""

from __future__ import annotations

import hmac
from typing import NewType

from agent.values.dataclass import dataclass
from agent.values.reveal import reveal
from agent.values.secret import Sealed, Secret, encode
from agent.values.tree import Path, Tree, format_path

Fingerprint = NewType("Fingerprint", str)
"""32 hex digits (128 bits)."""

_SALT = b"signet fingerprint v1"


def shown(fingerprint: Fingerprint) -> str:
    """The 48 bits that people are shown."""
    return f"fp:{fingerprint[:12]}"


def _framed(*parts: str) -> bytes:
    encoded = [part.encode("utf-8", "surrogateescape") for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)


@dataclass(frozen=True, slots=True)
class Fingerprinter:
    """Fingerprints for one purpose under one installation key.

    `version` names the key in the keyring that this was derived from, so that records survive a rotation of that key.
    """

    _prk: bytes
    purpose: str
    version: str

    @classmethod
    def derive(cls, installation_key: Secret, purpose: str, version: str = "1") -> Fingerprinter:
        """Extract from the installation key (32 random bytes or more)."""
        key = reveal(installation_key)
        if not isinstance(key, bytes) or len(key) < 32:
            raise ValueError("an installation key is at least 32 bytes")
        return cls(hmac.digest(_SALT, key, "sha256"), purpose, version)

    def __repr__(self) -> str:
        return f"Fingerprinter({self.purpose!r}, version={self.version!r})"

    def _key(self, *context: str) -> bytes:
        return hmac.digest(self._prk, _framed(self.purpose, *context) + b"\x01", "sha256")

    def leaf(self, application: str, object_key: str, path: Path, value: object) -> Fingerprint:
        """Of one scalar at `path` of an object (`ObjectId.key`) of an Application (its uid)."""
        key = self._key("leaf", application, object_key, format_path(path))
        return Fingerprint(hmac.digest(key, _encode_leaf(value), "sha256").hex()[:32])

    def tree(self, application: str, object_key: str, tree: Tree) -> Fingerprint:
        """Of a whole tree: maps by sorted key, lists in order, leaves with their types."""
        return Fingerprint(
            hmac.digest(self._key("tree", application, object_key), canonical(tree), "sha256").hex()[:32]
        )

    def salt(self, application: str, place: str, value: Secret) -> bytes:
        """16 bytes for a slow hash of a value at a place of an Application: the same ones each time, and they tell nothing of it."""
        return hmac.digest(self._key("salt", application, place), _encode_leaf(value), "sha256")[:16]

    def text(self, *context: str) -> Fingerprint:
        """A MAC over clear text parts, framed so that no two lists of parts collide."""
        return Fingerprint(hmac.digest(self._key("text"), _framed(*context), "sha256").hex()[:32])


def _encode_leaf(value: object) -> bytes:
    if value is None:
        return b"n"
    if isinstance(value, Sealed):
        return b"e" + value.id.encode()
    if isinstance(value, Secret):
        return encode(reveal(value))
    if isinstance(value, str | bytes | int | float):
        return encode(value)
    raise TypeError("not a leaf")


def canonical(tree: Tree) -> bytes:
    """Injective bytes of a tree. Confidential wherever the tree holds a Secret: feed it to a keyed hash, never to an output."""
    parts: list[bytes] = []
    _canonical(tree, parts)
    return b"".join(parts)


def _canonical(tree: Tree, parts: list[bytes]) -> None:
    if isinstance(tree, dict):
        parts.append(b"{%d:" % len(tree))
        for key in sorted(tree):
            name = key.encode("utf-8", "surrogateescape")
            parts.append(b"%d:" % len(name) + name)
            _canonical(tree[key], parts)
    elif isinstance(tree, list):
        parts.append(b"[%d:" % len(tree))
        for item in tree:
            _canonical(item, parts)
    else:
        data = _encode_leaf(tree)
        parts.append(b"%d:" % len(data) + data)
