"""Artifacts that the operator wants signed, in both formats of cosign: a tag of the digest, and bundles that refer to it."""

from __future__ import annotations

import base64
import json
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from oci_sources import make_source

from agent.api.model import validate
from agent.api.registries import ArtifactRule
from agent.engine.repositories import Demand
from agent.values.errors import ConfigError, SignatureError, UnknownSignerError, UnsignedError
from testbed.registry import INDEX, MANIFEST, archive

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.adapters.oci.artifacts import Artifacts
    from agent.api.sources import Source
    from agent.engine.credentials import GitCredential
    from agent.values.tree import Tree
    from testbed.registry import Registry

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD = "application/vnd.dev.cosign.simplesigning.v1+json"
KEYS = {
    "ecdsa": ec.generate_private_key(ec.SECP256R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
    "rsa": rsa.generate_private_key(65537, 2048),
}
OTHER = ec.generate_private_key(ec.SECP256R1())


def signature(key: object, payload: bytes) -> str:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        made = key.sign(payload)
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        made = key.sign(payload, ec.ECDSA(hashes.SHA256()))
    else:
        assert isinstance(key, rsa.RSAPrivateKey)
        made = key.sign(payload, padding.PKCS1v15(), hashes.SHA256())
    return base64.b64encode(made).decode()


class Signing:
    """A repository whose tag `latest` has an artifact."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.repository = f"shop/signed-{secrets.token_hex(4)}"
        self.digest = registry.push(self.repository, archive({"a.yaml": "a: 1\n"}), "latest")
        self.source: Source = make_source(registry.url(self.repository))

    def sign(
        self, key: object, *, of: str = "", kind: str = "cosign container image signature", **annotations: str
    ) -> None:
        """As `cosign sign --key` does; `of` is another digest that is signed instead."""
        image = {"docker-manifest-digest": of or self.digest}
        payload = json.dumps({"critical": {"identity": {}, "image": image, "type": kind}, "optional": None}).encode()
        layer = {
            **self.registry.push_blob(self.repository, payload, PAYLOAD),
            "annotations": {"dev.cosignproject.cosign/signature": signature(key, payload), **annotations},
        }
        config = self.registry.push_blob(self.repository, b"{}", "application/vnd.oci.image.config.v1+json")
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]}
        self.registry.push_manifest(self.repository, manifest, self.digest.replace(":", "-") + ".sig")

    def bundle(
        self,
        key: object,
        *,
        of: str = "",
        predicate: str = "https://sigstore.dev/cosign/sign/v1",
        payload_type: str = "application/vnd.in-toto+json",
        size: int = 0,
        signatures: int = 1,
        **material: object,
    ) -> dict[str, object]:
        """As `cosign sign --key` of cosign 3 does, `size` bytes longer; the manifest's descriptor, which `refer` lists."""
        subject = {"digest": {"sha256": (of or self.digest).removeprefix("sha256:")}}
        statement = (
            json.dumps(
                {
                    "_type": "https://in-toto.io/Statement/v1",
                    "subject": [subject],
                    "predicateType": predicate,
                    "predicate": {},
                }
            ).encode()
            + b" " * size
        )
        signed = b"DSSEv1 %d %s %d %s" % (len(payload_type), payload_type.encode(), len(statement), statement)
        envelope = {
            "payload": base64.b64encode(statement).decode(),
            "payloadType": payload_type,
            "signatures": [{"sig": signature(key, signed)}] * signatures,
        }
        body = {"mediaType": BUNDLE, "verificationMaterial": material or {"publicKey": {}}, "dsseEnvelope": envelope}
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": BUNDLE,
            "config": self.registry.push_blob(self.repository, b"{}", "application/vnd.oci.empty.v1+json"),
            "layers": [self.registry.push_blob(self.repository, json.dumps(body).encode(), BUNDLE)],
            "subject": {"mediaType": MANIFEST, "digest": self.digest, "size": 1},
        }
        digest = self.registry.push_manifest(self.repository, manifest)
        size = len(json.dumps(manifest).encode())
        return {"mediaType": MANIFEST, "digest": digest, "size": size, "artifactType": BUNDLE}

    def refer(self, *referrers: dict[str, object]) -> None:
        """List them under the tag for registries that keep no such list, as this one."""
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": referrers}
        self.registry.push_manifest(self.repository, index, self.digest.replace(":", "-"))


@pytest.fixture
def signing(registry: Registry) -> Signing:
    return Signing(registry)


@pytest.fixture
def trusted(tmp_path: Path) -> list[str]:
    """Files with the public keys."""
    paths: list[str] = []
    for name, key in KEYS.items():
        path = tmp_path / f"{name}.pub"
        form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        path.write_bytes(b"# of the team\n" + key.public_key().public_bytes(*form))
        paths.append(str(path))
    return paths


