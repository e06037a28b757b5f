"""The sealing keys that the operator gave the agent: read from its namespace, and again when something does not open."""

from __future__ import annotations

import json

import pytest

from agent.adapters.kubernetes.secrets import Secrets
from agent.daemon.key_work import Workers
from agent.daemon.sealing_keys import SealingKeyRing
from agent.manifests import sealed_secrets
from agent.values.errors import AgentError, ConfigError, SealedSecretError
from agent.values.ids import ApplicationId
from agent.values.reveal import reveal
from agent.yaml.read import manifests
from testbed import sealing


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("sealing")
    return [sealing.pair(folder, name) for name in ("first", "second")]


@pytest.fixture
def put(controlplane, namespace):
    def put(pair, name: str = "sealing") -> None:
        controlplane.apply({**pair.manifest, "metadata": {"name": name, "namespace": namespace}})

    return put


def values_of(pair, *, name: str = "db", **data: str):
    metadata = {"name": name, "namespace": "shop"}
    plain = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}
    [document] = manifests.parse(pair.seal(json.dumps(plain)).encode(), file="db.yaml")
    return sealed_secrets.secret(document.tree, namespace="shop").values


async def opened(ring: SealingKeyRing, values) -> dict[str, object]:
    answers = await ring.unseal(ApplicationId("shop", "web", ""), values)
    by_key = {each.key: answers.get(each.leaf.id) for each in values}
    return {key: each if isinstance(each, AgentError) or each is None else reveal(each) for key, each in by_key.items()}


async def test_all_keys_are_tried(cluster, namespace, put, pairs):
    for pair in pairs:
        put(pair, pair.name)
    ring = SealingKeyRing(Secrets(cluster._session), namespace, ["first", "second"], Workers())
    for pair in pairs:
        assert await opened(ring, values_of(pair, a="1", b="2")) == {"a": b"1", "b": b"2"}


async def test_a_key_that_was_renewed_is_found_without_waiting(cluster, namespace, put, pairs):
    first, second = pairs
    put(first)
    ring = SealingKeyRing(Secrets(cluster._session), namespace, ["sealing"], Workers())
    assert await opened(ring, values_of(first, a="1")) == {"a": b"1"}
    put(second)
    assert await opened(ring, values_of(second, a="2")) == {"a": b"2"}


async def test_of_an_object_nothing_is_opened_behind_the_first_error(cluster, namespace, put, pairs):
    first, second = pairs
    put(first)
    ring = SealingKeyRing(Secrets(cluster._session), namespace, ["sealing"], Workers())
    foreign = values_of(second, a="1", b="2", c="3")
    good = values_of(first, name="other", d="4")
    found = await opened(ring, [*foreign, *good])
    assert isinstance(found["a"], SealedSecretError)
    assert (found["b"], found["c"]) == (None, None)
    assert found["d"] == b"4"


async def test_a_key_that_is_missing_or_none_is_reported_for_every_value(cluster, namespace, put, controlplane, pairs):
    values = values_of(pairs[0], a="1", b="2")
    ring = SealingKeyRing(Secrets(cluster._session), namespace, ["sealing"], Workers())
    found = await opened(ring, values)
    assert {type(each) for each in found.values()} == {ConfigError}
    assert {str(each) for each in found.values()} == {
        f"Secret {namespace}/sealing: the Secret with a sealing key does not exist"
    }
    metadata = {"name": "sealing", "namespace": namespace}
    for data, message in (
        ({"password": "canary-hunter2"}, "the Secret holds no sealing key"),
        ({"tls.key": "canary-hunter2"}, "no private key in PEM"),
    ):
        controlplane.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data})
        found = await opened(ring, values)
        assert {str(each) for each in found.values()} == {f"Secret {namespace}/sealing: {message}"}
        assert "canary" not in "".join(str(each) for each in found.values())
    put(pairs[0], "better")
    ring = SealingKeyRing(Secrets(cluster._session), namespace, ["better"], Workers())
    assert await opened(ring, values) == {"a": b"1", "b": b"2"}
