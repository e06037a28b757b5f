"""Server-side apply and what surrounds it, against a real apiserver."""

from __future__ import annotations

import asyncio

import pytest

from agent.adapters.kubernetes.resources import CONFIG_MAP, SECRET
from agent.manifests.kinds import Resource
from agent.values import derive
from agent.values.errors import (
    AgentError,
    FieldConflictError,
    LeaseLostError,
    NotFoundError,
    ObjectInvalidError,
    StaleObjectError,
)
from agent.values.ids import ObjectId
from agent.values.secret import Secret

DEPLOYMENT = Resource("apps", "v1", "Deployment", "deployments", True)
SERVICE = Resource("", "v1", "Service", "services", True)
CANARY = "canary-7f3a9"
CANARY_NUMBER = 7391824650


def config_map(namespace: str, name: str, data: dict, **metadata) -> dict:
    metadata = {"name": name, "namespace": namespace, **metadata}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def secret(namespace: str, name: str, **fields) -> dict:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}, **fields}


def deployment(namespace: str, name: str, containers: list, app: str = "web") -> dict:
    template = {"metadata": {"labels": {"app": app}}, "spec": {"containers": containers}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": app}}, "template": template},
    }


async def test_an_object_is_created_then_changed_then_read(cluster, namespace):
    created = await cluster.apply(CONFIG_MAP, config_map(namespace, "a", {"k": "1"}))
    changed = await cluster.apply(CONFIG_MAP, config_map(namespace, "a", {"k": "2"}))
    assert changed["metadata"]["uid"] == created["metadata"]["uid"]
    assert (await cluster.get(CONFIG_MAP, namespace, "a"))["data"] == {"k": "2"}
    assert await cluster.get(CONFIG_MAP, namespace, "b") is None


async def test_a_secret_leaf_reaches_the_server_and_comes_back_wrapped(cluster, controlplane, namespace):
    value = derive.base64_encode(Secret(CANARY, "sops:db.yaml#stringData.password"))
    answer = await cluster.apply(SECRET, secret(namespace, "db", data={"password": value}))
    stored = controlplane.get(f"/api/v1/namespaces/{namespace}/secrets/db")
    assert derive.base64_decode(Secret(stored["data"]["password"], "stored")) == Secret(CANARY, "same")
    assert answer["data"]["password"] == value
    assert answer["data"]["password"].label == f"live:v1/Secret/{namespace}/db#data.password"
    (listed,) = [item for item in await cluster.list(SECRET, namespace=namespace) if item["metadata"]["name"] == "db"]
    assert listed["data"]["password"] == value


async def test_kubectls_copy_of_a_secret_is_wrapped_even_in_a_metadata_list(cluster, controlplane, namespace):
    manifest = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: old}}\nstringData: {{password: {CANARY}}}\n"
    controlplane.kubectl("apply", "-n", namespace, "-f", "-", input=manifest)
    for found in (
        await cluster.list_metadata(SECRET, namespace=namespace),
        await cluster.list(SECRET, namespace=namespace),
    ):
        assert any("last-applied" in str(item["metadata"].get("annotations")) for item in found)
        assert CANARY not in repr(found)


async def test_an_object_that_holds_a_secret_is_wrapped_whole(connect, namespace):
    sealed = ObjectId("", "ConfigMap", namespace, "a")
    async with connect(seals=lambda object_id: object_id == sealed) as cluster:
        answer = await cluster.apply(CONFIG_MAP, config_map(namespace, "a", {"dsn": CANARY}))
        other = await cluster.apply(CONFIG_MAP, config_map(namespace, "b", {"dsn": "clear"}))
    assert answer["data"]["dsn"] == Secret(CANARY, "same")
    assert other["data"] == {"dsn": "clear"}


async def test_a_dry_run_changes_nothing(cluster, namespace):
    answer = await cluster.apply(CONFIG_MAP, config_map(namespace, "a", {"k": "v"}), dry_run=True)
    assert answer["data"] == {"k": "v"}
    assert await cluster.get(CONFIG_MAP, namespace, "a") is None


async def test_a_field_of_another_manager_is_a_conflict_unless_forced(cluster, controlplane, namespace):
    controlplane.apply(config_map(namespace, "a", {"k": CANARY}))
    with pytest.raises(FieldConflictError) as caught:
        await cluster.apply(CONFIG_MAP, config_map(namespace, "a", {"k": "ours"}), force=False)
    assert caught.value.facts["fields"] == "data.k"
    assert caught.value.facts["managers"] == "testbed"
    assert CANARY not in str(caught.value)
    taken = await cluster.apply(CONFIG_MAP, config_map(namespace, "a", {"k": "ours"}))
    assert taken["data"] == {"k": "ours"}


