"""Two tasks report on one Application: what is older never takes the place of what is newer."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from agent.api import application as applications
from agent.api.status import ApplicationStatus, Condition
from agent.controllers.managed import ManagedApplication
from agent.controllers.reporting import Reporter
from agent.engine.causes import Trigger
from agent.engine.outcome import Outcome
from agent.engine.state import State
from agent.values.errors import ClusterUnavailableError, ForbiddenError, ManifestError, StoreUnavailableError
from agent.values.ids import ObjectId, Revision
from agent.values.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.values.errors import AgentError

APPLICATION = applications.parse(
    {
        "apiVersion": "signet-gitops.dev/v1alpha1",
        "kind": "Application",
        "metadata": {"name": "web", "namespace": "shop", "uid": "u"},
        "spec": {"source": {"url": "https://git.example.com/x.git", "revision": {"branch": "main"}}, "suspend": True},
    }
)


class SlowFirst:
    """The first write arrives after all that come while it is under way."""

    def __init__(self) -> None:
        self.under_way = asyncio.Event()
        self.arrive = asyncio.Event()
        self.stored: dict = {}

    async def update_status(self, application: object, status: dict) -> None:
        if not self.under_way.is_set():
            self.under_way.set()
            await self.arrive.wait()
        self.stored = status


async def test_a_slow_write_is_not_overtaken() -> None:
    cluster, waits = SlowFirst(), []
    reporter = Reporter(
        SimpleNamespace(
            home=cluster,
            live=SimpleNamespace(snapshot=lambda _: {}),
            clock=SimpleNamespace(now=lambda: 0.0),
            metrics=SimpleNamespace(waits=lambda _, reasons: waits.append(reasons), refused=lambda *_: None),
        ),
        "agent-0",
    )
    unhealthy = Condition(
        type="Healthy", status="False", reason="Degraded", last_transition_time="1970-01-01T00:00:00Z"
    )
    managed = ManagedApplication(APPLICATION.id, APPLICATION, reported=ApplicationStatus(conditions=(unhealthy,)))
    managed.outcome = Outcome(State())
    slow = asyncio.create_task(reporter.refreshed(managed, APPLICATION))
    await cluster.under_way.wait()
    newer = asyncio.create_task(reporter.suspended(managed, APPLICATION))
    for _ in range(5):
        await asyncio.sleep(0)
    cluster.arrive.set()
    await asyncio.gather(slow, newer)
    assert [each["reason"] for each in cluster.stored["conditions"]] == ["Suspended"]
    assert managed.reported.tree() == cluster.stored
    assert waits == [{"Suspended": 1}]


class Cluster:
    """Keeps what is written of an Application."""

    def __init__(self) -> None:
        self.statuses: list[dict] = []
        self.events: list[tuple[str, str]] = []

    async def update_status(self, application: object, status: dict) -> None:
        self.statuses.append(status)

    async def event(self, application: object, *, kind: str, reason: str, message: str) -> None:
        self.events.append((reason, message))


def agent(
    cluster: Cluster,
    now: list[float],
    refused: Callable[[str], None] = lambda _: None,
    followed: Callable[[object], bool] = lambda _: False,
) -> Reporter:
    metrics = SimpleNamespace(
        reconciled=lambda *_: None,
        objects=lambda *_: None,
        held=lambda *_: None,
        waits=lambda *_: None,
        refused=lambda _, reason: refused(reason),
        synced=lambda *_: None,
    )
    clock = SimpleNamespace(now=lambda: now[0], monotonic=lambda: now[0])
    live = SimpleNamespace(snapshot=lambda _: {})
    return Reporter(SimpleNamespace(home=cluster, live=live, clock=clock, metrics=metrics), "agent-0", followed)


async def test_an_outage_is_one_event_and_one_entry_of_the_history_however_often_it_is_tried_again() -> None:
    cluster, now = Cluster(), [1_700_000_000.0]
    reporter = agent(cluster, now)
    managed = ManagedApplication(APPLICATION.id, APPLICATION)
    for number, again in enumerate((5, 5, 15, 35)):
        error = StoreUnavailableError("the store is sealed", hint="unseal it", store="main", status=503)
        error = error.with_facts(retry_at=f"2026-01-01T00:00:{again:02}Z")
        problems = (Problem(error, ObjectId("", "Secret", "shop", "db")),)
        started, trigger = now[0], frozenset({Trigger.REQUEST if number == 0 else Trigger.RETRY})
        now[0] += 7
        await reporter.run_ended(
            managed, APPLICATION, Outcome(State(), problems=problems), triggers=trigger, started=started, seconds=1.0
        )
    assert cluster.events == [
        ("StoreUnavailable", "Secret shop/db: the store is sealed (store main, status 503)"),
    ]
    assert len(cluster.statuses) == 3, "a try that came to the same, with the same time, is not written"
    last = cluster.statuses[-1]
    assert [each["cause"] for each in last["history"]] == ["request"]
    assert [(each["message"], each["hint"], each["retryAt"]) for each in last["failures"]] == [
        ("the store is sealed (store main, status 503)", "unseal it", "2026-01-01T00:00:35Z")
    ]
    (ready,) = [each for each in last["conditions"] if each["type"] == "Ready"]
    text = "Secret shop/db: the store is sealed (store main, status 503), next attempt 2026-01-01T00:00:35Z"
    assert ready["message"] == text


class Away(Cluster):
    """Its API server refuses the first writes of a status for this reason."""

    def __init__(self, error: AgentError, times: int = 1) -> None:
        super().__init__()
        self.errors = [error] * times

    async def update_status(self, application: object, status: dict) -> None:
        if self.errors:
            raise self.errors.pop()
        await super().update_status(application, status)


AWAY = ClusterUnavailableError("the API server does not answer")


async def test_a_status_that_could_not_be_written_is_written_soon_though_nothing_happens() -> None:
    cluster, looks = Away(AWAY, times=2), list[float]()
    reporter = agent(cluster, [0.0])
    reporter.settles = lambda _, seconds: looks.append(seconds)
    managed = ManagedApplication(APPLICATION.id, APPLICATION)
    request = frozenset({Trigger.REQUEST})
    await reporter.run_ended(managed, APPLICATION, Outcome(State()), triggers=request, started=0.0, seconds=1.0)
    for number in (1, 2):
        assert (len(looks), cluster.statuses) == (number, [])
        await reporter.refreshed(managed, APPLICATION)
    assert [each["history"][0]["cause"] for each in cluster.statuses] == ["request"]
    await reporter.refreshed(managed, APPLICATION)
    assert (len(looks), len(cluster.statuses)) == (2, 1)


async def test_a_commit_that_leaves_an_application_writes_what_could_not_be_written() -> None:
    cluster = Away(AWAY)
    reporter = agent(cluster, [0.0])
    managed = ManagedApplication(APPLICATION.id, APPLICATION)
    for trigger in (Trigger.REQUEST, Trigger.COMMIT):
        await reporter.run_ended(
            managed, APPLICATION, Outcome(State()), triggers=frozenset({trigger}), started=0.0, seconds=1.0
        )
    assert len(cluster.statuses) == 1


async def test_a_status_that_is_refused_is_tried_again_with_the_next_word_alone() -> None:
    cluster, looks = Away(ForbiddenError("RBAC does not allow it")), list[float]()
    reporter = agent(cluster, [0.0])
    reporter.settles = lambda _, seconds: looks.append(seconds)
    managed = ManagedApplication(APPLICATION.id, APPLICATION)
    await reporter.suspended(managed, APPLICATION)
    assert (looks, cluster.statuses) == ([], [])
    await reporter.suspended(managed, APPLICATION)
    assert [each["conditions"][0]["reason"] for each in cluster.statuses] == ["Suspended"]


def test_a_spec_is_read_once_as_long_as_it_stays() -> None:
    def tree(version: int, generation: int, interval: str) -> dict:
        about = {
            "name": "web",
            "namespace": "shop",
            "uid": "u",
            "resourceVersion": f"{version}",
            "generation": generation,
        }
        source = {"url": "https://git.example.com/x.git", "revision": {"branch": "main"}}
        spec = {"source": source, "interval": interval}
        return {"apiVersion": "signet-gitops.dev/v1alpha1", "kind": "Application", "metadata": about, "spec": spec}

    managed = ManagedApplication(APPLICATION.id)
    assert managed.read(tree(1, 1, "5m"))
    first = managed.application
    assert managed.read(tree(2, 1, "5m"))
    assert managed.application.resource_version == "2"
    assert managed.application.spec is first.spec
    assert managed.read(tree(3, 2, "6m"))
    assert managed.application.spec.interval == 360
    assert managed.read(tree(4, 2, "7m")), "as after a restore of the API server's backup"
    assert managed.application.spec.interval == 420


async def test_a_spec_that_cannot_be_run_is_counted_until_it_can() -> None:
    cluster, said = Cluster(), list[str]()
    reporter = agent(cluster, [0.0], said.append)
    managed = ManagedApplication(APPLICATION.id, APPLICATION)
    managed.generation, managed.refusal = 2, ManifestError("two layers are the same")
    await reporter.refused(managed)
    await reporter.run_ended(
        managed, APPLICATION, Outcome(State()), triggers=frozenset({Trigger.SPEC}), started=0.0, seconds=1.0
    )
    managed.generation, managed.refusal = 3, ManifestError("two layers are the same")
    await reporter.refused(managed)
    await reporter.suspended(managed, APPLICATION)
    assert said == ["Manifest", "", "Manifest", ""]


class Looking:
    """Runs that leave everything as it is, each at another commit; the last is what the status names."""

    def __init__(self, followed: Callable[[object], bool] = lambda _: False) -> None:
        self.cluster = Cluster()
        self.reporter = agent(self.cluster, [0.0], followed=followed)
        self.managed = ManagedApplication(APPLICATION.id, APPLICATION)
        self.commits = 0

    async def run(self, *triggers: Trigger, problems: tuple[Problem, ...] = ()) -> list[int]:
        """One run, and the commits of the statuses that were written since the last one."""
        self.commits += 1
        outcome = Outcome(State(checked=Revision(f"{self.commits:012}", "main", "", 0)), problems=problems)
        self.cluster.statuses.clear()
        await self.reporter.run_ended(
            self.managed, APPLICATION, outcome, triggers=frozenset(triggers), started=0.0, seconds=1.0
        )
        return self.written

    @property
    def written(self) -> list[int]:
        return [int(each["checkedRevision"].partition("@")[2]) for each in self.cluster.statuses]


async def test_commits_that_leave_everything_are_said_together_by_the_next_poll() -> None:
    looking = Looking()
    assert await looking.run(Trigger.START) == [1]
    for each in (Trigger.COMMIT, Trigger.PUSH, Trigger.COMMIT):
        assert await looking.run(each) == []
    looking.commits -= 1
    assert await looking.run(Trigger.INTERVAL) == [4]
    looking.commits -= 1
    assert await looking.run(Trigger.INTERVAL) == []


@pytest.mark.parametrize("trigger", sorted({*Trigger} - {Trigger.COMMIT, Trigger.PUSH}))
async def test_what_else_started_the_run_says_the_commit_at_once(trigger: Trigger) -> None:
    looking = Looking()
    await looking.run(Trigger.START)
    assert await looking.run(trigger, Trigger.COMMIT) == [2]


async def test_whatever_else_is_new_is_said_with_the_commit() -> None:
    looking = Looking()
    await looking.run(Trigger.START)
    assert await looking.run(Trigger.COMMIT) == []
    assert await looking.run(Trigger.COMMIT, problems=(Problem(ManifestError("two layers are the same")),)) == [3]
    assert await looking.run(Trigger.COMMIT) == [4], "the problem is gone"
    assert await looking.run(Trigger.COMMIT) == []
    looking.cluster.statuses.clear()
    await looking.reporter.suspended(looking.managed, APPLICATION)
    assert looking.written == [5]


async def test_a_commit_is_said_at_once_where_others_follow_the_application() -> None:
    looking = Looking(lambda application: application == APPLICATION.id)
    await looking.run(Trigger.START)
    assert await looking.run(Trigger.COMMIT) == [2]
    assert await looking.run(Trigger.PUSH) == [3]
