"""How the driver holds Applications: what a hold that is over still may do (nothing), and what begins with the next one."""

from __future__ import annotations

import asyncio
import os
from types import SimpleNamespace

import pytest
from memory_world.sources import Clock, Tasks

from agent.api import application as applications
from agent.api.status import ApplicationStatus
from agent.controllers import deletion, probing, schedule
from agent.controllers.loop import Driver
from agent.controllers.managed import Hold, ManagedApplication
from agent.controllers.reporting import Reporter
from agent.controllers.settings import Settings
from agent.engine import pipeline
from agent.engine.context import Fingerprints
from agent.engine.fence import Fence
from agent.engine.outcome import Outcome
from agent.engine.ports import Ports
from agent.engine.record import ApplicationRecord
from agent.values.errors import ClusterError, LeaseLostError
from agent.values.secret import Secret

UID = "u"


def tree(version: str = "1", *, layers: str = "base", uid: str = UID, generation: int = 1) -> dict:
    metadata = {"name": "web", "namespace": "shop", "uid": uid, "resourceVersion": version, "generation": generation}
    source = {"url": "https://git.example.com/x.git", "revision": {"branch": "main"}, "layers": [layers]}
    return {
        "apiVersion": "signet-gitops.dev/v1alpha1",
        "kind": "Application",
        "metadata": metadata,
        "spec": {"source": source},
    }


class World:
    """Everything that a driver asks, in memory."""

    def __init__(self) -> None:
        self.mine, self.term, self.rechecks = True, 1, 0
        self.live: dict | None = tree()
        self.statuses: list[dict] = []
        self.shards: dict[str, str] = {}
        self.metrics: dict[str, object] = {}
        self.adopted: set[str] = set()
        self.events_refused = False
        self.storing = asyncio.Event()
        self.may_store = asyncio.Event()
        self.may_store.set()
        loop = asyncio.get_running_loop()
        clock = SimpleNamespace(now=loop.time, monotonic=loop.time)
        git = SimpleNamespace(listen=lambda _: None, serving=lambda *_: git)
        ports = Ports(
            git, None, None, None, self, None, None, self, self, self, self, None, self, clock, Tasks(Clock()), None
        )
        settings = Settings(
            "agent-a",
            SimpleNamespace(),
            Fingerprints.derive(Secret(b"x" * 32, "key")),
            lambda _: None,
            lambda _: self.mine,
            lambda: self.term,
            self._recheck,
            SimpleNamespace(),
            os.urandom,
        )
        self.driver = Driver(ports, settings, self)
        self.driver._listed.set()

    def _recheck(self) -> None:
        self.rechecks += 1

    async def see(self, found: dict) -> None:
        self.driver._take(SimpleNamespace(type="present", object=found))

    async def gone(self) -> None:
        self.live = None
        self.driver._take(SimpleNamespace(type="gone", object=tree()))

    @property
    def managed(self) -> ManagedApplication:
        return self.driver._managed[UID]

    # HomePort, TargetPort and RecordPort

    cluster = ""

    def fenced(self, check):
        return Checked(self, check)

    async def get(self, *_, **__):
        return self.live

    async def update_status(self, _, status) -> None:
        self.statuses.append(status)

    async def event(self, *_, **__) -> None:
        if self.events_refused:
            raise ClusterError("the namespace's quota is used up")

    async def load(self, _):
        return dict(self.shards)

    async def store(self, _, shards) -> None:
        self.storing.set()
        await self.may_store.wait()
        self.shards.update(shards)

    async def stands(self, _, shard, text) -> bool:
        return self.shards.get(shard) == text

    async def forget(self, application) -> None:
        """Of records and of data keys, and MetricsPort's."""
        self.shards.clear()

    # MetricsPort

    def reconciled(self, *_) -> None: ...
    def synced(self, *_) -> None: ...
    def held(self, *_) -> None: ...
    def waits(self, *_) -> None: ...

    def objects(self, application, states) -> None:
        self.metrics[application.uid] = states

    async def watch(self, *_, **__):
        await asyncio.Event().wait()
        yield

    # LivePort

    def departed(self, _):
        return {}

    def snapshot(self, _):
        return {}

    async def close(self) -> None: ...

    def adopt(self, uid, _) -> None:
        self.adopted.add(uid)

    def release(self, uid) -> None:
        self.adopted.discard(uid)

    def begin(self, _) -> None: ...
    def end(self, _) -> None: ...


class Checked:
    """The world's writes behind a check."""

    def __init__(self, world: World, check) -> None:
        self.world, self.check = world, check

    def __getattr__(self, name):
        def call(*arguments, **named):
            self.check()
            return getattr(self.world, name)(*arguments, **named)

        return call


