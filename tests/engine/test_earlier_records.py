"""Records and digests that were made before the engine was one: they are read as they are, and nothing of them is written again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agent.engine import judge, rollouts, shards
from agent.engine.assembling import Assembler
from agent.engine.context import Fingerprints
from agent.engine.ledger import Ledger
from agent.engine.live import Observer
from agent.engine.shards import HEAD, Codec
from agent.manifests.layers import Desired
from agent.manifests.ownership import Owner
from agent.values.ids import IN_CLUSTER, ApplicationId, ObjectId
from agent.values.secret import Secret
from agent.values.tree import get_text

if TYPE_CHECKING:
    from agent.values.tree import Object

VECTOR: dict[str, Any] = json.loads((Path(__file__).parents[1] / "vectors/records/epoch-5.json").read_text("utf-8"))
PRINTS = Fingerprints.derive(Secret(VECTOR["key"].encode(), "vector"))
APPLICATION = ApplicationId(**VECTOR["application"])
CODEC = Codec(PRINTS.records, APPLICATION.uid)
SECRET, CONFIG_MAP, WORKLOAD = (
    ObjectId("", "Secret", "shop", "db"),
    ObjectId("", "ConfigMap", "shop", "größe"),
    ObjectId("apps", "Deployment", "shop", "web"),
)


def tree(key: ObjectId, **more: Any) -> Object:
    version = f"{key.group}/v1".lstrip("/")
    return {"apiVersion": version, "kind": key.kind, "metadata": {"name": key.name, "namespace": key.namespace}, **more}


TREES = {
    SECRET: tree(SECRET, stringData={"password": Secret("s3cret", "sops:db.yaml#stringData.password")}),
    CONFIG_MAP: tree(CONFIG_MAP, data={"a": "1", "b": "zwei\n"}),
    WORKLOAD: tree(
        WORKLOAD,
        spec={
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {
                    "containers": [
                        {
                            "name": "main",
                            "image": "registry.example/app:1",
                            "envFrom": [{"secretRef": {"name": "db"}}],
                        }
                    ]
                },
            },
        },
    ),
}
DESIRED = {key: Desired(key, str(each["apiVersion"]), each, ("base/all.yaml",)) for key, each in TREES.items()}


def test_a_record_is_read_and_needs_no_write() -> None:
    found = CODEC.decode(VECTOR["shards"])

    assert (found.revision and found.revision.commit, found.generation, found.epoch) == ("1" * 40, 3, 5)
    assert set(found.objects) == set(TREES)
    assert CODEC.encode(found, VECTOR["shards"]) == {}
    assert shards.unverified(VECTOR["shards"]) == found


async def test_taking_it_over_writes_the_epoch_and_nothing_else() -> None:
    stored: dict[str, str] = {}

    class Records:
        async def load(self, _: ApplicationId) -> dict[str, str]:
            return VECTOR["shards"]

        async def store(self, _: ApplicationId, shards: dict[str, str]) -> None:
            stored.update(shards)

    ledger = Ledger(
        Records(),  # pyright: ignore[reportArgumentType]
        None,  # pyright: ignore[reportArgumentType]
        CODEC,
        APPLICATION,
        lambda: None,
        cluster=IN_CLUSTER,
    )
    await ledger.take("agent-1 11ee")

    assert set(stored) == {HEAD}
    assert ledger.record == replace(CODEC.decode(VECTOR["shards"]), epoch=6, holder="agent-1 11ee")


@pytest.mark.parametrize("key", TREES, ids=lambda key: key.kind)
def test_digests_are_those_that_were_recorded(key: ObjectId) -> None:
    """An agent of today finds what an earlier agent applied to be the same, and so sends nothing."""
    recorded = CODEC.decode(VECTOR["shards"]).objects
    expected = VECTOR["digests"][key.key]
    desired_digest = judge.desired_digests(PRINTS.desired, APPLICATION.uid, DESIRED)[key]
    token = rollouts.token_of(
        DESIRED[key], rollouts.secret_contents(recorded, DESIRED), PRINTS.applied, APPLICATION.uid
    )
    assembler = Assembler(Owner("vectors", APPLICATION), PRINTS.owners, PRINTS.applied, lambda: 0.0)
    assembled = assembler.build(DESIRED[key], TREES[key], {}, desired_digest=desired_digest, roll=token)

    assert (desired_digest, token, assembled.record.applied) == (
        expected["recipe"],
        expected["roll"],
        expected["applied"],
    )
    assert get_text(assembled.tree, "metadata", "annotations", "signet-gitops.dev/owner") == expected["owner"]
    live = tree(key, data={"a": "1"})
    live["metadata"] = {
        "name": key.name,
        "namespace": key.namespace,
        "uid": f"u-{key.name}",
        "resourceVersion": "7",
        "managedFields": [
            {"manager": "signet", "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:a": {}}}}
        ],
    }
    observer = Observer("vectors", PRINTS.owners, PRINTS.owned)
    assert observer.observe(live).owned_digest == expected["projection"]
    assert replace(assembled.record, uid=f"u-{key.name}", owned_digest=expected["projection"]) == recorded[key]
