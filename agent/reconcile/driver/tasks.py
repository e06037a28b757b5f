"""TasksPort on asyncio."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable

T = TypeVar("T")


class AsyncTasks:
    """Runs awaitables together. What is done is done: one failure cancels none of the others."""

    async def all(self, work: Iterable[Awaitable[T]]) -> list[T]:
        results = await asyncio.gather(*work, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return [result for result in results if not isinstance(result, BaseException)]

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
