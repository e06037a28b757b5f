"""Applications share the agent's memory: large ones run one after the other, small ones beside them, and what is idle makes room."""

from __future__ import annotations

import asyncio
import gc
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from whole_runs import endings
from whole_runs import manifests as m
from whole_runs.installation import Installation

from agent.controllers.managed import ManagedApplication
from agent.controllers.rooms import Rooms
from agent.controllers.running import Runs
from agent.controllers.tasks import AsyncTasks
from agent.controllers.turns import Turns
from agent.engine.causes import Trigger
from agent.engine.rooms import TEXT, VALUE
from agent.manifests import documents
from agent.values.errors import SourceError
from agent.values.ids import ApplicationId

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.engine.outcome import Outcome
    from agent.yaml.limits import Limits

BUDGET = 1_200_000
KEYS = 2500


def one(name: str, keys: int) -> str:
    lines = "".join(f"  k{number:05}: a\n" for number in range(keys))
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata:\n{lines}"


def large(name: str, keys: int = KEYS) -> str:
    """In ten objects."""
    return "---\n".join(
        [*(one(f"{name}{number}", keys // 10) for number in range(9)), one(name, keys - keys // 10 * 9)]
    )


class Tenant:
    """An Application in a namespace of its own, whose runs take room as those of the driver do."""

    def __init__(self, rooms: Rooms, slots: Turns, namespace: str, files: dict[str, str], **spec: object) -> None:
        self.world = Installation(files=files, **spec)
        self.world.tasks = AsyncTasks()  # pyright: ignore[reportAttributeAccessIssue]
        self.managed = ManagedApplication(ApplicationId(namespace, "web", namespace))
        self.slots = slots
        self.pending: frozenset[Trigger] = frozenset()
        nothing = SimpleNamespace()
        self.runs = Runs(nothing, nothing, nothing, nothing, nothing, rooms, {})  # pyright: ignore[reportArgumentType]

    async def run(self, trigger: Trigger = Trigger.INTERVAL) -> Outcome:
        async with self.slots.turn(self.managed.id.namespace):
            await self.world._ready()
            self.managed.hold = SimpleNamespace(fence=self.world._held[0])  # pyright: ignore[reportAttributeAccessIssue]
            return await self.runs._rounds(self.managed, self.world._run(frozenset({trigger})), lambda: self.pending)


class World:
    def __init__(self, budget: int = BUDGET) -> None:
        self.slots = Turns(20)
        self.waits: list[tuple[str, dict[str, int]]] = []
        metrics = SimpleNamespace(waits=lambda application, why: self.waits.append((application.namespace, why)))
        self.rooms = Rooms(budget, self.slots, metrics)  # pyright: ignore[reportArgumentType]

    def tenant(self, namespace: str, files: dict[str, str], **spec: object) -> Tenant:
        return Tenant(self.rooms, self.slots, namespace, files, **spec)


def _alive() -> list[documents.Document]:
    return [each for each in gc.get_objects() if type(each) is documents.Document]


@pytest.fixture
def peak(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The most keys and values that documents in memory had together, wherever they are held, whenever a file was parsed."""
    gc.collect()
    before = _alive()
    most = [0]
    parse_file = documents.parse_file

    def counted(file: documents.File, *, limits: Limits) -> documents.ParsedFile:
        parsed = parse_file(file, limits=limits)
        alive = sum(each.size for each in _alive())
        most[0] = max(most[0], alive - sum(each.size for each in before))
        return parsed

    monkeypatch.setattr(documents, "parse_file", counted)
    return most


async def test_two_large_commits_at_once_stay_within_the_budget_and_a_small_one_is_served_meanwhile(peak: list[int]):
    world = World()
    first, second = (world.tenant(name, {"a.yaml": large("a")}) for name in ("first", "second"))
    small = world.tenant("small", {"a.yaml": m.config("a")})
    ended: list[str] = []

    async def run(tenant: Tenant) -> None:
        outcome = await tenant.run()
        assert outcome.problems == ()
        ended.append(tenant.managed.id.namespace)

    await asyncio.gather(*map(run, (first, second, small)))
    assert ended[-1] != "small"
    assert {*ended} == {"first", "second", "small"}
    assert KEYS < peak[0] <= BUDGET // VALUE
    assert ("second", {"Memory": 1}) in world.waits
    assert world.rooms.sizes["running"] == 0
    assert 0 < world.rooms.sizes["kept"] <= BUDGET
    assert len(world.slots._held) == 0


class Standstill:
    """TasksPort of a run that waits for what is not healthy: a minute passes at once, and no more before it may go `on`."""

    def __init__(self, tenant: Tenant) -> None:
        self.reached, self.on = asyncio.Event(), asyncio.Event()
        self.check: Callable[[], bool] = lambda: True
        self.clock, self.beside = tenant.world.clock, tenant.world.tasks

    def __getattr__(self, name: str) -> object:
        return getattr(self.beside, name)

    async def sleep(self, seconds: float) -> None:
        self.clock.seconds += seconds
        if self.clock.seconds > 60 and self.check():
            self.reached.set()
            await self.on.wait()
        await asyncio.sleep(0)

    async def until(self, check: Callable[[], bool]) -> None:
        """Time passes until this is so."""
        before, self.on, self.check = self.on, asyncio.Event(), check
        self.reached.clear()
        before.set()
        await self.reached.wait()


def waiting(text: str) -> dict[str, str]:
    """With a Job that everything else waits for."""
    gate = m.workload("gate", annotations={"wave": "1"}, kind="Job")
    return {"gate.yaml": gate, "a.yaml": text}


WAITING = {
    "one large one": (["greedy"], waiting(large("a")), {"a.yaml": large("a")}),
    "small ones of two namespaces": (
        ["greedy"] * 4 + ["accomplice"] * 4,
        waiting(large("a", 100)),
        {"a.yaml": large("a", 100)},
    ),
}


@pytest.mark.parametrize(("namespaces", "files", "theirs"), WAITING.values(), ids=WAITING)
async def test_who_waits_for_what_never_becomes_healthy_takes_no_room_of_others(
    namespaces: list[str], files: dict[str, str], theirs: dict[str, str]
):
    gc.collect()
    before = len(_alive())
    world = World()
    greedy, other = [world.tenant(name, files) for name in namespaces], world.tenant("other", theirs)
    still = [Standstill(each) for each in greedy]
    for each, tasks in zip(greedy, still, strict=True):
        each.world.tasks = tasks  # pyright: ignore[reportAttributeAccessIssue]
    async with asyncio.timeout(60):
        runs = [asyncio.create_task(each.run()) for each in greedy]
        await asyncio.gather(*(each.reached.wait() for each in still))
        assert (await other.run()).problems == ()
        assert [task for task in runs if task.done()] == []
        assert world.rooms.sizes["running"] == 0
        for each in (*greedy, other):
            each.managed.forget_manifests()
        gc.collect()
        assert len(_alive()) == before
        for each, tasks in zip(greedy, still, strict=True):
            endings.finish(each.world, "Job/gate")
            tasks.on.set()
        outcomes = await asyncio.gather(*runs)
    assert [outcome.problems for outcome in outcomes] == [()] * len(greedy)
    assert [{result.action for result in outcome.results} for outcome in outcomes] == [{"create"}] * len(greedy)
    assert [len(outcome.results) for outcome in outcomes] == [11] * len(greedy)
    assert len(world.slots._held) == 0


async def test_what_the_run_before_came_to_is_not_kept_while_another_one_waits():
    gc.collect()
    before = len(_alive())
    tenant = World().tenant("shop", {"a.yaml": m.config("a")})
    tenant.managed.outcome = await tenant.run()
    tenant.world.push(waiting(m.config("a", "2")))
    still = Standstill(tenant)
    tenant.world.tasks = still  # pyright: ignore[reportAttributeAccessIssue]
    async with asyncio.timeout(60):
        running = asyncio.create_task(tenant.run())
        await still.reached.wait()
        gc.collect()
        assert len(_alive()) == before + 2
        endings.finish(tenant.world, "Job/gate")
        still.on.set()
        assert (await running).problems == ()


async def test_an_outage_between_two_rounds_ends_the_run_as_one_within_a_round_does():
    tenant = World().tenant("shop", waiting(m.config("a")))
    still = Standstill(tenant)
    tenant.world.tasks = still  # pyright: ignore[reportAttributeAccessIssue]
    async with asyncio.timeout(60):
        running = asyncio.create_task(tenant.run())
        await still.reached.wait()
        tenant.world.traffic.away = True
        still.on.set()
        outcome = await running
    assert (outcome.stopped, [each.error.reason for each in outcome.problems]) == (True, ["ClusterUnavailable"])
    assert [(each.action, each.id.name, each.wrote) for each in outcome.results] == [("create", "gate", True)]


async def test_what_is_newer_ends_a_wait_and_the_next_run_waits_again():
    tenant = World().tenant("shop", waiting(m.config("a")))
    still = Standstill(tenant)
    tenant.world.tasks = still  # pyright: ignore[reportAttributeAccessIssue]
    async with asyncio.timeout(60):
        running = asyncio.create_task(tenant.run())
        await still.reached.wait()
        tenant.pending = frozenset({Trigger.PUSH})
        still.on.set()
        outcome = await running
        assert (outcome.stopped, [each.error.reason for each in outcome.problems]) == (True, ["Held"])
        assert tenant.world.live("ConfigMap/a") is None

        tenant.pending = frozenset()
        endings.finish(tenant.world, "Job/gate")
        assert (await tenant.run()).problems == ()
    assert tenant.world.live("ConfigMap/a") is not None


async def test_a_poll_that_finds_another_commit_ends_a_wait_and_one_that_does_not_asks_again_at_the_next_interval():
    tenant = World().tenant("shop", waiting(m.config("a")), interval="2m", sync={"timeout": "1h"})
    git, clock, still = tenant.world.git, tenant.world.clock, Standstill(tenant)
    tenant.world.tasks = still  # pyright: ignore[reportAttributeAccessIssue]
    async with asyncio.timeout(60):
        running = asyncio.create_task(tenant.run())
        await still.reached.wait()
        assert git.asked == 1
        git.error = SourceError("away")
        tenant.pending = frozenset({Trigger.INTERVAL})
        await still.until(lambda: git.asked == 2)
        git.error, polled = None, clock.seconds
        await still.until(lambda: git.asked == 3)
        assert 110 <= clock.seconds - polled <= 130
        assert (git.fetches, git.reads, running.done()) == (1, 1, False)
        git.push({"a.yaml": m.config("a")})
        still.on.set()
        outcome = await running
        assert (outcome.stopped, [each.error.reason for each in outcome.problems]) == (True, ["Held"])
        assert not (await tenant.run()).stopped
    assert tenant.world.live("ConfigMap/a") is not None


class Unreachable:
    """A Git server that answers late: once it is to go `on`."""

    def __init__(self, tenant: Tenant) -> None:
        self.reached, self.on = asyncio.Event(), asyncio.Event()
        self.git = tenant.world.git
        tenant.world.git = self  # pyright: ignore[reportAttributeAccessIssue]

    def __getattr__(self, name: str) -> object:
        return getattr(self.git, name)

    async def head(self, *asked: Any) -> str:
        self.reached.set()
        await self.on.wait()
        return await self.git.head(*asked)


@pytest.mark.parametrize(("namespaces", "files", "theirs"), WAITING.values(), ids=WAITING)
async def test_who_waits_for_a_git_server_takes_no_room_of_others(
    namespaces: list[str], files: dict[str, str], theirs: dict[str, str]
):
    gc.collect()
    before = len(_alive())
    world = World()
    files = {"a.yaml": files["a.yaml"]}
    greedy, other = [world.tenant(name, files) for name in namespaces], world.tenant("other", theirs)
    for each in greedy:
        assert (await each.run()).problems == ()
        each.world.push({**files, "b.yaml": m.config("b")})
    still = [Unreachable(each) for each in greedy]
    async with asyncio.timeout(60):
        runs = [asyncio.create_task(each.run()) for each in greedy]
        await asyncio.gather(*(each.reached.wait() for each in still))
        assert (await other.run()).problems == ()
        assert world.rooms.sizes["running"] == 0
        for each in (*greedy, other):
            each.managed.forget_manifests()
        gc.collect()
        assert len(_alive()) == before
        for each in still:
            each.on.set()
        outcomes = await asyncio.gather(*runs)
    assert [[result.id.name for result in outcome.results] for outcome in outcomes] == [["b"]] * len(greedy)
    assert len(world.slots._held) == 0


async def test_what_an_idle_application_keeps_makes_room_and_is_read_again(peak: list[int]):
    world = World()
    tenants = [world.tenant(f"t{number}", {"a.yaml": large("a")}) for number in range(3)]
    for tenant in tenants:
        assert (await tenant.run()).problems == ()
    assert [tenant.managed.state.compiled is not None for tenant in tenants] == [False, False, True]
    assert peak[0] <= BUDGET // VALUE
    again = await tenants[0].run()
    assert again.problems == ()
    assert [change for change in again.changes if change.cause] == []
    assert tenants[2].managed.state.compiled is None


async def test_a_commit_that_changes_everything_of_a_large_application_has_its_whole_room(peak: list[int]):
    world = World()
    tenant = world.tenant("shop", {"a.yaml": large("a")})
    await tenant.run()
    tenant.world.push({"a.yaml": large("a", KEYS + 1)})
    outcome = await tenant.run()
    assert outcome.problems == ()
    assert [result.id.name for result in outcome.results] == ["a"]
    assert peak[0] <= BUDGET // VALUE


TOO_LARGE = {
    "by its values": {f"{name}.yaml": large(name) for name in "abc"},
    "by its text": {"a.yaml": f"{large('a', 1)}  long: {'x' * (BUDGET // TEXT)}\n"},
}


@pytest.mark.parametrize("files", TOO_LARGE.values(), ids=TOO_LARGE)
async def test_what_could_never_fit_is_refused_without_reading_it_again_and_what_stands_is_healed(
    files: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    world = World()
    tenant = world.tenant("shop", {"a.yaml": large("a", 100)})
    await tenant.run()
    tenant.world.push(files)
    for _ in range(3):
        outcome = await tenant.run()
        assert [problem.error.reason for problem in outcome.problems] == ["Limit"]
        assert "memory" in outcome.problems[0].error.message
        # from the second time on, nothing is read at all
        monkeypatch.setattr(documents, "parse_file", None)
    monkeypatch.undo()
    tenant.world.edit("ConfigMap/a", "data", "k00000", to="edited")
    assert [result.action for result in (await tenant.run(Trigger.LIVE)).results] == ["heal"]
    assert tenant.world.value("ConfigMap/a", "data", "k00000") == "a"
    assert world.rooms.sizes["running"] == 0


async def test_one_large_object_has_room_for_its_copies():
    world = World()
    tenant = world.tenant("shop", {"a.yaml": one("a", KEYS * 3 // 5)})
    assert (await tenant.run()).problems == ()
    tenant.world.push({"a.yaml": one("a", KEYS)})
    assert [problem.error.reason for problem in (await tenant.run()).problems] == ["Limit"]
    tenant.world.push({"a.yaml": large("a")})
    assert (await tenant.run()).problems == ()


async def test_a_status_is_made_as_before_of_what_is_left():
    world = World()
    tenant = world.tenant("shop", {"a.yaml": m.config("a"), "b.yaml": m.config("b")})
    outcome = tenant.managed.outcome = await tenant.run()
    tenant.managed.forget_manifests()
    left = tenant.managed.outcome
    assert left is not None
    assert left.desired is not None
    assert outcome.desired is not None
    assert left.desired.objects.keys() == outcome.desired.objects.keys()
    assert [each.files for each in left.desired.objects.values()] == [("a.yaml",), ("b.yaml",)]
    assert all(each.tree == {} for each in left.desired.objects.values())