async def test_the_fields_of_a_client_side_apply_are_adopted_by_a_json_patch(cluster, controlplane, namespace):
    manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: v}\n"
    controlplane.kubectl("apply", "-n", namespace, "-f", "-", input=manifest)
    found = await cluster.get(CONFIG_MAP, namespace, "a")
    entries = [dict(entry) for entry in found["metadata"]["managedFields"]]
    entries[0].update(manager="signet", operation="Apply")
    version = found["metadata"]["resourceVersion"]
    patch = [
        {"op": "test", "path": "/metadata/resourceVersion", "value": version},
        {"op": "replace", "path": "/metadata/managedFields", "value": entries},
    ]
    await cluster.json_patch(CONFIG_MAP, namespace, "a", patch)
    assert (await cluster.apply(CONFIG_MAP, config_map(namespace, "a", {"other": "v"})))["data"] == {"other": "v"}
    with pytest.raises(StaleObjectError):
        await cluster.json_patch(CONFIG_MAP, namespace, "a", patch)


REFUSALS = {
    "a number in data of a Secret": (
        SECRET,
        lambda ns: secret(ns, "x", data={"password": CANARY_NUMBER}),
        ObjectInvalidError,
        {"field": "data.password", "expected": "string"},
    ),
    "a map where stringData wants text": (
        SECRET,
        lambda ns: secret(ns, "x", stringData={"password": {CANARY: CANARY}}),
        ObjectInvalidError,
        {"field": "stringData.password", "expected": "string"},
    ),
    "several wrong types at once": (
        SECRET,
        # The API server tells one of them, in no order of its own.
        lambda ns: secret(ns, "x", data={"a": True, "b": CANARY_NUMBER}),
        ObjectInvalidError,
        {"expected": "string"},
    ),
    "a secret leaf that is a number": (
        SECRET,
        lambda ns: secret(ns, "x", data={"password": Secret(CANARY_NUMBER, "vault:main/x#y")}),
        ObjectInvalidError,
        {"field": "data.password"},
    ),
    "text that is not base64": (
        SECRET,
        lambda ns: secret(ns, "x", data={"password": Secret(f"{CANARY}!", "sops:x#y")}),
        ObjectInvalidError,
        {},
    ),
    "a number in a ConfigMap": (
        CONFIG_MAP,
        lambda ns: config_map(ns, "x", {"port": CANARY_NUMBER}),
        ObjectInvalidError,
        {"field": "data.port"},
    ),
    "a number in an environment variable": (
        DEPLOYMENT,
        lambda ns: deployment(ns, "x", [{"name": "c", "image": "i", "env": [{"name": "N", "value": CANARY_NUMBER}]}]),
        ObjectInvalidError,
        {"field": 'spec.template.spec.containers[name="c"].env[name="N"].value'},
    ),
    "an unknown field": (
        CONFIG_MAP,
        lambda ns: {**config_map(ns, "x", {}), "spek": {"a": CANARY}},
        ObjectInvalidError,
        {"field": "spek"},
    ),
    "the same container twice": (
        DEPLOYMENT,
        lambda ns: deployment(ns, "x", [{"name": "c", "image": CANARY}, {"name": "c", "image": "j"}]),
        ObjectInvalidError,
        {"field": "spec.template.spec.containers"},
    ),
    "a port out of range": (
        SERVICE,
        lambda ns: {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "x", "namespace": ns},
            "spec": {"ports": [{"port": CANARY_NUMBER % 100000 + 70000}]},
        },
        ObjectInvalidError,
        {"field": "spec.ports[0].port"},
    ),
    "a label that is none": (
        CONFIG_MAP,
        lambda ns: config_map(ns, "x", {}, labels={"x": f"{CANARY} !"}),
        ObjectInvalidError,
        {"field": "metadata.labels"},
    ),
    "a name that is none": (
        CONFIG_MAP,
        lambda ns: config_map(ns, "Upper_case", {}),
        ObjectInvalidError,
        {"field": "metadata.name"},
    ),
    "a missing namespace": (
        CONFIG_MAP,
        lambda ns: config_map("no-such-namespace", "x", {"k": CANARY}),
        NotFoundError,
        {},
    ),
    "a kind that is not served": (
        Resource("no.example", "v1", "Thing", "things", True),
        lambda ns: {"apiVersion": "no.example/v1", "kind": "Thing", "metadata": {"name": "x", "namespace": ns}},
        NotFoundError,
        {},
    ),
    "larger than the server takes": (
        CONFIG_MAP,
        lambda ns: config_map(ns, "x", {"k": CANARY * 300_000}),
        ObjectInvalidError,
        {},
    ),
    "larger than a ConfigMap": (
        CONFIG_MAP,
        lambda ns: config_map(ns, "x", {"k": CANARY * 100_000}),
        ObjectInvalidError,
        {},
    ),
    "an integer of 70 bits": (
        CONFIG_MAP,
        lambda ns: config_map(ns, "x", {"k": 2**70}),
        ObjectInvalidError,
        {},
    ),
    "half a surrogate pair": (
        CONFIG_MAP,
        lambda ns: config_map(ns, "x", {"k": f"{CANARY}\ud800"}),
        ObjectInvalidError,
        {},
    ),
    "bytes": (
        SECRET,
        lambda ns: secret(ns, "x", data={"k": Secret(CANARY.encode(), "live:x")}),
        ObjectInvalidError,
        {},
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
async def test_a_refusal_names_the_field_and_no_value(case, cluster, namespace):
    resource, make, expected, facts = REFUSALS[case]
    with pytest.raises(expected) as caught:
        await cluster.apply(resource, make(namespace))
    error: AgentError = caught.value
    assert {name: error.facts.get(name) for name in facts} == facts
    assert not error.transient
    shown = f"{error} {error!r} {error.args} {error.facts} {error.hint} {error.__context__!r} {error.__cause__!r}"
    for canary in (CANARY, str(CANARY_NUMBER), str(CANARY_NUMBER % 100000 + 70000)):
        assert canary not in shown


async def test_a_new_object_of_a_name_that_is_taken_is_tried_and_nothing_is_written(cluster, namespace):
    containers = [{"name": "c", "image": "i"}]
    before = await cluster.apply(DEPLOYMENT, deployment(namespace, "d", containers))
    await cluster.try_create(DEPLOYMENT, deployment(namespace, "d", containers, app="other"))
    await cluster.try_create(DEPLOYMENT, deployment(namespace, "new", containers))
    with pytest.raises(ObjectInvalidError) as caught:
        await cluster.try_create(DEPLOYMENT, deployment(namespace, "d", [{"name": CANARY}]))
    assert "image" in caught.value.facts["field"]
    assert CANARY not in str(caught.value)
    assert await cluster.get(DEPLOYMENT, namespace, "new") is None
    after = await cluster.get(DEPLOYMENT, namespace, "d")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


async def test_an_apply_with_preconditions_does_not_touch_another_object(cluster, namespace):
    first = (await cluster.apply(CONFIG_MAP, config_map(namespace, "a", {"k": "1"})))["metadata"]
    known = {"uid": first["uid"], "resourceVersion": first["resourceVersion"]}
    await cluster.apply(CONFIG_MAP, config_map(namespace, "a", {"k": "2"}))
    with pytest.raises(StaleObjectError):
        await cluster.apply(CONFIG_MAP, config_map(namespace, "a", {"k": "3"}, **known))
    with pytest.raises(StaleObjectError):
        await cluster.delete(
            CONFIG_MAP, namespace, "a", uid=first["uid"], resource_version=first["resourceVersion"], identity=None
        )
    await cluster.delete(CONFIG_MAP, namespace, "a", uid=first["uid"], resource_version="", identity=None)
    with pytest.raises(StaleObjectError):
        await cluster.apply(CONFIG_MAP, config_map(namespace, "a", {"k": "3"}, uid=first["uid"]))
    await cluster.apply(CONFIG_MAP, config_map(namespace, "a", {"k": "new"}))
    with pytest.raises(StaleObjectError):
        await cluster.apply(CONFIG_MAP, config_map(namespace, "a", {"k": "3"}, uid=first["uid"]))
    with pytest.raises(StaleObjectError):
        await cluster.delete(CONFIG_MAP, namespace, "a", uid=first["uid"], resource_version="", identity=None)
    assert (await cluster.get(CONFIG_MAP, namespace, "a"))["data"] == {"k": "new"}


async def test_deleting_what_is_gone_is_no_error(cluster, namespace):
    gone = await cluster.delete(CONFIG_MAP, namespace, "never", uid="", resource_version="", identity=None)
    assert gone == "gone"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../secrets/x", "a%2fb"])
async def test_a_name_is_one_segment_of_the_path_or_refused(name, cluster, namespace):
    for request in (
        cluster.apply(CONFIG_MAP, config_map(namespace, name, {})),
        cluster.get(CONFIG_MAP, namespace, name),
        cluster.get(CONFIG_MAP, name, "x"),
    ):
        with pytest.raises(ObjectInvalidError):
            await request


async def test_a_name_with_odd_characters_stays_within_its_segment(cluster, namespace):
    for name in ("a?b=c", "a#b", "a b", "a\nb", "ä", "a;b", "a\\b"):
        assert await cluster.get(CONFIG_MAP, namespace, name) is None


async def test_a_thousand_objects_at_once(cluster, namespace):
    names = [f"many-{number}" for number in range(1000)]
    await asyncio.gather(*(cluster.apply(CONFIG_MAP, config_map(namespace, name, {"k": name})) for name in names))
    for listed in (
        await cluster.list(CONFIG_MAP, namespace=namespace),
        await cluster.list_metadata(CONFIG_MAP, namespace=namespace),
    ):
        assert {item["metadata"]["name"] for item in listed} >= set(names)
        assert {(item["apiVersion"], item["kind"]) for item in listed} == {("v1", "ConfigMap")}


async def test_a_lost_lease_stops_every_write_and_no_read(connect, namespace):
    def lost() -> None:
        raise LeaseLostError("lost")

    async with connect(guard=lost) as cluster:
        for write in (
            cluster.apply(CONFIG_MAP, config_map(namespace, "a", {})),
            cluster.json_patch(CONFIG_MAP, namespace, "a", []),
            cluster.delete(CONFIG_MAP, namespace, "a", uid="", resource_version="", identity=None),
        ):
            with pytest.raises(LeaseLostError):
                await write
        assert await cluster.get(CONFIG_MAP, namespace, "a") is None
        await cluster.apply(CONFIG_MAP, config_map(namespace, "a", {}), dry_run=True)
