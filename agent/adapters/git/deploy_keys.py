"""Deploy keys as ssh-keygen and openssl write them: what kinds are taken, and a passphrase taken off in memory.

OpenSSH asks a terminal or a program for a passphrase, and there is neither. Between these functions a key is PKCS #8 in DER, which is
the same bytes for the same key; OpenSSH's own form holds a random number.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Final, LiteralString

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from agent.values.errors import SourceError

if TYPE_CHECKING:
    from typing import TypeAlias

_Key: TypeAlias = "ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey"
_TYPES: Final = (ed25519.Ed25519PrivateKey, ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey)
_CURVES: Final = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_SMALLEST_RSA: Final = 2048
_LARGEST_RSA: Final = 8192
_LARGEST: Final = 64 * 1024
"""Bytes of a key's text."""
_MOST_ROUNDS: Final = 512
"""Of bcrypt, some 10 ms each. ssh-keygen makes 16 or 24, or what `-a` says."""
_OPENSSH: Final = re.compile(
    rb"-----BEGIN OPENSSH PRIVATE KEY-----([A-Za-z0-9+/=\s]*)-----END OPENSSH PRIVATE KEY-----"
)
_MAGIC: Final = b"openssh-key-v1\0"
_UNREADABLE: Final = (ValueError, TypeError, ZeroDivisionError, OverflowError, InvalidTag, UnsupportedAlgorithm)
"""What cryptography raises for keys that are damaged, of no kind that it knows, or do not open."""


def unlock(text: bytes, passphrase: bytes | None) -> bytes:
    """PKCS #8 in DER of a private key, without its passphrase. Raises SourceError. May take seconds."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415  # with the first key

    text = text.replace(b"\r\n", b"\n").strip() + b"\n"
    if len(text) > _LARGEST:
        raise _refused("the deploy key is too long to be one", "identity is one private key, as ssh-keygen writes it")
    if b"-----BEGIN OPENSSH" in text:
        load, locked = serialization.load_ssh_private_key, _is_locked(text)
    elif b"-----BEGIN ENCRYPTED PRIVATE KEY" in text:
        raise _refused(
            "PKCS #8 under a passphrase is no form of deploy key that the agent takes",
            "ssh-keygen -p -f FILE writes it in OpenSSH's own form",
        )
    else:
        load, locked = serialization.load_pem_private_key, b"Proc-Type: 4,ENCRYPTED" in text
    if locked and not passphrase:
        raise _refused(
            "the deploy key is under a passphrase",
            "add it to the Secret as password, or make a key without one: ssh-keygen -t ed25519 -N ''",
        )
    try:
        # to look for the factors of an RSA key's factors takes seconds; the server finds out whether they serve
        key = load(text, passphrase if locked else None, unsafe_skip_rsa_key_validation=True)
        der = _checked(key).private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        openssh(der)  # which raises nothing any more where it was done once
    except _UNREADABLE:
        if locked:
            raise _refused(
                "the passphrase does not open the deploy key",
                "store the passphrase as password, without a final newline",
            ) from None
        raise _unreadable() from None
    return der


def openssh(der: bytes) -> bytes:
    """What `unlock` gave, in OpenSSH's form, which its client reads for every type of key."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415  # as above

    key = serialization.load_der_private_key(der, None, unsafe_skip_rsa_key_validation=True)
    return _checked(key).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )


def _checked(key: object) -> _Key:
    if isinstance(key, rsa.RSAPrivateKey) and not _SMALLEST_RSA <= key.key_size <= _LARGEST_RSA:
        raise _refused("the RSA deploy key is too small or too large", "it has 2048 to 8192 bits; ed25519 is better")
    if not isinstance(key, _TYPES) or (
        isinstance(key, ec.EllipticCurvePrivateKey) and not isinstance(key.curve, _CURVES)
    ):
        raise _refused("the deploy key is of a type that the agent does not take", "use ed25519, ecdsa or rsa")
    return key


def _is_locked(text: bytes) -> bool:
    """Whether a passphrase is needed, which OpenSSH's form says before anything costs time (PROTOCOL.key). Raises SourceError."""
    match = _OPENSSH.fullmatch(text.strip())  # one key alone: of two, another could be read than was looked at
    try:
        data = base64.b64decode(b"".join(match[1].split()), validate=True) if match else b""
    except binascii.Error:
        data = b""
    if not data.startswith(_MAGIC):
        raise _unreadable()
    cipher, rest = _field(data[len(_MAGIC) :])
    _, rest = _field(rest)
    options, _ = _field(rest)
    _, rounds = _field(options)
    if int.from_bytes(rounds[:4]) > _MOST_ROUNDS:
        raise _refused(
            "the deploy key's passphrase takes too long to try", "ssh-keygen -p -a 64 -f FILE makes it faster"
        )
    return cipher != b"none"


def _field(data: bytes) -> tuple[bytes, bytes]:
    """A length and as many bytes, and what is behind (RFC 4251, section 5); what is cut off is found when the key is loaded."""
    size = int.from_bytes(data[:4])
    return data[4 : 4 + size], data[4 + size :]


def _unreadable() -> SourceError:
    return _refused(
        "the deploy key cannot be read", "identity is a whole private key, as ssh-keygen -t ed25519 writes it"
    )


def _refused(message: LiteralString, hint: LiteralString) -> SourceError:
    return SourceError(message, hint=hint, field="identity")
