"""The API server in memory answers as a real one does: the same calls to both, and what they answered compared."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest
from compared_servers import EDITOR, Side, memory_side, real_side

from agent.adapters.kubernetes.resources import CONFIG_MAP, SECRET
from agent.engine.ports import ABSENT
from agent.manifests import handover
from agent.manifests.handover import Move
from agent.manifests.kinds import Resource
from agent.manifests.managers import RELEASED
from agent.manifests.ownership import LABEL_INSTALLATION
from agent.values import derive
from agent.values.errors import StaleObjectError
from agent.values.secret import Secret
from agent.values.tree import get, get_object, get_text

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agent.engine.ports import TargetPort
    from agent.values.tree import Object
    from testbed.controlplane import ControlPlane

DEPLOYMENT = Resource("apps", "v1", "Deployment", "deployments", namespaced=True)
SERVICE = Resource("", "v1", "Service", "services", namespaced=True)
JOB = Resource("batch", "v1", "Job", "jobs", namespaced=True)
CLAIM = Resource("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", namespaced=True)


# what is done to both


def data(**values: object) -> Object:
    return {"data": values}


def pods(*containers: Object, app: str = "a", annotations: Object | None = None, **spec: object) -> Object:
    metadata: Object = {"labels": {"app": app}}
    if annotations:
        metadata["annotations"] = annotations
    template = {"metadata": metadata, "spec": {"containers": list(containers)}}
    return {"spec": {"replicas": 0, "selector": {"matchLabels": {"app": app}}, "template": template, **spec}}


def container(name: str, image: str = "i", env: dict[str, str] | None = None, **more: object) -> Object:
    tree: Object = {"name": name, "image": image, **more}
    if env:
        tree["env"] = [{"name": key, "value": value} for key, value in env.items()]
    return tree


async def changes(side: Side) -> None:
    await side.look(CONFIG_MAP, "a")
    for tree in (data(a="1", b="1"), data(a="1", b="1"), data(a="2", b="1"), data(a="2"), data(a="2", c="3"), {}):
        await side.apply(CONFIG_MAP, "a", tree)
    await side.apply(CONFIG_MAP, "a", {**data(a="1"), "metadata": {"labels": {"x": "y"}, "annotations": {"n": "1"}}})
    await side.apply(CONFIG_MAP, "a", {**data(a="1"), "metadata": {"labels": {"x": "z"}}})


async def managers(side: Side) -> None:
    await side.apply(CONFIG_MAP, "a", data(a="1", b="1"), manager="other")
    await side.apply(CONFIG_MAP, "a", data(a="2"), force=False)
    await side.apply(CONFIG_MAP, "a", data(a="2", b="2", c="2"), force=False)
    await side.apply(CONFIG_MAP, "a", data(a="1"), force=False)
    await side.apply(CONFIG_MAP, "a", data(b="1"), manager="other")
    await side.apply(CONFIG_MAP, "a", data(b="2"))
    await side.apply(CONFIG_MAP, "a", data(b="1"), manager="other", force=False)
    await side.apply(CONFIG_MAP, "a", data(b="1"), manager="other")
    await side.apply(CONFIG_MAP, "a", data(b="1"))
    await side.apply(CONFIG_MAP, "a", data(), manager="other")
    await side.apply(CONFIG_MAP, "a", data())


async def edits(side: Side) -> None:
    await side.apply(CONFIG_MAP, "a", data(a="1", b="1"))
    for change in ({"a": "edited"}, {"a": "edited", "b": "1"}, {"theirs": "x"}, {"b": None}, {"theirs": None}):
        side.edit(CONFIG_MAP, "a", {"data": change})
        await side.look(CONFIG_MAP, "a")
    await side.apply(CONFIG_MAP, "a", data(a="1", b="1"), force=False)
    await side.apply(CONFIG_MAP, "a", data(a="1", b="1"))
    side.edit(CONFIG_MAP, "a", {"metadata": {"labels": {"x": "y"}, "annotations": {"note": "x"}}})
    await side.apply(CONFIG_MAP, "a", data(a="1"))


async def people(side: Side) -> None:
    """PUT and server-side apply by others, which lose and gain items of lists, and what is taken over from them."""
    port = {"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}
    await side.apply(SERVICE, "s", {"spec": {"selector": {"app": "a"}, "ports": [port]}})
    side.replace(SERVICE, "s", lambda live: live["spec"].update(ports=[{**port, "port": 83}]))
    await side.look(SERVICE, "s")
    await side.apply(SERVICE, "s", {"spec": {"selector": {"app": "a"}, "ports": [{**port, "name": "more"}]}})
    await side.take(SERVICE, "s", {})
    await side.look(SERVICE, "s")
    await side.apply(SERVICE, "s", {"spec": {"selector": {"app": "a"}, "ports": [port]}})
    await side.apply(CONFIG_MAP, "a", data(a="1", b="1"))
    await side.apply(CONFIG_MAP, "a", data(a="1", b="1", c="1"), manager="kubectl")
    side.replace(CONFIG_MAP, "a", lambda live: live["data"].update(d="1"))
    side.replace(
        CONFIG_MAP, "a", lambda live: live["metadata"].update(finalizers=["example.com/keep"], labels={"x": "y"})
    )
    await side.look(CONFIG_MAP, "a")
    await side.take(CONFIG_MAP, "a", data(a="1"))
    await side.look(CONFIG_MAP, "a")
    await side.apply(CONFIG_MAP, "a", data(a="1"))
    side.replace(CONFIG_MAP, "a", lambda live: live.update(data={"e": "1"}))
    await side.look(CONFIG_MAP, "a")
    await side.apply(DEPLOYMENT, "d", pods(container("one", env={"A": "1"})))
    side.replace(DEPLOYMENT, "d", lambda live: live["spec"]["template"]["spec"]["containers"].append(container("two")))
    await side.take(DEPLOYMENT, "d", pods(container("one", env={"A": "1"})))
    await side.apply(DEPLOYMENT, "d", pods(container("one", env={"A": "1"})))


async def preconditions(side: Side) -> None:
    def with_(**metadata: str) -> Object:
        return {**data(a="2"), "metadata": metadata}

    await side.apply(CONFIG_MAP, "a", with_(uid="11111111-2222-3333-4444-555555555555"))
    await side.apply(CONFIG_MAP, "a", with_(resourceVersion=ABSENT))
    first = get_object(await side.apply(CONFIG_MAP, "a", data(a="1")), "metadata")
    await side.apply(CONFIG_MAP, "a", with_(resourceVersion=ABSENT))
    await side.apply(
        CONFIG_MAP, "a", with_(uid=get_text(first, "uid"), resourceVersion=get_text(first, "resourceVersion"))
    )
    await side.apply(
        CONFIG_MAP, "a", with_(uid=get_text(first, "uid"), resourceVersion=get_text(first, "resourceVersion"))
    )
    await side.apply(CONFIG_MAP, "a", with_(uid="11111111-2222-3333-4444-555555555555"))
    await side.delete(CONFIG_MAP, "a", uid=get_text(first, "uid"), version=get_text(first, "resourceVersion"))
    await side.delete(CONFIG_MAP, "a", uid="11111111-2222-3333-4444-555555555555")
    await side.delete(CONFIG_MAP, "a", uid=get_text(first, "uid"))
    await side.look(CONFIG_MAP, "a")
    await side.delete(CONFIG_MAP, "a", uid=get_text(first, "uid"))
    await side.apply(CONFIG_MAP, "a", with_(uid=get_text(first, "uid")))
    await side.apply(CONFIG_MAP, "a", with_(resourceVersion=get_text(first, "resourceVersion")))


async def dry_runs(side: Side) -> None:
    answer = await side.cluster.apply(CONFIG_MAP, side.object(CONFIG_MAP, "a", data(a="1")), dry_run=True)
    side.answers.append(answer["data"])
    await side.look(CONFIG_MAP, "a")
    await side.apply(CONFIG_MAP, "a", data(a="1"))
    answer = await side.cluster.apply(CONFIG_MAP, side.object(CONFIG_MAP, "a", data(b="2")), dry_run=True)
    side.answers.append(answer["data"])
    await side.look(CONFIG_MAP, "a")
    await side.apply(CONFIG_MAP, "a", data(a="2"), manager="other", force=False, dry_run=True)


async def tries(side: Side) -> None:
    content: list[Object] = [{"op": "add", "path": "/spec", "value": pods(container("one"), app="b")["spec"]}]
    for app in ("a", "b"):
        await side.attempt(DEPLOYMENT, "d", pods(container("one"), app=app))
        await side.look(DEPLOYMENT, "d")
        await side.apply(DEPLOYMENT, "d", pods(container("one")))
    await side.patch(DEPLOYMENT, "d", content, dry_run=True)
    content = [{"op": "add", "path": "/data", "value": {"b": "2"}}]
    await side.apply(CONFIG_MAP, "a", data(a="1"))
    answer = await side.cluster.json_patch(CONFIG_MAP, side.namespace, "a", content, dry_run=True)
    side.answers.append(answer["data"])
    await side.look(CONFIG_MAP, "a")
    await side.patch(CONFIG_MAP, "none", content, dry_run=True)


async def lists(side: Side) -> None:
    await side.apply(DEPLOYMENT, "d", pods(container("one", env={"A": "1", "B": "1"}), container("two")))
    await side.apply(DEPLOYMENT, "d", pods(container("one", "j", env={"B": "2"}), container("two")))
    side.edit(DEPLOYMENT, "d", {"spec": {"template": {"metadata": {"annotations": {"theirs": "x"}}}}})
    await side.look(DEPLOYMENT, "d")
    other = {"spec": {"template": {"spec": {"containers": [container("sidecar"), container("one", env={"C": "3"})]}}}}
    other["spec"]["template"]["spec"]["containers"][1].pop("image")
    await side.apply(DEPLOYMENT, "d", other, manager="other")
    await side.apply(
        DEPLOYMENT, "d", pods(container("one", "j", env={"B": "2"}, args=["x", "y"]), annotations={"roll": "1"})
    )
    await side.apply(DEPLOYMENT, "d", pods(container("one", "j")))
    side.edit(DEPLOYMENT, "d", {"spec": {"replicas": 3}})
    await side.apply(DEPLOYMENT, "d", pods(container("one", "j")), force=False)
    await side.apply(DEPLOYMENT, "d", pods(container("one", "j")))


async def adoptions(side: Side) -> None:
    side.make(CONFIG_MAP, side.object(CONFIG_MAP, "a", data(a="1", b="1")), "kubectl-create")
    found = await side.look(CONFIG_MAP, "a")
    entries = get(found, "metadata", "managedFields")
    assert isinstance(entries, list)
    assert isinstance(entries[0], dict)
    version = {
        "op": "replace",
        "path": "/metadata/resourceVersion",
        "value": get_text(found, "metadata", "resourceVersion"),
    }
    ours = {**entries[0], "manager": "signet", "operation": "Apply"}
    patch: list[Object] = [{"op": "replace", "path": "/metadata/managedFields", "value": [ours]}, version]
    await side.patch(CONFIG_MAP, "a", patch)
    await side.patch(CONFIG_MAP, "a", patch)
    await side.apply(CONFIG_MAP, "a", data(a="1"))
    side.edit(CONFIG_MAP, "a", {"metadata": {"annotations": {"a/b": "x"}}})
    found = await side.look(CONFIG_MAP, "a")
    await side.patch(CONFIG_MAP, "a", [{"op": "remove", "path": "/metadata/annotations/a~1b"}])
    await side.patch(CONFIG_MAP, "a", [{"op": "remove", "path": "/metadata/annotations/a~1b"}])
    await side.patch(CONFIG_MAP, "a", [{"op": "test", "path": "/data/a", "value": "other"}])
    await side.patch(CONFIG_MAP, "none", [{"op": "test", "path": "/data/a", "value": "other"}])


async def handovers(side: Side) -> None:
    def of(manager: str) -> Callable[[Object], bool]:
        return lambda entry: entry["manager"] == manager

    async def move(resource: Resource, name: str, field: tuple[str, ...], source: str, to: str) -> None:
        for _ in range(20):  # controllers write status in between
            found = await side.cluster.get(resource, side.namespace, name) or {}
            patch = handover.patch(found, [Move({field}, of(source), to)])
            with contextlib.suppress(StaleObjectError):
                await side.cluster.json_patch(resource, side.namespace, name, patch)
                break
        await side.look(resource, name)

    field = ("f:data", "f:b")
    await side.apply(CONFIG_MAP, "a", data(a="1", b="1"))
    await move(CONFIG_MAP, "a", field, "signet", RELEASED)
    await side.apply(CONFIG_MAP, "a", data(a="2"))
    await side.apply(CONFIG_MAP, "a", data(a="2", b="2"), force=False)
    await move(CONFIG_MAP, "a", field, RELEASED, "signet")
    await side.apply(CONFIG_MAP, "a", data(a="2", b="2"), force=False)
    await move(CONFIG_MAP, "a", field, "signet", RELEASED)
    side.edit(CONFIG_MAP, "a", {"data": {"b": "edited", "theirs": "x"}})
    await side.apply(CONFIG_MAP, "a", data(a="2"))
    await move(CONFIG_MAP, "a", ("f:data", "f:theirs"), EDITOR, "signet")
    await side.apply(CONFIG_MAP, "a", data(a="2"))
    await side.apply(DEPLOYMENT, "d", pods(container("one", env={"A": "1", "B": "1"})))
    env = ("f:spec", "f:template", "f:spec", "f:containers", 'k:{"name":"one"}', "f:env", 'k:{"name":"A"}', "f:value")
    await move(DEPLOYMENT, "d", env, "signet", RELEASED)
    await move(DEPLOYMENT, "d", ("f:spec", "f:replicas"), "signet", RELEASED)
    kept = pods(container("one", env={"B": "2"}))
    kept["spec"]["template"]["spec"]["containers"][0]["env"].insert(0, {"name": "A"})
    del kept["spec"]["replicas"]
    await side.apply(DEPLOYMENT, "d", kept)


async def finalizers(side: Side) -> None:
    await side.apply(CONFIG_MAP, "a", {**data(a="1"), "metadata": {"finalizers": ["example.com/keep"]}})
    await side.delete(CONFIG_MAP, "a")
    await side.look(CONFIG_MAP, "a")
    await side.delete(CONFIG_MAP, "a")
    await side.patch(CONFIG_MAP, "a", [{"op": "add", "path": "/metadata/finalizers", "value": []}])
    await side.look(CONFIG_MAP, "a")


async def immutable(side: Side) -> None:
    await side.apply(DEPLOYMENT, "d", pods(container("one")))
    await side.apply(DEPLOYMENT, "d", pods(container("one"), app="b"))
    await side.apply(CONFIG_MAP, "a", {**data(a="1"), "immutable": True})
    await side.apply(CONFIG_MAP, "a", {**data(a="1"), "immutable": True})
    await side.apply(CONFIG_MAP, "a", {**data(a="2"), "immutable": True})
    await side.apply(CONFIG_MAP, "a", data(a="1"))
    job = {
        "spec": {"suspend": True, "template": {"spec": {"restartPolicy": "Never", "containers": [container("one")]}}}
    }
    await side.apply(JOB, "j", job)
    job["spec"]["template"]["spec"]["containers"][0]["image"] = "k"
    await side.apply(JOB, "j", job)
    claim = {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}
    await side.apply(CLAIM, "c", claim)
    claim["spec"]["accessModes"] = ["ReadWriteMany"]
    await side.apply(CLAIM, "c", claim)


async def owners(side: Side) -> None:
    for owner, orphan in (("kept", True), ("gone", False)):
        made = await side.apply(CONFIG_MAP, owner, data(a="1"))
        reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": owner, "uid": get_text(made, "metadata", "uid")}
        await side.apply(
            CONFIG_MAP, f"of-{owner}", {**data(a="1"), "metadata": {"ownerReferences": [reference]}}, manager="other"
        )
        await side.cluster.delete(
            CONFIG_MAP, side.namespace, owner, uid="", resource_version="", identity=None, orphan=orphan
        )
    await side.until(lambda tree: not tree, CONFIG_MAP, "kept")
    await side.until(lambda tree: not tree, CONFIG_MAP, "of-gone")
    found = await side.cluster.get(CONFIG_MAP, side.namespace, "of-kept")
    side.answers.append(get_object(found or {}, "metadata").get("ownerReferences") or [])


async def secrets(side: Side) -> None:
    value = derive.base64_encode(Secret("canary", "test"))
    for tree in (
        data(a=value),
        data(a=value),
        data(a=value, b=value),
        data(b=derive.base64_encode(Secret("x", "test"))),
    ):
        answer = await side.apply(SECRET, "s", tree)
        assert all(isinstance(each, Secret) for each in get_object(answer, "data").values())


async def labels(side: Side) -> None:
    ours = {"metadata": {"labels": {LABEL_INSTALLATION: "i"}}}
    selector = f"{LABEL_INSTALLATION}=i"
    await side.apply(CONFIG_MAP, "a", {**ours, **data(a="1")})
    await side.apply(CONFIG_MAP, "b", data(a="1"))
    for listed in (side.cluster.list, side.cluster.list_metadata):
        found = await listed(CONFIG_MAP, namespace=side.namespace, selector=selector)
        side.answers.append([(get_text(each, "metadata", "name"), "data" in each) for each in found])
    watch = side.cluster.watch(CONFIG_MAP, namespace=side.namespace, selector=selector)

    async def comes(type_: str) -> None:
        async with asyncio.timeout(30):
            event = await anext(watch)
        side.answers.append((event.type, get_text(event.object, "metadata", "name")))
        assert event.type == type_

    await comes("present")
    await comes("synced")
    await side.apply(CONFIG_MAP, "b", {**ours, **data(a="1")})
    await comes("present")
    await side.apply(CONFIG_MAP, "b", data(a="1"))
    await comes("gone")
    await side.delete(CONFIG_MAP, "a")
    await comes("gone")
    await watch.aclose()


STORIES: dict[str, Callable[[Side], Awaitable[None]]] = {
    story.__name__: story
    for story in (
        changes,
        managers,
        edits,
        preconditions,
        dry_runs,
        tries,
        lists,
        adoptions,
        people,
        handovers,
        finalizers,
        immutable,
        owners,
        secrets,
        labels,
    )
}


@pytest.mark.parametrize("story", STORIES)
async def test_the_server_in_memory_answers_as_a_real_one(
    story: str, cluster: TargetPort, controlplane: ControlPlane, namespace: str
) -> None:
    real, model = real_side(cluster, controlplane, namespace), memory_side(namespace)
    for side in (real, model):
        await STORIES[story](side)
    for number, (expected, found) in enumerate(zip(real.answers, model.answers, strict=True)):
        assert found == expected, f"answer {number}"
