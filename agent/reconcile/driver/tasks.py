"""TasksPort on asyncio."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from agent.reconcile.ports import TasksPort

T = TypeVar("T")

_THREADS: Final = 2
"""What runs apart shares one interpreter with the loop: more threads would only slow the loop down."""


class AsyncTasks:
    """Runs awaitables together. What is done is done: one failure cancels none of the others."""

    def __init__(self) -> None:
        self._threads: Final = ThreadPoolExecutor(_THREADS, thread_name_prefix="apart")

    async def all(self, work: Iterable[Awaitable[T]]) -> list[T]:
        results = await asyncio.gather(*work, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return [result for result in results if not isinstance(result, BaseException)]

    async def apart(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Sharing:
    """TasksPort of runs that each hold one of `slots`: who waits for something to become healthy lets another run meanwhile."""

    tasks: TasksPort
    slots: asyncio.Semaphore

    async def all(self, work: Iterable[Awaitable[T]]) -> list[T]:
        return await self.tasks.all(work)

    async def apart(self, work: Callable[[], T]) -> T:
        return await self.tasks.apart(work)

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await self.tasks.sleep(0)
            return
        self.slots.release()
        try:
            await self.tasks.sleep(seconds)
        finally:
            await self.slots.acquire()
