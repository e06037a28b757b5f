"""Signatures that cosign made with a key, beside an artifact: under a tag of its digest, or as bundles that refer to it.

https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md for the former, `bundles` for what cosign 3 makes. What is signed names the
digest; nothing else of it counts.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from agent.adapters.bounds import bodies
from agent.adapters.oci import bundles, signers
from agent.adapters.oci.signers import Signed, decoded
from agent.values.errors import SignatureError, UnknownSignerError, UnsignedError
from agent.values.tree import get, get_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from agent.adapters.oci.layout import Descriptor
    from agent.adapters.oci.registry import Registry
    from agent.adapters.oci.signers import Key

_PAYLOAD: Final = "application/vnd.dev.cosign.simplesigning.v1+json"
_SIGNATURE: Final = "dev.cosignproject.cosign/signature"
_CERTIFICATE: Final = "dev.sigstore.cosign/certificate"
_TYPE: Final = "cosign container image signature"
_LARGEST: Final = 64 * 1024
"""Bytes of what is signed, and of a bundle."""
_MOST: Final = 32
"""Signatures that are looked at, of either kind."""


async def verify(registry: Registry, digest: str, keys: Mapping[str, Key]) -> str:
    """The name of the key that signed the artifact. Raises UnsignedError, UnknownSignerError, SignatureError, SourceError."""
    found = keyless = 0
    async for signature in _signatures(registry, digest):
        if (name := await asyncio.to_thread(signature.signer, keys)) is not None:
            return name
        found += 1
        keyless += signature.keyless
    if not found:
        raise UnsignedError("the artifact is not signed", hint="sign it: cosign sign --key", digest=digest)
    if keyless == found:
        raise SignatureError(
            "the artifact is signed without a key, by a certificate, which is not taken",
            hint="sign it by a key: cosign sign --key",
            digest=digest,
        )
    raise UnknownSignerError(
        "no key that the operator trusts signed the artifact",
        hint="cosign 3 signs with Ed25519ph by an Ed25519 key, which is not verified: sign by an ECDSA or RSA key"
        if any(map(signers.is_ed25519, keys.values()))
        else "the operator adds the key to the files that oci.signatures of the operator's file names",
        digest=digest,
    )


async def _signatures(registry: Registry, digest: str) -> AsyncIterator[Signed]:
    manifest = await registry.find(digest.replace(":", "-") + ".sig")
    layers = manifest.layers if manifest is not None else ()
    for layer in [each for each in layers if each.media_type == _PAYLOAD][:_MOST]:
        yield await _tagged(registry, layer, digest)
    referrers = [each for each in await registry.referrers(digest) if each.artifact_type in bundles.MEDIA_TYPES]
    for referrer in referrers[:_MOST]:
        # attestations are bundles too, and may be large
        for layer in [each for each in (await registry.manifest(referrer.digest)).layers[:1] if each.size <= _LARGEST]:
            if (found := bundles.signed(await _blob(registry, layer), digest)) is not None:
                yield found


async def _tagged(registry: Registry, layer: Descriptor, digest: str) -> Signed:
    """Without a signature where what is signed is not this artifact."""
    payload = await _blob(registry, layer)
    said = get(bodies.tree(payload), "critical")
    counts = (get_text(said, "type"), get_text(said, "image", "docker-manifest-digest")) == (_TYPE, digest)
    signature = decoded(layer.annotations.get(_SIGNATURE, ""))
    return Signed(payload, signature if counts else b"", _CERTIFICATE in layer.annotations)


async def _blob(registry: Registry, layer: Descriptor) -> bytes:
    content = bytearray()
    await registry.blob(layer, content.extend, most=_LARGEST)
    return bytes(content)
