"""What one event costs does not grow with the number of Applications, nor of objects: steps of the interpreter and memory are counted."""

from __future__ import annotations

import asyncio
import math
import sys
import tracemalloc
from dataclasses import dataclass, replace
from functools import partial
from types import FrameType, SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from agent.api.operator import Limits
from agent.api.status import ApplicationStatus
from agent.controllers import schedule, status
from agent.controllers.live_facts import LiveFacts
from agent.controllers.loop import Driver
from agent.controllers.managed import Hold
from agent.controllers.settings import Settings
from agent.controllers.status import Standing
from agent.controllers.watching import Watching
from agent.engine.context import Fingerprints, Grants
from agent.engine.fence import Fence
from agent.engine.ledger import Ledger
from agent.engine.live import LiveFact, Observer
from agent.engine.outcome import Outcome
from agent.engine.ports import WatchEvent
from agent.engine.record import ApplicationRecord, ObjectRecord
from agent.engine.state import State
from agent.manifests import ownership
from agent.manifests.health import Health
from agent.manifests.kinds import Resource
from agent.manifests.layers import Desired
from agent.manifests.ownership import Owner
from agent.manifests.sinks import AllowedSinks
from agent.values.ids import IN_CLUSTER, ApplicationId, ObjectId
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from agent.values.tree import Object

FEW, MANY = 10, 1000
_PER_LEVEL = 40
"""Instructions that an event may cost more where there are twice as many Applications: what a heap or a tree would."""
_BYTES = 2048
"""Less than one pointer each to a thousand Applications."""
OBJECTS = 5
PRINTS = Fingerprints.derive(Secret(b"k" * 32, "test"))
OBSERVER = Observer("i", PRINTS.owners, PRINTS.owned)
CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)
GADGETS = Resource("example.com", "v1", "Gadget", "gadgets", namespaced=True)
GADGET = ObjectId("example.com", "Gadget", "team-3", "one")


class Time(float):
    """Seconds whose comparisons are counted, wherever they are made."""

    def __add__(self, other: float) -> Time:
        return Time(float(self) + other)

    def __lt__(self, other: float) -> bool:
        return float(self) < float(other)

    def __gt__(self, other: float) -> bool:
        return float(self) > float(other)


def finish(work: Coroutine[object, object, object]) -> None:
    """Run what waits for nothing."""
    with pytest.raises(StopIteration):
        work.send(None)


def application(number: int, version: int = 1) -> Object:
    metadata: Object = {"name": "web", "namespace": f"team-{number}", "uid": f"u{number}", "generation": version}
    return {
        "apiVersion": "signet-gitops.dev/v1alpha1",
        "kind": "Application",
        "metadata": {**metadata, "resourceVersion": str(version)},
        "spec": {
            "source": {"url": "https://git.example.com/x.git", "revision": {"branch": "main"}},
            "interval": f"{600 + number}s",
        },
    }


def key_of(number: int, item: int = 0) -> ObjectId:
    return ObjectId("", "ConfigMap", f"team-{number}", f"c{item}")


def live(key: ObjectId, number: int, version: int) -> Object:
    """An object of an Application, as its watch brings it."""
    metadata = {"namespace": key.namespace, "name": key.name, "uid": "o", "resourceVersion": str(version)}
    tree: Object = {"apiVersion": "v1", "kind": key.kind, "metadata": metadata}
    owner = Owner("i", ApplicationId(f"team-{number}", "web", f"u{number}"))
    return ownership.stamp(tree, key, owner, PRINTS.owners)


