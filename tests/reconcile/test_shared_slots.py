"""What one tenant writes keeps no other waiting: slots are given up while a run waits, and long work leaves the loop alone."""

from __future__ import annotations

import asyncio
import time

from agent.reconcile.driver.tasks import AsyncTasks, Sharing


async def test_a_run_that_waits_lends_its_slot():
    slots = asyncio.Semaphore(1)
    tasks = Sharing(AsyncTasks(), slots)
    order: list[str] = []
    ready = asyncio.Event()

    async def waiting() -> None:
        async with slots:
            ready.set()
            await tasks.sleep(0.05)
            order.append("waited")

    async def other() -> None:
        await ready.wait()
        async with slots:
            order.append("ran meanwhile")

    async with asyncio.timeout(5):
        await asyncio.gather(waiting(), other())

    assert order == ["ran meanwhile", "waited"]
    assert not slots.locked()


async def test_a_cancelled_wait_gives_back_exactly_what_it_took():
    slots = asyncio.Semaphore(1)
    tasks = Sharing(AsyncTasks(), slots)

    async def waiting() -> None:
        async with slots:
            await tasks.sleep(60)

    task = asyncio.create_task(waiting())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    await slots.acquire()
    assert slots.locked()


async def test_long_work_leaves_the_loop_to_others():
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticking = asyncio.create_task(tick())
    tasks = AsyncTasks()
    until = time.monotonic() + 0.5

    def work() -> str:
        while time.monotonic() < until:
            pass
        return "done"

    assert await tasks.apart(work) == "done"
    ticking.cancel()
    assert ticks >= 5
