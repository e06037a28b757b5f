"""A run uses the kinds that were served when it began; it asks again where it applied definitions, and nowhere else."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from agent.api import application as applications
from agent.api.operator import Limits
from agent.controllers.tasks import AsyncTasks
from agent.desired.compiler import DesiredState
from agent.engine import commits, pipeline
from agent.engine.context import Fingerprints, Grants, Run
from agent.engine.fence import Fence
from agent.engine.ledger import Ledger
from agent.engine.live import Observer
from agent.engine.record import ApplicationRecord, ObjectRecord
from agent.engine.shards import Codec
from agent.engine.state import Compiled, State
from agent.manifests.kinds import Kinds, Resource
from agent.manifests.layers import Desired
from agent.manifests.sinks import AllowedSinks
from agent.values.ids import IN_CLUSTER, ObjectId, Revision, RunId
from agent.values.secret import Secret

CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)
DEFINITIONS = Resource(
    "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False
)
GADGETS = Resource("example.com", "v1", "Gadget", "gadgets", namespaced=True)
PRINTS = Fingerprints.derive(Secret(b"k" * 32, "test"))
APPLICATION = applications.parse(
    {
        "apiVersion": "signet-gitops.dev/v1alpha1",
        "kind": "Application",
        "metadata": {"name": "web", "namespace": "shop", "uid": "u"},
        "spec": {"source": {"url": "https://git.example.com/x.git", "revision": {"branch": "main"}}},
    }
)


class Target:
    """Serves Gadgets once their definition was applied. `asked` says of each question for the kinds whether it was a fresh one."""

    cluster = IN_CLUSTER

    def __init__(self) -> None:
        self.asked: list[bool] = []
        self.applied: list[str] = []

    async def kinds(self, *, fresh: bool = False) -> Kinds:
        self.asked.append(fresh)
        return Kinds([CONFIG_MAPS, DEFINITIONS, *([GADGETS] if "gadgets.example.com" in self.applied else [])])

    async def get(self, resource: Resource, namespace: str, name: str, **_: object) -> dict | None:
        if name not in self.applied:
            return None
        condition = {"type": "Established", "status": "True"}
        return {"apiVersion": resource.api_version, "kind": resource.kind, "status": {"conditions": [condition]}}

    async def has_conditions(self, _: Resource) -> bool:
        return False

    async def apply(self, resource: Resource, desired: dict, **_: object) -> dict:
        self.applied.append(desired["metadata"]["name"])
        return {**desired, "metadata": {**desired["metadata"], "uid": "o", "resourceVersion": "7"}}


def wanted(kind: Resource, name: str) -> Desired:
    key = ObjectId(kind.group, kind.kind, "shop" if kind.namespaced else "", name)
    metadata = {"name": name, **({"namespace": "shop"} if kind.namespaced else {})}
    tree = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}
    return Desired(key, kind.api_version, tree, ("a.yaml",))


async def reconcile(monkeypatch, objects: list[Desired], causes: set[str], *, gone: tuple[ObjectId, ...] = ()):
    desired = DesiredState(Revision("a" * 40, "main", "dev", 0), {each.id: each for each in objects})
    state = State(Compiled(desired, 1, "", {each.id: "r" for each in objects}, "a" * 40))

    async def check(*_: object) -> tuple[State, tuple[()]]:
        return state, ()

    async def read(_: object, state: State, *__: object) -> tuple[State, None]:
        return state, None

    async def compile_read(*_: object) -> tuple[State, DesiredState]:
        return state, desired

    async def nothing(*_: object, **__: object) -> None: ...

    async def follow(resources: frozenset[Resource]) -> frozenset[Resource]:
        return resources

    async def stands() -> bool:
        return True

    monkeypatch.setattr(commits, "check", check)
    monkeypatch.setattr(commits, "read", read)
    monkeypatch.setattr(commits, "compile_read", compile_read)
    target = Target()
    ports = SimpleNamespace(
        target=target,
        live=SimpleNamespace(
            follow=follow, refused=frozenset, snapshot=lambda _: {}, departed=lambda _: {}, observed=lambda *_: None
        ),
        records=SimpleNamespace(store=nothing),
        audit=SimpleNamespace(write=nothing, checkpoint=nothing),
        clock=SimpleNamespace(monotonic=lambda: 0.0, now=lambda: 0.0),
        tasks=AsyncTasks(),
        data_keys=SimpleNamespace(prepare=nothing),
    )
    codec = Codec(PRINTS.records, "u")
    ledger = Ledger(ports.records, ports.tasks, codec, APPLICATION.id, lambda: None, cluster=IN_CLUSTER)
    ledger.record = ApplicationRecord(objects={key: ObjectRecord("v1", uid="o") for key in gone})
    run = Run(
        RunId("r"),
        APPLICATION,
        frozenset(causes),
        ports,
        Observer("i", PRINTS.owners, PRINTS.owned),
        PRINTS,
        Grants(None, AllowedSinks()),
        Limits(),
        {},
        Fence(lambda: True, stands, lambda: 0.0, asyncio.Lock()),
        ledger,
    )
    return target, await pipeline.reconcile(run, state, await pipeline.look(run, state.outline))


@pytest.mark.parametrize(("causes", "fresh"), [({"live"}, False), ({"interval"}, False), ({"spec"}, True)])
async def test_the_kinds_are_asked_for_once(monkeypatch, causes, fresh):
    gone = (ObjectId("", "ConfigMap", "shop", "old"),)
    target, outcome = await reconcile(monkeypatch, [wanted(CONFIG_MAPS, "a")], causes, gone=gone)
    assert {(result.action, result.id.name) for result in outcome.results} == {("create", "a"), ("forget", "old")}
    assert target.asked == [fresh]


async def test_the_kinds_are_asked_for_again_once_definitions_are_applied(monkeypatch):
    objects = [wanted(DEFINITIONS, "gadgets.example.com"), wanted(GADGETS, "one"), wanted(CONFIG_MAPS, "a")]
    target, outcome = await reconcile(monkeypatch, objects, {"interval"})
    assert outcome.problems == ()
    assert sorted(target.applied) == ["a", "gadgets.example.com", "one"]
    assert target.asked == [False, True]