class World:
    """An agent that runs this many Applications, each at rest."""

    def __init__(self, applications: int) -> None:
        self.now = Time(0)
        self.versions = iter(range(10, 1_000_000))
        self.facts = LiveFacts()
        target = SimpleNamespace(cluster=IN_CLUSTER, fenced=lambda _: target)
        self.watching = Watching(target, OBSERVER, self.facts)
        ports = SimpleNamespace(
            clock=SimpleNamespace(monotonic=lambda: self.now, now=lambda: self.now),
            metrics=SimpleNamespace(drifted=lambda _: None),
            home=target,
            target=target,
            records=target,
            live=self.watching,
            git=SimpleNamespace(listen=lambda _: None),
        )
        settings = Settings(
            "agent-a",
            OBSERVER,
            PRINTS,
            lambda _: Grants(None, AllowedSinks()),
            lambda _: True,
            lambda: 1,
            lambda: None,
            Limits(),
            bytes,
            probe_interval=1e9,
        )
        self.driver = Driver(ports, settings, self.watching)
        shares = SimpleNamespace(ports=lambda given, _: Given(**vars(given)))
        self.driver._runs = replace(self.driver._runs, shares=shares)
        self.driver._runs._loaded = True
        self.started: list[str] = []
        self.driver._spawn = self._spawn
        for number in range(applications):
            self.driver._take(SimpleNamespace(type="present", object=application(number)))
            self._hold(number)
        for number in range(applications):
            self.driver._event(schedule.RunEnded(f"u{number}", "ok"))

    def _spawn(self, work: Coroutine[object, object, None], name: str) -> None:
        work.close()
        self.started.append(name)

    def _hold(self, number: int) -> None:
        uid = f"u{number}"
        ledger = Ledger(None, None, None, None, lambda: None, cluster=IN_CLUSTER)
        keys = [key_of(number, item) for item in range(OBJECTS)] + [GADGET] * (number == 3)
        ledger.record = ApplicationRecord(objects={key: ObjectRecord("v1", uid="o", owned_digest="p") for key in keys})
        self.managed(number).hold = Hold(Fence(lambda: True, asyncio.sleep, lambda: 0.0, None), ledger)
        self.watching.adopt(uid, ledger)
        for key in keys:
            self.watching.observed(uid, key, LiveFact("o", "1", uid, "p", Health("Progressing", "")))

    def managed(self, number: int):
        return self.driver._managed[f"u{number}"]


@dataclass
class Given:
    home: object
    target: object
    records: object
    clock: object
    metrics: object
    live: object
    git: object


def drift(world: World) -> None:
    """A live object changes: its Application is to run, and its health has changed."""
    world.managed(3).outcome, world.managed(3).report_due = Outcome(State()), False
    version = next(world.versions)
    finish(world.watching._take(CONFIG_MAPS, key_of(3), live(key_of(3), 3, version)))
    assert world.facts.get("u3", key_of(3)).resource_version == str(version)
    world.driver._event(schedule.RunEnded("u3", "ok"))
    world.driver._event(schedule.RunEnded("u3", "ok"))


def of_another(world: World) -> None:
    """A live object turns out to be another Application's, and goes back."""
    for number in (4, 3):
        finish(world.watching._take(CONFIG_MAPS, key_of(3, 1), live(key_of(3, 1), number, next(world.versions))))
        assert list(world.facts.holders((IN_CLUSTER, key_of(3, 1)))) == [f"u{number}"]
    world.driver._event(schedule.RunEnded("u3", "ok"))
    world.driver._event(schedule.RunEnded("u3", "ok"))


def unproven(world: World) -> None:
    """A live object lost what proves its owner: the record says whose it is."""
    found = live(key_of(3, 2), 3, next(world.versions))
    finish(
        world.watching._take(CONFIG_MAPS, key_of(3, 2), {**found, "metadata": {**found["metadata"], "annotations": {}}})
    )
    assert list(world.facts.holders((IN_CLUSTER, key_of(3, 2)))) == ["u3"]
    world.driver._event(schedule.RunEnded("u3", "ok"))
    world.driver._event(schedule.RunEnded("u3", "ok"))


def end_of_a_list(world: World) -> None:
    """A watch of a kind with one object has listed it."""
    finish(world.watching._miss(GADGETS, {GADGET}))


def spec(world: World) -> None:
    """The spec of an Application changes."""
    world.started.clear()
    world.driver._take(WatchEvent("present", application(3, next(world.versions)), CONFIG_MAPS))
    assert "run u3" in world.started
    world.driver._event(schedule.RunEnded("u3", "ok"))


def comes_and_goes(world: World) -> None:
    """An Application is made, taken, left and removed."""
    number = next(world.versions)
    world.driver._take(WatchEvent("present", application(number), CONFIG_MAPS))
    world._hold(number)
    world.watching.release(f"u{number}")
    world.driver._event(schedule.Gone(f"u{number}"))
    del world.driver._managed[f"u{number}"]


