"""Sigstore bundles that cosign 3 pushes beside an artifact: a signed statement that names its digest.

https://github.com/sigstore/cosign/blob/main/specs/BUNDLE_SPEC.md, https://github.com/secure-systems-lab/dsse/blob/master/protocol.md and
https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md. Times and entries of transparency logs are not read: the key decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agent.adapters.bounds import bodies
from agent.adapters.oci.signers import Signed, decoded
from agent.values.tree import get, get_text

if TYPE_CHECKING:
    from agent.values.tree import Tree

MEDIA_TYPES: Final = frozenset(
    {"application/vnd.dev.sigstore.bundle.v0.3+json", "application/vnd.dev.sigstore.bundle+json;version=0.3"}
)
_STATEMENT: Final = "application/vnd.in-toto+json"
_PREDICATE: Final = "https://sigstore.dev/cosign/sign/v1"
_TYPES: Final = frozenset({"https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"})
_MOST: Final = 8
"""Subjects of a statement that are looked at."""


def signed(body: bytes, digest: str) -> Signed | None:
    """The signed statement of a bundle; None where it does not say that the artifact of `digest` is signed, but attests something of it, say."""
    bundle: Tree = bodies.tree(body)
    envelope = get(bundle, "dsseEnvelope")
    statement = decoded(get_text(envelope, "payload"))
    if get_text(envelope, "payloadType") != _STATEMENT or not _is_of(bodies.tree(statement), digest):
        return None
    listed = get(envelope, "signatures")
    signature = decoded(get_text(listed[0], "sig")) if isinstance(listed, list) and len(listed) == 1 else b""
    material = get(bundle, "verificationMaterial")
    keyless = get(material, "certificate") is not None or get(material, "x509CertificateChain") is not None
    return Signed(_encoded(statement), signature, keyless)


def _is_of(statement: Tree, digest: str) -> bool:
    subjects = get(statement, "subject")
    named = [get_text(each, "digest", "sha256") for each in subjects[:_MOST]] if isinstance(subjects, list) else []
    return (
        get_text(statement, "_type") in _TYPES
        and get_text(statement, "predicateType") == _PREDICATE
        and digest.removeprefix("sha256:") in named
    )


def _encoded(statement: bytes) -> bytes:
    """What DSSE signs."""
    return b"DSSEv1 %d %s %d %s" % (len(_STATEMENT), _STATEMENT.encode(), len(statement), statement)
