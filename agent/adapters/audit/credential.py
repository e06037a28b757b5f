"""The key that signs checkpoints and anchors: Ed25519, RFC 8032. Its seed is a Secret of the agent's namespace."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from agent.values.errors import AuditError
from agent.values.reveal import reveal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.values.secret import Secret

_BEGIN: Final = bytes.fromhex("302a300506032b6570032100")
"""Of an Ed25519 key as SubjectPublicKeyInfo (RFC 8410): its 32 bytes follow."""


class Signer:
    """Signs for one agent."""

    __slots__ = ("_key", "key_id", "public_pem")

    def __init__(self, seed: Secret) -> None:
        """`seed`: 32 random bytes. Raises AuditError."""
        raw = reveal(seed)
        if not isinstance(raw, bytes) or len(raw) != 32:
            raise AuditError("the audit key is not 32 bytes", hint="delete its Secret: the agent makes a new one")
        self._key: Ed25519PrivateKey = Ed25519PrivateKey.from_private_bytes(raw)
        public = self._key.public_key()
        self.key_id: str = key_id(public)
        text = base64.b64encode(_BEGIN + public.public_bytes_raw()).decode()
        self.public_pem: str = f"-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n"

    def __repr__(self) -> str:
        return f"Signer({self.key_id})"

    def sign(self, data: bytes) -> str:
        """Hex."""
        return self._key.sign(data).hex()


def key_id(key: Ed25519PublicKey) -> str:
    """16 hex digits that name a public key."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def public_keys(pem: str) -> dict[str, Ed25519PublicKey]:
    """The public keys of one or several PEM blocks, by id. Raises AuditError."""
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415  # an agent that signs needs none of it
        load_pem_public_key,
    )

    end = "-----END PUBLIC KEY-----"
    keys: dict[str, Ed25519PublicKey] = {}
    for block in pem.split(end)[:-1]:
        try:
            key = load_pem_public_key((block.strip() + "\n" + end + "\n").encode())
        except (ValueError, TypeError):
            raise AuditError("not a public key in PEM") from None
        if not isinstance(key, Ed25519PublicKey):
            raise AuditError("the public key is not Ed25519")
        keys[key_id(key)] = key
    if not keys:
        raise AuditError("no public key in PEM", hint="it begins with -----BEGIN PUBLIC KEY-----")
    return keys


def is_signed(keys: Mapping[str, Ed25519PublicKey], name: str, signature: str, data: bytes) -> bool:
    """Whether the key `name` signed `data`."""
    key = keys.get(name)
    if key is None:
        return False
    try:
        key.verify(bytes.fromhex(signature), data)
    except (InvalidSignature, ValueError):
        return False
    return True
