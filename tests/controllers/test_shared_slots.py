"""What one tenant writes keeps no other waiting: places are shared by namespace, given up while a run waits, and long work leaves the
loop alone."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from hypothesis import given
from hypothesis import strategies as st

from agent.controllers.managed import ManagedApplication
from agent.controllers.rooms import Rooms
from agent.controllers.tasks import AsyncTasks, Shares, Sharing
from agent.controllers.turns import Turns
from agent.values.ids import ApplicationId

if TYPE_CHECKING:
    from agent.engine.ports import Ports
    from agent.engine.repositories import Turn


@dataclass
class Given:
    """Of the ports, those that are shared."""

    tasks: object
    git: object


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def sharing(slots: Turns, namespace: str = "shop") -> Sharing:
    return Sharing(AsyncTasks(), slots, Turns(2), Turns(32), namespace)


async def test_a_run_that_waits_lends_its_slot():
    slots = Turns(1)
    tasks = sharing(slots)
    order: list[str] = []
    ready = asyncio.Event()

    async def waiting() -> None:
        async with slots.turn("shop"):
            ready.set()
            await tasks.sleep(0.05)
            order.append("waited")

    async def other() -> None:
        await ready.wait()
        async with slots.turn("shop"):
            order.append("ran meanwhile")

    async with asyncio.timeout(30):
        await asyncio.gather(waiting(), other())

    assert order == ["ran meanwhile", "waited"]
    assert slots.free == 1


async def test_a_cancelled_wait_gives_back_exactly_what_it_took():
    slots = Turns(1)
    tasks = sharing(slots)

    async def waiting() -> None:
        async with slots.turn("shop"):
            await tasks.sleep(60)

    task = asyncio.create_task(waiting())
    await settle()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert slots.free == 1


async def test_a_wait_for_memory_that_is_cancelled_gives_back_exactly_what_it_took():
    """It has its memory and waits for the place that it lent, which another run of its namespace has by then."""
    slots, waits = Turns(2), list[object]()
    rooms = Rooms(600, slots, SimpleNamespace(waits=lambda _, reasons: waits.append(reasons)))
    first, second = (ManagedApplication(ApplicationId(name, name, name)) for name in ("a", "b"))

    async def waiting() -> None:
        async with slots.turn("b"), rooms.room(second, whole=True):
            raise AssertionError("it was cancelled before")

    async with asyncio.timeout(30), slots.turn("a"):
        async with rooms.room(first, whole=True):
            task = asyncio.create_task(waiting())
            await settle()
            await slots.take("b")
        await settle()
        assert rooms.sizes["running"] == 500
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    slots.give("b")
    assert rooms.sizes["running"] == 0
    assert slots.free == 2
    assert waits == [{"Memory": 1}, {}]
    async with asyncio.timeout(30), rooms.room(first, whole=True):
        assert rooms.sizes["running"] == 500


async def test_a_sleep_that_is_cancelled_as_it_ends_gives_back_exactly_what_it_took():
    slots = Turns(1)
    tasks = sharing(slots)

    async def waiting() -> None:
        async with slots.turn("shop"):
            await tasks.sleep(0.01)

    task = asyncio.create_task(waiting())
    await settle()
    await slots.take("shop")
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert slots.free == 0
    slots.give("shop")
    assert slots.free == 1


async def test_a_caller_without_a_namespace_has_its_turn():
    turns = Turns(2, 1)
    async with asyncio.timeout(30), turns.turn(""):
        assert turns.free == 1
    assert turns.free == 2


async def test_one_namespace_never_has_all_slots():
    """Eight Applications that hang, and then one of another namespace."""
    slots = Shares.of(8).slots
    hang = asyncio.Event()
    began: list[str] = []

    async def run(namespace: str) -> None:
        async with slots.turn(namespace):
            began.append(namespace)
            if namespace == "greedy":
                await hang.wait()

    greedy = [asyncio.create_task(run("greedy")) for _ in range(20)]
    await settle()
    assert began == ["greedy"] * 4
    async with asyncio.timeout(30):
        await asyncio.gather(*(run("other") for _ in range(30)))
    hang.set()
    await asyncio.gather(*greedy)
    assert Counter(began) == {"greedy": 20, "other": 30}


async def test_a_namespace_with_the_fewest_places_is_next():
    slots = Turns(4, 3)
    order: list[str] = []

    async def run(namespace: str, hold: asyncio.Event) -> None:
        async with slots.turn(namespace):
            order.append(namespace)
            await hold.wait()

    first, rest = asyncio.Event(), asyncio.Event()
    tasks = [asyncio.create_task(run("a", first)) for _ in range(3)] + [asyncio.create_task(run("b", first))]
    await settle()
    tasks += [asyncio.create_task(run(namespace, rest)) for namespace in "aaaabcd"]
    await settle()
    assert order == ["a", "a", "a", "b"]
    first.set()
    await settle()
    assert Counter(order[4:]) == {"a": 1, "b": 1, "c": 1, "d": 1}
    rest.set()
    await asyncio.gather(*tasks)
    assert Counter(order) == {"a": 7, "b": 2, "c": 1, "d": 1}


@given(
    steps=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["take", "give", "cancel"])), max_size=40),
    places=st.integers(1, 4),
    each=st.integers(1, 3),
)
async def test_places_are_never_lost_nor_made(steps: list[tuple[str, str]], places: int, each: int):
    turns = Turns(places, each)
    tasks: dict[str, list[asyncio.Task[None]]] = {name: [] for name in "abc"}

    def held(name: str) -> list[asyncio.Task[None]]:
        return [task for task in tasks[name] if task.done()]

    for name, what in steps:
        if what == "take":
            tasks[name].append(asyncio.create_task(turns.take(name)))
        elif what == "give" and held(name):
            tasks[name].remove(held(name)[0])
            turns.give(name)
        elif what == "cancel" and tasks[name] and not tasks[name][-1].done():
            cancelled = tasks[name].pop()
            cancelled.cancel()
            await asyncio.gather(cancelled, return_exceptions=True)
        await settle()
        every = sum(len(held(each_name)) for each_name in "abc")
        assert turns.free == places - every
        assert all(len(held(each_name)) <= each for each_name in "abc")
        waiting = [each_name for each_name in "abc" if len(held(each_name)) < min(each, len(tasks[each_name]))]
        assert not waiting or not turns.free, "no place is free while a task may have it"
    for task in [task for some in tasks.values() for task in some]:
        task.cancel()
    await asyncio.gather(*(task for some in tasks.values() for task in some), return_exceptions=True)


async def test_a_server_that_answers_slowly_keeps_its_share_of_the_gits():
    hang = asyncio.Event()
    running = 0

    class Git:
        def serving(self, application: str, turn: Turn) -> SimpleNamespace:
            async def head() -> str:
                nonlocal running
                async with turn():
                    running += 1
                    if application == "greedy":
                        await hang.wait()
                    return application

            return SimpleNamespace(head=head)

    ports, shares = cast("Ports", Given(tasks=AsyncTasks(), git=Git())), Shares.of(8)
    greedy, other = (
        cast("SimpleNamespace", shares.ports(ports, ApplicationId(name, "web", name)).git)
        for name in ("greedy", "other")
    )
    tasks = [asyncio.create_task(greedy.head()) for _ in range(8)]
    await settle()
    assert running == 2
    async with asyncio.timeout(30):
        assert await other.head() == "other"
    hang.set()
    await asyncio.gather(*tasks)


async def test_heavy_work_of_one_namespace_leaves_a_thread_to_others():
    ports = cast("Ports", SimpleNamespace(tasks=AsyncTasks(), git=None))
    shares = Shares.of(8)
    end = threading.Event()
    greedy, other = (
        Sharing(ports.tasks, shares.slots, shares.heavy, shares.calls, name) for name in ("greedy", "other")
    )
    tasks = [asyncio.create_task(greedy.in_thread(end.wait)) for _ in range(5)]
    async with asyncio.timeout(30):
        assert await other.in_thread(lambda: "done") == "done"
    tasks[0].cancel()
    await settle()
    assert shares.heavy.free == 1, "a thread is not free because its caller went away"
    end.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    await settle()
    assert shares.heavy.free == 2


async def test_ten_thousand_requests_of_one_namespace_leave_places_to_others():
    shares, hang = Shares.of(8), asyncio.Event()
    under_way = 0

    async def request() -> None:
        nonlocal under_way
        under_way += 1
        await hang.wait()

    greedy, other = (
        Sharing(AsyncTasks(), shares.slots, shares.heavy, shares.calls, name) for name in ("greedy", "other")
    )
    waiting = [asyncio.create_task(greedy.all([request() for _ in range(10_000)]))]
    await settle()
    assert under_way == 16
    async with asyncio.timeout(30):
        assert await other.all([asyncio.sleep(0, number) for number in range(100)]) == list(range(100))
    waiting[0].cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert shares.calls.free == 32
    assert under_way == 16, "what had no turn yet was not begun"


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

    assert await tasks.in_thread(work) == "done"
    ticking.cancel()
    assert ticks >= 5
