"""Runs that are due are counted by namespace while they wait, and each as it begins and ends."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

from prometheus_client import generate_latest

from agent.adapters.metrics.prometheus import Metrics
from agent.controllers.managed import ManagedApplication
from agent.controllers.queues import Queue
from agent.controllers.turns import Turns
from agent.values.ids import ApplicationId

NOW = 1_800_000_000.0


class World:
    def __init__(self) -> None:
        self.metrics = Metrics(version="0")
        self.now = 100.0
        clock = SimpleNamespace(monotonic=lambda: self.now, now=lambda: NOW + self.now)
        self.queue = Queue(Turns(1), SimpleNamespace(metrics=self.metrics, clock=clock))
        self.go = asyncio.Event()

    async def run(self, managed: ManagedApplication) -> None:
        async with self.queue.place(managed, 100.0):
            await self.go.wait()

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)


def managed(namespace: str, name: str = "web") -> ManagedApplication:
    return ManagedApplication(ApplicationId(namespace, name, f"{namespace}-{name}"))


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_what_is_due_is_counted_while_it_waits_and_its_wait_when_it_begins():
    world = World()
    tasks = [asyncio.create_task(world.run(managed(*each))) for each in (("shop",), ("shop", "api"), ("bank",))]
    await settle()
    assert world.value("signet_queued_runs", namespace="shop") == 1
    assert world.value("signet_queued_runs", namespace="bank") == 1
    running = {"namespace": "shop", "application": "web"}
    assert world.value("signet_running_since_timestamp_seconds", **running) == NOW + 100
    world.now = 107.0
    world.go.set()
    await asyncio.gather(*tasks)
    assert world.value("signet_queued_runs", namespace="shop") == 0
    assert world.value("signet_queue_seconds_sum") == 14
    assert world.value("signet_running_since_timestamp_seconds", **running) is None
    assert world.value("signet_run_ended_timestamp_seconds", **running) == NOW + 107


async def test_a_run_that_is_cancelled_while_it_waits_is_not_counted_any_more():
    world = World()
    first = asyncio.create_task(world.run(managed("shop")))
    await settle()
    second = asyncio.create_task(world.run(managed("bank")))
    await settle()
    second.cancel()
    await settle()
    assert world.value("signet_queued_runs", namespace="bank") is None
    world.go.set()
    await first


async def test_a_hold_that_is_over_leaves_no_series_behind_its_run():
    world, app = World(), managed("shop")
    task = asyncio.create_task(world.run(app))
    await settle()
    app.leave()
    world.metrics.forget(app.id)
    world.go.set()
    await task
    assert b'namespace="shop"' not in generate_latest(world.metrics.registry)


async def test_a_hold_that_is_over_before_its_run_begins_leaves_none():
    world, app = World(), managed("shop")
    first = asyncio.create_task(world.run(managed("bank")))
    await settle()
    task = asyncio.create_task(world.run(app))
    await settle()
    app.leave()
    world.metrics.forget(app.id)
    world.go.set()
    await asyncio.gather(first, task)
    assert b'namespace="shop"' not in generate_latest(world.metrics.registry)