@pytest.fixture
async def world(monkeypatch) -> World:
    async def nothing(*_, **__) -> None: ...

    monkeypatch.setattr(deletion, "keep_finalizer", nothing)
    made = World()
    metrics = SimpleNamespace(
        reconciled=made.reconciled,
        synced=made.synced,
        objects=made.objects,
        held=lambda *_: None,
        waits=lambda *_: None,
        refused=lambda *_: None,
        queued=lambda *_: None,
        waited=lambda _: None,
        began=lambda application, _: made.metrics.setdefault(application.uid, "runs"),
        ended=lambda application, _: made.metrics.setdefault(application.uid, "ran"),
        forget=lambda application: made.metrics.pop(application.uid, None),
    )
    for ports in (made.driver, made.driver._reporter):
        object.__setattr__(ports._ports, "metrics", metrics)
    return made


async def settle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


def runs(monkeypatch, run) -> None:
    async def look(*_) -> None:
        pass

    async def reconcile(run_, state, _):
        return await run(run_, state) or Outcome(state)

    monkeypatch.setattr(pipeline, "look", look)
    monkeypatch.setattr(pipeline, "reconcile", reconcile)


async def test_a_run_that_wrote_nothing_reports_nothing_once_its_hold_is_over(world, monkeypatch):
    async def left(*_) -> None:
        world.mine = False
        world.driver.rebalance()

    runs(monkeypatch, left)
    await world.see(tree())
    await settle()
    assert world.statuses == []
    assert world.metrics == {}


async def test_a_spec_that_changed_unseen_is_read_when_the_application_is_taken(world, monkeypatch):
    ran = []

    async def remember(run, _) -> None:
        ran.append((run.application.generation, run.application.spec.source.layers))

    runs(monkeypatch, remember)
    world.live = tree("7", layers="v2", generation=2)
    await world.see(tree("3"))
    await settle()
    assert ran == [(2, ("v2",))]
    # what a watch that lags behind still brings is older
    await world.see(tree("4", layers="v1"))
    await settle()
    assert world.managed.generation == 2
    assert len(ran) == 1


@pytest.mark.parametrize("live", [None, tree("9", uid="another")], ids=["gone", "another of its name"])
async def test_an_application_that_went_unseen_is_not_run(world, monkeypatch, live):
    ran = []

    async def remember(run, _) -> None:
        ran.append(run)

    runs(monkeypatch, remember)
    world.live = live
    await world.see(tree())
    await settle()
    assert ran == []
    assert world.shards == {}, "and leaves no record behind"
    assert world.driver._managed == {}


async def test_an_application_that_goes_while_it_is_taken_leaves_nothing(world, monkeypatch):
    ran = []

    async def remember(run, _) -> None:
        ran.append(run)

    runs(monkeypatch, remember)
    world.may_store.clear()
    await world.see(tree())
    await asyncio.wait_for(world.storing.wait(), 5)
    going = asyncio.create_task(world.gone())
    await settle()
    world.may_store.set()
    await going
    await settle()
    assert ran == []
    assert world.shards == {}
    assert world.adopted == set()
    assert world.metrics == {}


async def test_a_lapse_ends_the_hold_and_takes_the_next_epoch(world, monkeypatch):
    memories = []

    async def remember(run, state) -> None:
        memories.append((state, run.ledger.record.epoch))

    runs(monkeypatch, remember)
    await world.see(tree())
    await settle()
    world.term = 2
    world.driver.rebalance()
    await settle()
    assert [epoch for _, epoch in memories] == [1, 2]
    assert memories[0][0] is not memories[1][0]


async def test_a_run_that_waits_keeps_the_next_hold_from_nothing(world, monkeypatch):
    release, ran = asyncio.Event(), []

    async def first_waits(run, _) -> None:
        ran.append(run.ledger.record.epoch)
        if len(ran) == 1:
            await release.wait()

    runs(monkeypatch, first_waits)
    await world.see(tree())
    await settle()
    world.term = 2
    world.driver.rebalance()
    await settle()
    assert ran == [1, 2]
    reported = len(world.statuses)
    release.set()
    await settle()
    assert len(world.statuses) == reported, "the earlier one ends without a word"
    world.driver._changed(UID, world.managed, frozenset({"request"}))
    await settle()
    assert ran == [1, 2, 2], "and does not take the place of a run of the later one"


async def test_a_damaged_record_whose_event_is_refused_is_no_reason_to_watch_nothing(world, monkeypatch):
    async def nothing(*_) -> None: ...

    runs(monkeypatch, nothing)
    world.shards = {"head": "1.1.x.y", "objects-0": "1.1.x.y"}
    world.events_refused = True
    await world.see(tree())
    await settle()
    assert world.adopted == {UID}
    assert world.managed.hold.ledger.loss == "RecordDamaged"


