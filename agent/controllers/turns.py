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
        self.places: Final = places
        self._each: Final = each or max(1, places // 2)
        self._free: int = places
        self._held: Final[Counter[str]] = Counter()
        self._waiting: Final[dict[str, deque[tuple[int, asyncio.Future[None]]]]] = {}

    def has(self, namespace: str, places: int) -> bool:
        """Whether `take` would give so many at once."""
        return not self._waiting and places <= self._free and self._held[namespace] + places <= self._each

    @property
    def free(self) -> int:
        """Places that are not taken."""
        return self._free

    async def take(self, namespace: str, places: int = 1) -> None:
        """Wait for a place, or for several at once. What was given to a caller who is cancelled meanwhile goes back."""
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(namespace, deque()).append((places, mine))
        self._serve()
        try:
            await mine
        except asyncio.CancelledError:
            if mine.cancelled():
                self._serve()
            else:
                self.give(namespace, places)
            raise

    def give(self, namespace: str, places: int = 1) -> None:
        """Give places back."""
        self._free += places
        self._held[namespace] -= places
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

    @asynccontextmanager
    async def lent(self, namespace: str) -> AsyncGenerator[None]:
        """The caller's place goes to others for as long as the block takes. Whatever ends that, it is the caller's again, to be given back once."""
        self.give(namespace)
        taken = False
        try:
            yield
            await self.take(namespace)
            taken = True
        finally:
            if not taken:  # the caller is about to give it back: until then there is one more than there are places
                self._free -= 1
                self._held[namespace] += 1

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
        """Give places to those who wait. Who is next waits until there are enough, and none goes before."""
        while (namespace := self._next()) is not None and self._waiting[namespace][0][0] <= self._free:
            queue = self._waiting.pop(namespace)
            places, mine = queue.popleft()
            if queue:
                self._waiting[namespace] = queue
            self._free -= places
            self._held[namespace] += places
            mine.set_result(None)

    def _next(self) -> str | None:
        """The namespace whose turn it is; who was cancelled meanwhile is passed over."""
        for namespace, queue in [*self._waiting.items()]:
            while queue and queue[0][1].done():
                _ = queue.popleft()
            if not queue:
                del self._waiting[namespace]
        ready = [name for name, queue in self._waiting.items() if self._held[name] + queue[0][0] <= self._each]
        return min(ready, key=self._held.__getitem__, default=None)
