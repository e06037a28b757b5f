"""Turns: places that namespaces share, of which none ever has all.

Who has the fewest places is next, and of those the one that waits the longest: a namespace that asks a thousand times waits for itself.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

T = TypeVar("T")


class Turns:
    """`places` at a time, at most `each` of them to one namespace; half of them where nothing else is said."""

    def __init__(self, places: int, each: int = 0) -> None:
        self._each: Final = each or max(1, places // 2)
        self._free: int = places
        self._held: Final[Counter[str]] = Counter()
        self._waiting: Final[dict[str, deque[asyncio.Future[None]]]] = {}

    @property
    def free(self) -> int:
        """Places that are not taken."""
        return self._free

    async def take(self, namespace: str) -> None:
        """Wait for a place. One that was given to a caller who is cancelled meanwhile goes back."""
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(namespace, deque()).append(mine)
        self._serve()
        try:
            await mine
        except asyncio.CancelledError:
            if not mine.cancelled():
                self.give(namespace)
            raise

    def give(self, namespace: str) -> None:
        """Give a place back."""
        self._free += 1
        self._held[namespace] -= 1
        if not self._held[namespace]:
            del self._held[namespace]
        self._serve()

    @asynccontextmanager
    async def turn(self, namespace: str) -> AsyncGenerator[None]:
        """A place for as long as the block takes."""
        await self.take(namespace)
        try:
            yield
        finally:
            self.give(namespace)

    async def to_its_end(self, namespace: str, begin: Callable[[], Awaitable[T]]) -> T:
        """The result of work that goes on where its caller is cancelled, such as a thread's: its place is taken until it ends."""
        await self.take(namespace)
        task = asyncio.ensure_future(begin())
        task.add_done_callback(lambda done: self._ended(namespace, done))
        return await asyncio.shield(task)

    def _ended(self, namespace: str, done: asyncio.Future[T]) -> None:
        if not done.cancelled():
            done.exception()
        self.give(namespace)

    def _serve(self) -> None:
        """Give places to those who wait; who was cancelled meanwhile is passed over."""
        while self._free:
            ready = [namespace for namespace in self._waiting if self._held[namespace] < self._each]
            if not ready:
                return
            namespace = min(ready, key=self._held.__getitem__)
            queue = self._waiting.pop(namespace)
            mine = queue.popleft()
            if queue:
                self._waiting[namespace] = queue
            if not mine.done():
                self._free -= 1
                self._held[namespace] += 1
                mine.set_result(None)
