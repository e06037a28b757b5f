"""ssh keys as age recipients and identities: ssh-ed25519 and ssh-rsa, as age's package agessh has them.

A stanza names its key by four bytes of a hash, so a private key under a passphrase is opened only for a file that is for it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_ssh_private_key,
    load_ssh_public_key,
)

from agent.adapters.bounds import rsa_keys
from agent.adapters.keys.age_format import Stanza, decode_base64, derive, encode_base64, malformed
from agent.adapters.keys.age_x25519 import WRAPPED_SIZE, exchange, seal, unseal
from agent.values.dataclass import dataclass, field

ED25519 = "ssh-ed25519"
RSA = "ssh-rsa"
_ED25519_LABEL = b"age-encryption.org/v1/ssh-ed25519"
_RSA_LABEL = b"age-encryption.org/v1/ssh-rsa"
_SMALLEST_RSA = 2048
_FIELD = 2**255 - 19
_CURVE_D = -121665 * pow(121666, -1, _FIELD) % _FIELD


@dataclass(frozen=True, slots=True)
class SshRecipient:
    """A public key: its type and its wire form (RFC 4253, section 6.6)."""

    type: str
    wire: bytes
    key: ed25519.Ed25519PublicKey | rsa.RSAPublicKey = field(repr=False, compare=False)

    @classmethod
    def parse(cls, text: str) -> SshRecipient:
        """A line of authorized_keys without options. Raises ValueError."""
        try:
            key = load_ssh_public_key(text.strip().encode())
        except UnsupportedAlgorithm:
            raise ValueError("not a type of ssh key that age supports") from None
        if not isinstance(key, ed25519.Ed25519PublicKey | rsa.RSAPublicKey):
            raise ValueError("not a type of ssh key that age supports")  # noqa: TRY004  # of the text, not of an argument
        return cls.of(key)

    @classmethod
    def of(cls, key: ed25519.Ed25519PublicKey | rsa.RSAPublicKey) -> SshRecipient:
        """Raises ValueError for an RSA key of less than 2048 bits, or more than 8192."""
        if isinstance(key, rsa.RSAPublicKey) and not _SMALLEST_RSA <= key.key_size <= rsa_keys.LARGEST:
            raise ValueError("the RSA key is too small or too large")
        kind, wire = key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).split(b" ")[:2]
        return cls(kind.decode(), base64.b64decode(wire), key)

    @property
    def tag(self) -> str:
        return encode_base64(hashlib.sha256(self.wire).digest()[:4])

    def wrap(self, file_key: bytes) -> Stanza:
        """Raises ValueError for an Ed25519 key that is no point of the curve, or of low order."""
        if isinstance(self.key, rsa.RSAPublicKey):
            return Stanza(RSA, (self.tag,), self.key.encrypt(file_key, _oaep()))
        public = _montgomery(self.key.public_bytes_raw())
        ephemeral = X25519PrivateKey.generate()
        share = ephemeral.public_key().public_bytes_raw()
        shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(public))
        key = derive(self.tweak(shared), salt=share + public, info=_ED25519_LABEL)
        return Stanza(ED25519, (self.tag, encode_base64(share)), seal(key, file_key))

    def tweak(self, shared: bytes) -> bytes:
        """The shared secret, bound to this ssh key."""
        tweak = X25519PrivateKey.from_private_bytes(derive(b"", salt=self.wire, info=_ED25519_LABEL))
        return tweak.exchange(X25519PublicKey.from_public_bytes(shared))

    def __str__(self) -> str:
        return f"{self.type} {base64.b64encode(self.wire).decode()}"


@dataclass(frozen=True, slots=True)
class SshIdentity:
    public: SshRecipient
    key: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey = field(repr=False, compare=False)

    @property
    def recipient(self) -> str:
        return str(self.public)

    def unwrap(self, stanza: Stanza) -> bytes | None:
        """The file key; None of a stanza for another recipient. Raises DataKeyError MALFORMED."""
        if stanza.type != self.public.type:
            return None
        if len(stanza.arguments) != (1 if stanza.type == RSA else 2):
            raise malformed()
        if stanza.arguments[0] != self.public.tag:
            return None
        return (
            self._rsa(stanza, self.key) if isinstance(self.key, rsa.RSAPrivateKey) else self._ed25519(stanza, self.key)
        )

    @staticmethod
    def _rsa(stanza: Stanza, key: rsa.RSAPrivateKey) -> bytes | None:
        try:
            return key.decrypt(stanza.body, _oaep())
        except ValueError:
            return None

    def _ed25519(self, stanza: Stanza, key: ed25519.Ed25519PrivateKey) -> bytes | None:
        share = decode_base64(stanza.arguments[1])
        if len(stanza.body) != WRAPPED_SIZE:
            raise malformed()
        scalar = hashlib.sha512(key.private_bytes_raw()).digest()[:32]
        private = X25519PrivateKey.from_private_bytes(scalar)
        salt = share + private.public_key().public_bytes_raw()
        wrapping = derive(self.public.tweak(exchange(private, share)), salt=salt, info=_ED25519_LABEL)
        return unseal(wrapping, stanza.body)


@dataclass(frozen=True, slots=True)
class PrivateKeyFile:
    """A private key as ssh-keygen or openssl wrote it. Only OpenSSH's own format shows the public key of one under a passphrase."""

    text: bytes = field(repr=False)
    locked: bool
    public: SshRecipient | None

    @classmethod
    def parse(cls, text: bytes, *, public: str = "") -> PrivateKeyFile:
        """`public` is the line of the `.pub` file beside it, for PEM under a passphrase, which names no key. Raises ValueError."""
        if b"-----BEGIN OPENSSH PRIVATE KEY-----" in text:
            cipher, wire = _openssh_head(text)
            line = wire[4 : 4 + int.from_bytes(wire[:4])] + b" " + base64.b64encode(wire)
            return cls(text, cipher != b"none", SshRecipient.parse(line.decode()))
        locked = b"ENCRYPTED" in text
        return cls(text, locked, SshRecipient.parse(public) if locked and public else None)

    def unlock(self, passphrase: bytes | None) -> SshIdentity:
        """Raises ValueError where it does not open."""
        load = load_ssh_private_key if b"-----BEGIN OPENSSH" in self.text else load_pem_private_key
        try:
            # to look for the factors' own factors takes seconds, and many for a large key, with the whole process waiting
            key = load(self.text, passphrase, unsafe_skip_rsa_key_validation=True)
        except (TypeError, ZeroDivisionError, UnsupportedAlgorithm):
            raise ValueError("not a private key that can be read") from None
        if not isinstance(key, ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey):
            raise ValueError("not a type of ssh key that age supports")  # noqa: TRY004  # of the text, not of an argument
        public = SshRecipient.of(key.public_key())
        if isinstance(key, rsa.RSAPrivateKey):
            rsa_keys.check(key)
        return SshIdentity(public, key)

    def may_open(self, stanza: Stanza) -> bool:
        """Whether it is worth a passphrase."""
        if self.public is None:
            return stanza.type == RSA
        return stanza.type == self.public.type and stanza.arguments[:1] == (self.public.tag,)


