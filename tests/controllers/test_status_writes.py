"""Two tasks tell of one Application: what is older never takes the place of what is newer."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

from agent.api import application as applications
from agent.api.status import ApplicationStatus, Condition
from agent.controllers.managed import ManagedApplication
from agent.controllers.reporting import Reporter
from agent.engine.causes import Trigger
from agent.engine.pipeline import Outcome
from agent.engine.state import State
from agent.values.errors import StoreUnavailableError
from agent.values.ids import ObjectId
from agent.values.problems import Problem

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
            metrics=SimpleNamespace(waits=lambda _, reasons: waits.append(reasons)),
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


def agent(cluster: Cluster, now: list[float]) -> Reporter:
    metrics = SimpleNamespace(
        reconciled=lambda *_: None,
        objects=lambda *_: None,
        held=lambda *_: None,
        waits=lambda *_: None,
        synced=lambda *_: None,
    )
    clock = SimpleNamespace(now=lambda: now[0], monotonic=lambda: now[0])
    live = SimpleNamespace(snapshot=lambda _: {})
    return Reporter(SimpleNamespace(home=cluster, live=live, clock=clock, metrics=metrics), "agent-0")


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
