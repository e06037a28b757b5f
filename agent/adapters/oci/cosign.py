"""Signatures that cosign made with a key: beside an artifact, under a tag of its digest.

https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md. What is signed names the digest; nothing else of it counts.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Final, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from agent.adapters.bounds import bodies
from agent.values.errors import ConfigError, SignatureError, UnknownSignerError, UnsignedError
from agent.values.tree import get, get_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent.adapters.oci.layout import Descriptor
    from agent.adapters.oci.registry import Registry

_Key: TypeAlias = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey

_PAYLOAD: Final = "application/vnd.dev.cosign.simplesigning.v1+json"
_SIGNATURE: Final = "dev.cosignproject.cosign/signature"
_CERTIFICATE: Final = "dev.sigstore.cosign/certificate"
_TYPE: Final = "cosign container image signature"
_LARGEST: Final = 64 * 1024
"""Bytes of what is signed, and of a file of keys."""
_MOST: Final = 32
"""Signatures that are looked at."""
_KEYS: Final = 64
_LEAST_RSA: Final = 2048
_BEGIN: Final = b"-----BEGIN PUBLIC KEY-----"


def keys(paths: Sequence[str]) -> dict[str, _Key]:
    """The public keys of files, by what they are called when they are shown. Raises ConfigError."""
    found: dict[str, _Key] = {}
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
    return dict(list(found.items())[:_KEYS])


async def verify(registry: Registry, digest: str, signers: dict[str, _Key]) -> str:
    """The name of the key that signed the artifact. Raises UnsignedError, UnknownSignerError, SignatureError, SourceError."""
    manifest = await registry.find(digest.replace(":", "-") + ".sig")
    signatures = [each for each in manifest.layers if each.media_type == _PAYLOAD] if manifest is not None else []
    if not signatures:
        raise UnsignedError("the artifact is not signed", hint="sign it: cosign sign --key", digest=digest)
    for each in signatures[:_MOST]:
        signer = await _signer(registry, each, digest, signers)
        if signer is not None:
            return signer
    if all(_CERTIFICATE in each.annotations for each in signatures):
        raise SignatureError(
            "the artifact is signed without a key, by a certificate, which is not taken",
            hint="sign it by a key: cosign sign --key",
            digest=digest,
        )
    raise UnknownSignerError(
        "no key that the operator trusts signed the artifact",
        hint="the operator adds the key to the files that oci.signatures of the operator's file names",
        digest=digest,
    )


async def _signer(registry: Registry, layer: Descriptor, digest: str, signers: dict[str, _Key]) -> str | None:
    try:
        signature = base64.b64decode(layer.annotations.get(_SIGNATURE, ""), validate=True)
    except (binascii.Error, ValueError):
        return None
    payload = bytearray()
    await registry.blob(layer, payload.extend, most=_LARGEST)
    said = get(bodies.tree(bytes(payload)), "critical")
    if (get_text(said, "type"), get_text(said, "image", "docker-manifest-digest")) != (_TYPE, digest):
        return None
    return next((name for name in _holds(signers, signature, bytes(payload))), None)


def _holds(signers: dict[str, _Key], signature: bytes, payload: bytes) -> Iterator[str]:
    for name, key in signers.items():
        try:
            if isinstance(key, ed25519.Ed25519PublicKey):
                key.verify(signature, payload)
            elif isinstance(key, ec.EllipticCurvePublicKey):
                key.verify(signature, payload, ec.ECDSA(hashes.SHA256()))
            else:
                key.verify(signature, payload, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            continue
        yield name


def _is_usable(key: object) -> bool:
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size >= _LEAST_RSA
    return isinstance(key, ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey)