async def test_a_spec_that_is_not_valid_is_reported_by_the_next_owner_too(world):
    world.live = {**tree(), "spec": {}}
    world.mine = False
    await world.see(world.live)
    await settle()
    assert world.statuses == []
    world.mine = True
    world.driver.rebalance()
    await settle()
    (status,) = world.statuses
    assert (status["agent"], status["epoch"], status["observedGeneration"]) == ("agent-a", 1, 1)


async def test_a_hold_that_ends_beside_a_run_is_taken_again(world, monkeypatch):
    release, again, ran = asyncio.Event(), asyncio.Event(), []
    monkeypatch.setattr(schedule, "FIRST_RETRY", 0.05)

    async def first_waits(run, _) -> None:
        ran.append(run.ledger.record.epoch)
        if len(ran) == 1:
            await release.wait()
        else:
            again.set()

    runs(monkeypatch, first_waits)
    driving = asyncio.create_task(world.driver.run())
    await world.see(tree())
    await settle()
    world.driver._lost(UID, world.managed, world.managed.tenure, LeaseLostError("another agent wrote the status"))
    release.set()
    await asyncio.wait_for(again.wait(), 5)
    world.driver.stop()
    await driving
    assert ran == [1, 2]
    assert world.rechecks == 1


def insisting(stands: bool) -> tuple[Reporter, ManagedApplication, list]:
    written = []

    async def update_status(_, status) -> None:
        written.append(status)

    async def answer() -> bool:
        return stands

    cluster = SimpleNamespace(update_status=update_status)
    cluster.fenced = lambda _: cluster
    reporter = Reporter(SimpleNamespace(home=cluster, clock=SimpleNamespace(now=lambda: 0.0)), "agent-a")
    managed = ManagedApplication(applications.identify(tree()), applications.parse(tree()))
    fence = Fence(lambda: True, answer, lambda: 0.0, asyncio.Lock())
    managed.hold = Hold(fence, SimpleNamespace(record=ApplicationRecord(epoch=3)))
    managed.reported = ApplicationStatus(agent="agent-a", epoch=3, revision="main@new")
    managed.found = ApplicationStatus(agent="agent-b", epoch=2, revision="main@old").tree()
    return reporter, managed, written


async def test_the_status_of_an_earlier_owner_is_replaced():
    reporter, managed, written = insisting(stands=True)
    await reporter.insist(managed)
    assert [status["revision"] for status in written] == ["main@new"]


async def test_the_status_of_a_later_owner_ends_the_hold():
    reporter, managed, written = insisting(stands=False)
    with pytest.raises(LeaseLostError):
        await reporter.insist(managed)
    assert written == []


async def test_many_applications_that_go_at_once_keep_no_other_waiting(world, monkeypatch):
    removing, may_remove = [], asyncio.Event()

    async def forget(application) -> None:
        removing.append(application.uid)
        await may_remove.wait()

    async def watch(*_):
        for number in range(40):
            yield SimpleNamespace(type="present", object=tree(uid=f"u{number}"))
        for number in range(40):
            yield SimpleNamespace(type="gone", object=tree(uid=f"u{number}"))
        yield SimpleNamespace(type="present", object=tree(uid="another"))

    object.__setattr__(world.driver._ports, "records", SimpleNamespace(forget=forget))
    world.watch = watch
    monkeypatch.setattr(world.driver, "_event", lambda _: None)
    watching = asyncio.create_task(world.driver._watch_applications())
    await settle()
    assert watching.done(), "the watch waits for no record"
    assert list(world.driver._managed) == ["another"]
    assert len(removing) == 16, "half of the requests that are made at a time"
    may_remove.set()
    await settle()
    assert len(removing) == 40


async def test_specs_that_are_not_valid_are_reported_in_the_turn_of_their_namespace(world):
    taking, load = [], world.load

    async def loading(application):
        taking.append(application)
        return await load(application)

    async def get(_resource, _namespace, name, **_):
        return found[name]

    found = {f"a{number}": {**tree(uid=f"u{number}"), "spec": {}} for number in range(40)}
    world.load, world.get = loading, get
    world.may_store.clear()
    for name, each in found.items():
        each["metadata"]["name"] = name
        await world.see(each)
    await settle()
    assert len(taking) == 4, "half of the runs that there are at a time"
    world.may_store.set()
    await asyncio.gather(*world.driver._tasks)
    assert len(world.statuses) == len(found)


async def test_a_store_that_does_not_answer_is_asked_once(world, monkeypatch):
    asked, answers = [], asyncio.Event()

    async def slow(*_):
        asked.append(1)
        await answers.wait()
        return frozenset()

    async def none(*_) -> None: ...

    monkeypatch.setattr(probing, "found", slow)
    runs(monkeypatch, none)
    await world.see(tree())
    await settle()
    probes = [asyncio.create_task(world.driver._probe(UID)) for _ in range(5)]
    await settle()
    assert len(asked) == 1
    answers.set()
    await asyncio.gather(*probes)
    await world.driver._probe(UID)
    assert len(asked) == 2
