"""Signatures that cosign 3.1.3 made, in both of its formats and by each kind of key, served by a real registry."""

from __future__ import annotations

import base64
import json
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from oci_sources import make_source

from agent.api.model import validate
from agent.api.registries import ArtifactRule
from agent.engine.repositories import Demand
from agent.values.errors import UnknownSignerError, UnsignedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.adapters.oci.artifacts import Artifacts
    from agent.engine.credentials import GitCredential
    from testbed.registry import Registry

VECTORS = {path.stem: json.loads(path.read_text()) for path in Path(__file__).parents[1].glob("vectors/cosign/*.json")}


@pytest.fixture
def verify(registry: Registry, make_artifacts: Callable[..., Artifacts], login: GitCredential, tmp_path: Path):
    """The name of the key, of a registry that holds the artifact and what cosign pushed in that format."""

    async def run(made: dict[str, Any], form: str, *, key: str = "") -> str:
        repository = f"signed/{secrets.token_hex(4)}"
        for body in [b"{}", base64.b64decode(made["content"]), *map(str.encode, made[form]["blobs"].values())]:
            registry.push_blob(repository, body, "")
        digest = registry.push_body(repository, made["artifact"], "latest")
        for reference, body in made[form]["manifests"].items():
            _ = registry.push_body(repository, body, reference)
        path = tmp_path / "cosign.pub"
        path.write_text(key or made["key"])
        rule = validate(ArtifactRule, {"repositories": ["*"], "keys": [str(path)]})
        source = make_source(registry.url(repository))
        return await make_artifacts(registry.host).verify(source, login, digest, Demand(rule, "", 0))

    return run


@pytest.mark.parametrize("form", ["bundle", "tag"])
@pytest.mark.parametrize("name", sorted(VECTORS.keys() - {"ed25519"}))
async def test_what_cosign_signed_is_verified(name: str, form: str, verify) -> None:
    assert await verify(VECTORS[name], form) == "cosign.pub"


@pytest.mark.parametrize("form", ["bundle", "tag"])
async def test_another_key_did_not_sign_it(form: str, verify) -> None:
    with pytest.raises(UnknownSignerError):
        await verify(VECTORS["ecdsa-p256"], form, key=VECTORS["ecdsa-p384"]["key"])


@pytest.mark.parametrize("form", ["bundle", "tag"])
async def test_the_error_says_why_an_ed25519_key_of_cosign_does_not_count(form: str, verify) -> None:
    with pytest.raises(UnknownSignerError) as refused:
        await verify(VECTORS["ed25519"], form)
    assert "Ed25519ph" in refused.value.hint


async def test_an_attestation_is_no_signature(verify) -> None:
    with pytest.raises(UnsignedError):
        await verify(VECTORS["ecdsa-p256"], "attestation")