@pytest.fixture
def verify(
    signing: Signing,
    registry: Registry,
    make_artifacts: Callable[..., Artifacts],
    login: GitCredential,
    trusted: list[str],
):
    async def run(*keys: str) -> str:
        rule = validate(ArtifactRule, {"repositories": ["*"], "keys": [*(keys or trusted)]})
        return await make_artifacts(registry.host).verify(signing.source, login, signing.digest, Demand(rule, "", 0))

    return run


def joined(path: Path, parts: list[str]) -> Path:
    path.write_bytes(b"".join(Path(each).read_bytes() for each in parts))
    return path


@pytest.mark.parametrize("name", KEYS)
async def test_a_key_that_the_operator_trusts_is_named(name: str, signing: Signing, verify) -> None:
    signing.sign(KEYS[name])
    assert await verify() == f"{name}.pub"


async def test_without_a_signature_it_is_unsigned(verify) -> None:
    with pytest.raises(UnsignedError):
        await verify()


async def test_another_key_another_digest_and_another_statement_do_not_count(signing: Signing, verify) -> None:
    for signed in (
        lambda: signing.sign(OTHER),
        lambda: signing.sign(KEYS["ecdsa"], of=f"sha256:{'0' * 64}"),
        lambda: signing.sign(KEYS["ecdsa"], kind="another statement"),
        lambda: signing.sign(KEYS["ecdsa"], **{"dev.cosignproject.cosign/signature": "!"}),
    ):
        signed()
        with pytest.raises(UnknownSignerError):
            await verify()


async def test_a_keyless_signature_is_refused_with_the_reason(signing: Signing, verify) -> None:
    signing.sign(OTHER, **{"dev.sigstore.cosign/certificate": "-----BEGIN CERTIFICATE-----"})
    with pytest.raises(SignatureError, match="without a key, by a certificate"):
        await verify()


@pytest.mark.parametrize("name", KEYS)
async def test_a_bundle_of_a_trusted_key_is_a_signature(name: str, signing: Signing, verify) -> None:
    signing.refer(signing.bundle(KEYS[name]))
    assert await verify() == f"{name}.pub"


async def test_what_a_key_signs_of_something_else_does_not_make_an_artifact_signed(signing: Signing, verify) -> None:
    key = KEYS["ecdsa"]
    for bundle in (
        signing.bundle(key, of=f"sha256:{'0' * 64}"),
        signing.bundle(key, predicate="https://spdx.dev/Document"),
        signing.bundle(key, payload_type="application/json"),
        {**signing.bundle(key), "artifactType": "application/json"},
        signing.bundle(key, size=64 * 1024),
    ):
        signing.refer(bundle)
        with pytest.raises(UnsignedError):
            await verify()
    for bundle in (signing.bundle(OTHER), signing.bundle(key, signatures=2), signing.bundle(key, signatures=0)):
        signing.refer(bundle)
        with pytest.raises(UnknownSignerError):
            await verify()
    signing.refer(signing.bundle(OTHER, certificate={"rawBytes": "AA=="}))
    with pytest.raises(SignatureError, match="without a key, by a certificate"):
        await verify()


async def test_a_signature_counts_among_attestations_however_large(signing: Signing, verify) -> None:
    attestation = signing.bundle(KEYS["ecdsa"], predicate="https://spdx.dev/Document", size=200_000)
    signing.refer(attestation, signing.bundle(OTHER), signing.bundle(KEYS["rsa"]))
    assert await verify() == "rsa.pub"


async def test_several_keys_may_stand_in_one_file(signing: Signing, verify, trusted: list[str], tmp_path: Path) -> None:
    both = joined(tmp_path / "team.pub", trusted)
    signing.sign(KEYS["rsa"])
    assert await verify(str(both)) == "team.pub#3"


@pytest.mark.parametrize("content", [b"", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", None])
async def test_a_file_that_holds_no_key_is_the_operators_fault(content: bytes | None, verify, tmp_path: Path) -> None:
    path = tmp_path / "broken.pub"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match="a file with keys of signers cannot be read"):
        await verify(str(path))


@pytest.mark.parametrize(
    "host", ["ghcr.io", "ghcr.io:443", "ghcr.io:0443", "ghcr.io:00443", "r.example.com:05000", "[::1]:05000", "[::1]"]
)
def test_a_rule_serves_a_repository_however_its_port_is_written(host: str) -> None:
    repositories: list[Tree] = ["ghcr.io/*", "r.example.com:5000/*", "[::1]:5000/*", "[::1]/*"]
    rule = validate(ArtifactRule, {"repositories": repositories, "keys": ["/etc/keys/cosign.pub"]})
    assert rule.serves(make_source(f"oci://{host}/shop/deploy").address)
