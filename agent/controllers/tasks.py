"""TasksPort on asyncio, and how the runs of all namespaces share what there is."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeVar

from agent.controllers.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from agent.engine.ports import Ports, TasksPort
    from agent.values.ids import ApplicationId

T = TypeVar("T")

_THREADS: Final = 2
"""What runs in a thread shares one interpreter with the loop: more threads would only slow the loop down."""


_CALLS: Final = 32
"""As many as `Session` makes at a time."""
_GITS: Final = 4
"""As many as `Mirrors` has workers."""


class AsyncTasks:
    """Runs awaitables together. What is done is done: one failure cancels none of the others."""

    def __init__(self) -> None:
        self._threads: Final = ThreadPoolExecutor(_THREADS, thread_name_prefix="heavy")

    async def all(self, work: Iterable[Awaitable[T]]) -> list[T]:
        results = await asyncio.gather(*work, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return [result for result in results if not isinstance(result, BaseException)]

    async def in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Sharing:
    """TasksPort of the runs of one namespace, each of which has one of `slots`: who waits for something to become healthy gives it up.

    `heavy` are the turns of what runs in a thread, `calls` those of what a run does at once, mostly requests to the API server.
    """

    tasks: TasksPort
    slots: Turns
    heavy: Turns
    calls: Turns
    namespace: str

    async def all(self, work: Iterable[Awaitable[T]]) -> list[T]:
        items = list(work)

        async def one(item: Awaitable[T]) -> T:
            async with self.calls.turn(self.namespace):
                return await item

        try:
            return await self.tasks.all([one(item) for item in items])
        finally:
            for item in items:
                if asyncio.iscoroutine(item):
                    item.close()  # one that was cancelled before its turn

    async def in_thread(self, work: Callable[[], T]) -> T:
        return await self.heavy.to_its_end(self.namespace, lambda: self.tasks.in_thread(work))

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await self.tasks.sleep(0)
            return
        async with self.slots.lent(self.namespace):
            await self.tasks.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Shares:
    """What the runs of all namespaces have turns in. Made within the loop that runs them."""

    slots: Turns
    heavy: Turns
    gits: Turns
    calls: Turns

    @classmethod
    def of(cls, runs: int) -> Shares:
        """For so many runs at a time."""
        return cls(Turns(runs), Turns(_THREADS), Turns(_GITS), Turns(_CALLS))

    def ports(self, ports: Ports, application: ApplicationId) -> Ports:
        """The ports of a run of an Application: a server that answers slowly keeps no more than its namespace's share of the gits."""
        namespace = application.namespace
        return replace(
            ports,
            tasks=Sharing(ports.tasks, self.slots, self.heavy, self.calls, namespace),
            git=ports.git.serving(application.uid, lambda: self.gits.turn(namespace)),
        )
