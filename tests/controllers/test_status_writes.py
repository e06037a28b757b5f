"""Two tasks tell of one Application: what is older never takes the place of what is newer."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

from agent.api import application as applications
from agent.api.status import ApplicationStatus, Condition
from agent.controllers.managed import Managed
from agent.controllers.reporting import Reporter
from agent.engine.pipeline import Outcome
from agent.engine.state import State

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
    cluster = SlowFirst()
    reporter = Reporter(
        SimpleNamespace(
            home=cluster, live=SimpleNamespace(snapshot=lambda _: {}), clock=SimpleNamespace(now=lambda: 0.0)
        ),
        "agent-0",
    )
    unhealthy = Condition(
        type="Healthy", status="False", reason="Degraded", last_transition_time="1970-01-01T00:00:00Z"
    )
    managed = Managed(APPLICATION.id, APPLICATION, reported=ApplicationStatus(conditions=(unhealthy,)))
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
