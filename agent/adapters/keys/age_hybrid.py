"""The hybrid post-quantum recipients of age, `age1pq1…`, and their identities, `AGE-SECRET-KEY-PQ-1…`: HPKE with ML-KEM-768 and X25519."""

from __future__ import annotations

import hashlib
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from agent.adapters.keys import age_bech32
from agent.adapters.keys.age_format import Stanza, decode_base64, encode_base64, malformed
from agent.adapters.keys.age_x25519 import WRAPPED_SIZE, exchange
from agent.values.dataclass import dataclass, field

RECIPIENT_PREFIX = "age1pq"
IDENTITY_PREFIX = "AGE-SECRET-KEY-PQ-"
_KIND = "mlkem768x25519"
_INFO = b"age-encryption.org/mlkem768x25519"
_SEED_SIZE = 32
_ENCAPSULATION_KEY_SIZE = 1184
_SHARE_SIZE = 1088 + 32


def suite() -> Suite:
    return Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


@dataclass(frozen=True, slots=True)
class HybridRecipient:
    public: bytes

    @classmethod
    def parse(cls, text: str) -> HybridRecipient:
        """Raises ValueError."""
        return cls(age_bech32.decode_as(RECIPIENT_PREFIX, _ENCAPSULATION_KEY_SIZE + 32, text))

    def wrap(self, file_key: bytes) -> Stanza:
        """Raises ValueError for a public key that is none."""
        lattice = MLKEM768PublicKey.from_public_bytes(self.public[:_ENCAPSULATION_KEY_SIZE])
        curve = X25519PublicKey.from_public_bytes(self.public[_ENCAPSULATION_KEY_SIZE:])
        sealed = suite().encrypt(file_key, MLKEM768X25519PublicKey(lattice, curve), _INFO)
        return Stanza(_KIND, (encode_base64(sealed[:_SHARE_SIZE]),), sealed[_SHARE_SIZE:])

    def __str__(self) -> str:
        return age_bech32.encode(RECIPIENT_PREFIX, self.public)


@dataclass(frozen=True, slots=True)
class HybridIdentity:
    lattice: MLKEM768PrivateKey = field(repr=False)
    curve: X25519PrivateKey = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> HybridIdentity:
        """Raises ValueError."""
        return cls.from_seed(age_bech32.decode_as(IDENTITY_PREFIX, _SEED_SIZE, text))

    @classmethod
    def from_seed(cls, seed: bytes) -> HybridIdentity:
        """The expansion of draft-connolly-cfrg-xwing-kem: 64 bytes of ML-KEM's seed, 32 of X25519's key."""
        expanded = hashlib.shake_256(seed).digest(96)
        lattice = MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
        return cls(lattice, X25519PrivateKey.from_private_bytes(expanded[64:]))

    @property
    def recipient(self) -> str:
        lattice, curve = self.lattice.public_key(), self.curve.public_key()
        return str(HybridRecipient(lattice.public_bytes_raw() + curve.public_bytes_raw()))

    def unwrap(self, stanza: Stanza) -> bytes | None:
        """The file key; None of a stanza for another recipient. Raises DataKeyError MALFORMED."""
        if stanza.type != _KIND:
            return None
        if len(stanza.arguments) != 1:
            raise malformed()
        share = decode_base64(stanza.arguments[0])
        if len(share) != _SHARE_SIZE or len(stanza.body) != WRAPPED_SIZE:
            raise malformed()
        exchange(self.curve, share[-32:])  # refuses a share of low order, which HPKE reports as another's
        try:
            return suite().decrypt(share + stanza.body, MLKEM768X25519PrivateKey(self.lattice, self.curve), _INFO)
        except InvalidTag:
            return None
        except ValueError:
            raise malformed() from None


def generate() -> tuple[str, str]:
    """A new identity: its recipient and its text, which is the secret."""
    seed = secrets.token_bytes(_SEED_SIZE)
    return HybridIdentity.from_seed(seed).recipient, age_bech32.encode(IDENTITY_PREFIX, seed)
