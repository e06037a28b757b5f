"""A namespace whose live objects cost much to look at keeps no other one waiting, and what it changed last is known in the end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import pytest

from agent.controllers import resting
from agent.controllers.live_facts import LiveFacts
from agent.controllers.watching import Watching
from agent.engine.context import Fingerprints
from agent.engine.live import Observer
from agent.engine.ports import WatchEvent
from agent.manifests import ownership
from agent.manifests.kinds import Resource
from agent.manifests.ownership import Owner
from agent.values.errors import ClusterUnavailableError
from agent.values.ids import IN_CLUSTER, ApplicationId, ObjectId
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from agent.engine.live import LiveFact
    from agent.engine.ports import TargetPort
    from agent.values.tree import Object

CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)
PRINTS = Fingerprints.derive(Secret(b"k" * 32, "test"))
OBSERVER = Observer("i", PRINTS.owners, PRINTS.owned)
GREEDY, CALM = (ObjectId("", "ConfigMap", namespace, "c") for namespace in ("greedy", "calm"))


def live(key: ObjectId, version: int) -> Object:
    metadata = {"namespace": key.namespace, "name": key.name, "uid": "o", "resourceVersion": str(version)}
    tree: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    return ownership.stamp(tree, key, Owner("i", ApplicationId(key.namespace, "web", "u")), PRINTS.owners)


@dataclass
class World:
    """A cluster whose objects take the processor time of their namespace to look at."""

    costs: dict[str, float]
    cluster = IN_CLUSTER
    installation = "i"
    spent: float = 0.0
    looked: list[str] = field(default_factory=list[str])
    stands: dict[ObjectId, Object] = field(default_factory=dict["ObjectId", "Object"])
    away: int = 0
    """How often it is asked in vain."""
    events: asyncio.Queue[WatchEvent] = field(default_factory=asyncio.Queue["WatchEvent"])
    facts: LiveFacts = field(default_factory=LiveFacts)

    def observe(self, found: Object, *, reports: bool = False) -> LiveFact:
        key = OBSERVER.identify(found)
        self.looked.append(key.namespace)
        self.spent += self.costs.get(key.namespace, 0.0)
        return OBSERVER.observe(found, reports=reports)

    async def watch(self, resource: Resource, *, selector: str) -> AsyncGenerator[WatchEvent]:
        assert selector
        yield WatchEvent("synced", {}, resource)
        while True:
            yield await self.events.get()
            self.events.task_done()

    async def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        if self.away:
            self.away -= 1
            raise ClusterUnavailableError("away")
        return self.stands.get(ObjectId(resource.group, resource.kind, namespace, name))

    async def begin(self) -> Watching:
        watching = Watching(cast("TargetPort", self), cast("Observer", self), self.facts, lambda: self.spent)
        watching.changed = lambda _: None
        self.facts.adopt("u", IN_CLUSTER, {})
        assert await watching.follow([CONFIG_MAPS]) == {CONFIG_MAPS}
        return watching

    def change(self, key: ObjectId, version: int) -> None:
        self.stands[key] = live(key, version)
        self.events.put_nowait(WatchEvent("present", self.stands[key], CONFIG_MAPS))

    def remove(self, key: ObjectId) -> None:
        self.events.put_nowait(WatchEvent("gone", self.stands.pop(key), CONFIG_MAPS))

    def version(self, key: ObjectId) -> str:
        fact = self.facts.get("u", key)
        return fact.resource_version if fact else ""

    async def until(self, key: ObjectId, version: str) -> None:
        async with asyncio.timeout(30):
            while self.version(key) != version:  # noqa: ASYNC110  # nothing says that a watch took something in
                await asyncio.sleep(0.01)


async def test_a_flood_of_costly_changes_is_looked_at_twice_and_no_other_namespace_waits() -> None:
    world = World({"greedy": 0.03})
    watching = await world.begin()
    for version in range(1, 51):
        world.change(GREEDY, version)
        world.change(CALM, version)
    await asyncio.wait_for(world.events.join(), 30)
    await world.until(CALM, "50")
    assert world.version(GREEDY) == "1"

    await world.until(GREEDY, "50")
    assert (world.looked.count("greedy"), world.looked.count("calm")) == (2, 50)
    await watching.close()


async def test_what_goes_while_its_namespace_rests_is_gone_in_the_end() -> None:
    world = World({"greedy": 0.03})
    watching = await world.begin()
    world.change(GREEDY, 1)
    await world.until(GREEDY, "1")
    world.change(GREEDY, 2)
    world.remove(GREEDY)
    await world.until(GREEDY, "")
    await watching.close()


async def test_a_cluster_that_does_not_answer_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resting, "_AGAIN_SECONDS", 0.01)
    world = World({"greedy": 0.03}, away=2)
    watching = await world.begin()
    world.change(GREEDY, 1)
    await world.until(GREEDY, "1")
    world.change(GREEDY, 2)
    await world.until(GREEDY, "2")
    assert world.away == 0
    await watching.close()


@pytest.mark.parametrize("cost", [0.0, 0.019])
async def test_changes_that_cost_little_are_looked_at_one_by_one(cost: float) -> None:
    world = World({"greedy": cost})
    watching = await world.begin()
    for version in range(1, 51):
        world.change(GREEDY, version)
    await world.until(GREEDY, "50")
    assert world.looked == ["greedy"] * 50
    await watching.close()


async def test_a_rest_ends() -> None:
    world = World({"greedy": 0.02})
    watching = await world.begin()
    world.change(GREEDY, 1)
    await world.until(GREEDY, "1")
    async with asyncio.timeout(30):
        while watching._resting._waiting:  # noqa: ASYNC110  # nothing says that a rest ended
            await asyncio.sleep(0.01)
    world.change(GREEDY, 2)
    world.stands.clear()  # it is not asked
    await world.until(GREEDY, "2")
    await watching.close()
