"""The X25519 recipients of age, `age1…`, and the identities that open for them, `AGE-SECRET-KEY-1…`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag

from agent.adapters.keys import age_bech32
from agent.adapters.keys.age_format import FILE_KEY_SIZE, Stanza, decode_base64, derive, encode_base64, malformed
from agent.values.dataclass import dataclass, field
from agent.values.primitives import ChaCha20Poly1305, x25519_private, x25519_public

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

RECIPIENT_PREFIX = "age"
IDENTITY_PREFIX = "AGE-SECRET-KEY-"
WRAPPED_SIZE = FILE_KEY_SIZE + 16
_KEY_SIZE = 32
_KIND = "X25519"
_LABEL = b"age-encryption.org/v1/X25519"
_ZERO_NONCE = bytes(12)


@dataclass(frozen=True, slots=True)
class X25519Recipient:
    public: bytes

    @classmethod
    def parse(cls, text: str) -> X25519Recipient:
        """Raises ValueError."""
        return cls(age_bech32.decode_as(RECIPIENT_PREFIX, _KEY_SIZE, text))

    def wrap(self, file_key: bytes) -> Stanza:
        """Raises ValueError for a public key of low order."""
        ephemeral = _new_key()
        share = ephemeral.public_key().public_bytes_raw()
        shared = ephemeral.exchange(x25519_public(self.public))
        key = derive(shared, salt=share + self.public, info=_LABEL)
        return Stanza(_KIND, (encode_base64(share),), seal(key, file_key))

    def __str__(self) -> str:
        return age_bech32.encode(RECIPIENT_PREFIX, self.public)


@dataclass(frozen=True, slots=True)
class X25519Identity:
    public: bytes
    key: X25519PrivateKey = field(repr=False, compare=False)

    @classmethod
    def parse(cls, text: str) -> X25519Identity:
        """Raises ValueError."""
        key = x25519_private(age_bech32.decode_as(IDENTITY_PREFIX, _KEY_SIZE, text))
        return cls(key.public_key().public_bytes_raw(), key)

    @property
    def recipient(self) -> str:
        return str(X25519Recipient(self.public))

    def unwrap(self, stanza: Stanza) -> bytes | None:
        """The file key; None of a stanza for another recipient. Raises DataKeyError MALFORMED."""
        if stanza.type != _KIND:
            return None
        if len(stanza.arguments) != 1:
            raise malformed()
        share = decode_base64(stanza.arguments[0])
        if len(stanza.body) != WRAPPED_SIZE:
            raise malformed()
        key = derive(exchange(self.key, share), salt=share + self.public, info=_LABEL)
        return unseal(key, stanza.body)


def generate() -> tuple[str, str]:
    """A new identity: its recipient and its text, which is the secret."""
    key = _new_key()
    recipient = X25519Recipient(key.public_key().public_bytes_raw())
    return str(recipient), age_bech32.encode(IDENTITY_PREFIX, key.private_bytes_raw())


def _new_key() -> X25519PrivateKey:
    return x25519_private(os.urandom(_KEY_SIZE))


def exchange(private: X25519PrivateKey, share: bytes) -> bytes:
    """The shared secret with a share of a stanza. Raises DataKeyError MALFORMED for one of low order."""
    try:
        return private.exchange(x25519_public(share))
    except ValueError:
        raise malformed() from None


def seal(key: bytes, file_key: bytes) -> bytes:
    """Under a key that is used once."""
    return ChaCha20Poly1305(key).encrypt(_ZERO_NONCE, file_key, None)


def unseal(key: bytes, body: bytes) -> bytes | None:
    """None where the key is another."""
    try:
        return ChaCha20Poly1305(key).decrypt(_ZERO_NONCE, body, None)
    except InvalidTag:
        return None