def tick(world: World) -> None:
    """Time passes, and one Application is due."""
    world.started.clear()
    world.now = world.driver._schedule.wake_at()
    world.driver._event(schedule.Tick())
    (run,) = world.started
    world.driver._event(schedule.RunEnded(run.removeprefix("run "), "ok"))


def idle(world: World) -> None:
    """Time passes, and nothing is due."""
    world.driver._event(schedule.Tick())


def live_change(world: World) -> None:
    """A heal that is undone again and again waits."""
    world.driver._event(schedule.Triggered("u3", "live", 5.0))


def settles(world: World) -> None:
    """The health of an Application changes by itself, in time."""
    world.started.clear()
    world.managed(3).outcome, world.managed(3).report_due = Outcome(State()), False
    world.driver._event(schedule.Settling("u3", 5.0))
    world.driver._event(schedule.Settling("u3", 0.0))
    assert "status u3" in world.started


def run(world: World) -> None:
    """A run begins."""
    managed = world.managed(3)
    made = world.driver._runs.make(
        managed, managed.application, managed.hold, frozenset({"live"}), rotated=frozenset(), since=0.0
    )
    finish(made)


def steps(work: Callable[[], object]) -> int:
    """Instructions of the interpreter."""
    count = 0

    def trace(frame: FrameType, event: str, _: object) -> Callable[..., object]:
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def _go_through(number: int) -> int:
    return sum(each for each in range(number) if each < 0)


def least(count: Callable[[Callable[[], object]], int], work: Callable[[], object]) -> int:
    """Of a few times: now and then a table grows, or what holds no more is swept."""
    return min(count(work) for _ in range(4))


def memory(work: Callable[[], object]) -> int:
    """Bytes that are taken at once: what copies or sorts at the pace of C shows here."""
    tracemalloc.start()
    try:
        start = tracemalloc.get_traced_memory()[0]
        work()
        return tracemalloc.get_traced_memory()[1] - start
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def worlds() -> Iterator[tuple[World, World]]:
    async def make() -> tuple[World, World]:
        return World(FEW), World(MANY)

    return asyncio.run(make())


EVENTS = (drift, of_another, unproven, end_of_a_list, spec, comes_and_goes, tick, idle, live_change, settles, run)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_an_event_costs_the_same_among_many(worlds: tuple[World, World], event: Callable[[World], None]):
    few, many = (least(steps, partial(event, world)) for world in worlds)
    assert many <= few + _PER_LEVEL * math.log2(MANY / FEW)
    few, many = (least(memory, partial(event, world)) for world in worlds)
    assert many <= few + _BYTES


def test_what_goes_through_all_is_seen_in_steps_or_in_memory():
    few, many = (steps(partial(_go_through, number)) for number in (FEW, MANY))
    assert many > few + _PER_LEVEL * math.log2(MANY / FEW)
    few, many = (memory(partial(dict.fromkeys, range(number))) for number in (FEW, MANY))
    assert many > few + _BYTES
    few, many = (steps(partial(min, [Time(each) for each in range(number)])) for number in (FEW, MANY))
    assert many > few + _PER_LEVEL * math.log2(MANY / FEW)


class Counted(dict[ObjectId, ObjectRecord]):
    """A record's objects, and how often they were gone through."""

    walks = 0

    def items(self):
        self.walks += 1
        return super().items()

    def __iter__(self):
        self.walks += 1
        return super().__iter__()


async def test_a_status_after_a_health_event_goes_through_the_objects_once():
    world = World(FEW)
    managed = world.managed(3)
    objects = Counted(managed.record.objects)
    live = world.watching.snapshot("u3")
    desired = {key: Desired(key, "v1", {}, ()) for key in managed.record.objects}
    standing = Standing(ApplicationRecord(objects=objects), live, desired)
    before = status.compute(
        managed.application, standing, Outcome(State()), ApplicationStatus(), triggers=frozenset(), started=0.0, now=0.0
    )
    assert objects.walks == 1
    degraded = {key: replace(fact, health=Health("Degraded", "no")) for key, fact in live.items()}
    after = status.refresh(managed.application, replace(standing, live=degraded), Outcome(State()), before, now=0.0)
    assert objects.walks == 2
    assert [each.reason for each in after.conditions if each.type == "Healthy"] == ["Degraded"]
