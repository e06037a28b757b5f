"""Public keys that may sign artifacts, out of the operator's PEM files, and what they signed."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from agent.values.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

Key: TypeAlias = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey

_LARGEST: Final = 64 * 1024
"""Bytes of a file."""
_MOST: Final = 64
_LEAST_RSA: Final = 2048
_BEGIN: Final = b"-----BEGIN PUBLIC KEY-----"
_SHA256: Final = hashes.SHA256()
_LARGER: Final = {384: hashes.SHA384(), 521: hashes.SHA512()}
"""What Sigstore hashes by with larger curves; cosign 2 always hashes by SHA-256."""


def load(paths: Sequence[str]) -> dict[str, Key]:
    """The keys of files, by what they are called when they are shown. Raises ConfigError."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415  # with the first file

    found: dict[str, Key] = {}
    for path in paths:
        try:
            with open(path, "rb") as file:  # noqa: PTH123
                parts = file.read(_LARGEST).split(_BEGIN)[1:]
            read = [serialization.load_pem_public_key(_BEGIN + part) for part in parts]
        except (OSError, ValueError):
            read = []
        usable = [key for key in read if _is_usable(key)]
        if not usable or len(usable) != len(read):
            raise ConfigError(
                "a file with keys of signers cannot be read",
                hint="oci.signatures of the operator's file names PEM files with ECDSA, Ed25519 or RSA public keys",
                path=path,
            )
        name = path.rpartition("/")[2]
        found |= {name if len(usable) == 1 else f"{name}#{number}": key for number, key in enumerate(usable, 1)}  # pyright: ignore[reportAssignmentType]
    return dict(list(found.items())[:_MOST])


@dataclass(frozen=True, slots=True)
class Signed:
    """What was signed, and its signature, empty where none counts. `keyless`: by a certificate."""

    payload: bytes
    signature: bytes
    keyless: bool = False

    def signer(self, keys: Mapping[str, Key]) -> str | None:
        """The name of the key that made the signature."""
        for name, key in keys.items():
            for verify in _ways(key, self.signature, self.payload):
                try:
                    verify()
                except InvalidSignature:
                    continue
                return name
        return None


def is_ed25519(key: Key) -> bool:
    """Whether only plain Ed25519 of it is verified: `cryptography` has no Ed25519ph, which cosign 3 signs with."""
    return isinstance(key, ed25519.Ed25519PublicKey)


def decoded(text: str) -> bytes:
    """Of base64; nothing where it is none."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _ways(key: Key, signature: bytes, payload: bytes) -> Iterator[Callable[[], None]]:
    if isinstance(key, ed25519.Ed25519PublicKey):
        yield partial(key.verify, signature, payload)
    elif isinstance(key, rsa.RSAPublicKey):
        yield partial(key.verify, signature, payload, padding.PKCS1v15(), _SHA256)
    else:
        yield partial(key.verify, signature, payload, ec.ECDSA(_SHA256))
        if (larger := _LARGER.get(key.curve.key_size)) is not None:
            yield partial(key.verify, signature, payload, ec.ECDSA(larger))


def _is_usable(key: object) -> bool:
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size >= _LEAST_RSA
    return isinstance(key, ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey)