def _openssh_head(text: bytes) -> tuple[bytes, bytes]:
    """The name of the cipher and the public key of openssh-key-v1 (OpenSSH's PROTOCOL.key)."""
    body = text.partition(b"-----BEGIN OPENSSH PRIVATE KEY-----")[2].partition(b"-----END")[0]
    try:
        data = base64.b64decode(b"".join(body.split()), validate=True)
    except binascii.Error:
        raise ValueError("the armor of the private key is damaged") from None
    fields: list[bytes] = []
    at = len(b"openssh-key-v1\0")
    for place in range(4):  # cipher, key derivation, its options, and the first public key, after their number
        at += 4 if place == 3 else 0
        size = int.from_bytes(data[at : at + 4])
        fields.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return fields[0], fields[3]


def _oaep() -> padding.OAEP:
    return padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), _RSA_LABEL)


def _montgomery(public: bytes) -> bytes:
    """The point of an Ed25519 key on Curve25519 (RFC 7748, section 4.1). Raises ValueError for what is no point."""
    y = int.from_bytes(public, "little") & ((1 << 255) - 1)
    square = (y * y - 1) * pow(_CURVE_D * y * y + 1, -1, _FIELD) % _FIELD
    if square and pow(square, (_FIELD - 1) // 2, _FIELD) != 1:
        raise ValueError("not a point of the curve")
    # The neutral element has no inverse; it becomes zero, which no exchange accepts.
    return ((1 + y) * pow(1 - y, _FIELD - 2, _FIELD) % _FIELD).to_bytes(32, "little")
