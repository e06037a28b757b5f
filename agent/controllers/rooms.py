"""The memory that all Applications share for their manifests, and who has how much of it.

What runs has room first. What is kept of Applications that do not run goes as soon as a run needs its room, the oldest first. Small runs have
a part of their own, in which no namespace has more than half, so that they pass beside large ones; those take turns in the rest, where
the one that is next waits until there is enough, so that its turn comes.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from agent.controllers.turns import Turns
from agent.engine import rooms
from agent.engine.rooms import Room

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from agent.controllers.managed import ManagedApplication
    from agent.engine.ports import MetricsPort

_SMALL_PART: Final = 6
"""Of so many parts of all, small runs have one."""
_SMALL: Final = 48
"""The same of one small run: eight of them run at a time."""
WAITS: Final = "Memory"


class Rooms:
    """Over `total` bytes. A run that has to wait lends its place among `slots`; manifests of an Application that is idle go by `forget`."""

    def __init__(self, total: int, slots: Turns, metrics: MetricsPort) -> None:
        self._small: Final = Turns(total // _SMALL_PART)
        self._large: Final = Turns(total - total // _SMALL_PART, total)
        self._one: Final = total // _SMALL
        self._total: Final = total
        self._slots: Final = slots
        self._metrics: Final = metrics
        self._kept: Final[dict[str, tuple[int, ManagedApplication]]] = {}

    @property
    def sizes(self) -> Mapping[str, int]:
        """Bytes: of `running` Applications, `kept` of others, and the `limit` of both."""
        return {"running": self._running, "kept": self._idle, "limit": self._total}

    @property
    def _running(self) -> int:
        return self._small.places + self._large.places - self._small.free - self._large.free

    @property
    def _idle(self) -> int:
        return sum(size for size, _ in self._kept.values())

    @asynccontextmanager
    async def room(self, managed: ManagedApplication, *, whole: bool = False) -> AsyncGenerator[Room]:
        """Room for a run: for what is kept of its Application and as much as is small, or the `whole` of what one may have."""
        namespace, taken = managed.id.namespace, rooms.of_state(managed.state)
        most = self._large.places if whole else max(self._one, taken + self._one // 2)
        turns = self._small if most <= self._one else self._large
        most = min(most, turns.places)
        await self._take(managed, turns, most)
        held = most

        def settled(left: int) -> None:
            nonlocal held
            held -= left
            turns.give(namespace, left)

        try:
            _ = self._kept.pop(managed.id.uid, None)
            self._forget()
            yield Room(most, taken, whole=whole, settled=settled)
        finally:
            turns.give(namespace, held)
            if (size := rooms.of_state(managed.state)) > 0:
                self._kept[managed.id.uid] = (size, managed)
            self._forget()

    def leave(self, uid: str) -> None:
        """Nothing is kept of an Application any more."""
        _ = self._kept.pop(uid, None)

    async def _take(self, managed: ManagedApplication, turns: Turns, size: int) -> None:
        namespace = managed.id.namespace
        if turns.has(namespace, size):
            await turns.take(namespace, size)
            return
        self._metrics.waits(managed.id, {WAITS: 1})
        taken = 0
        try:
            async with self._slots.lent(namespace):
                await turns.take(namespace, size)
                taken = size
        except BaseException:
            turns.give(namespace, taken)
            raise
        finally:
            self._metrics.waits(managed.id, {})

    def _forget(self) -> None:
        over = self._running + self._idle - self._total
        while over > 0 and self._kept:
            size, managed = self._kept.pop(next(iter(self._kept)))
            managed.forget_manifests()
            over -= size
