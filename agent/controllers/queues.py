"""Runs that are due wait here for one of the places that all namespaces share: how many, how long, and how long they then run, is counted."""

from __future__ import annotations

from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from agent.controllers.managed import ManagedApplication
    from agent.controllers.turns import Turns
    from agent.engine.ports import Ports


@dataclass(frozen=True, slots=True)
class Queue:
    """Over `slots`. `waiting` has how many runs of each namespace are due."""

    slots: Turns
    ports: Ports
    waiting: Counter[str] = field(default_factory=Counter[str])

    @asynccontextmanager
    async def place(self, managed: ManagedApplication, due: float) -> AsyncGenerator[None]:
        """A place for a run that was `due` then, in seconds of the monotonic clock, for as long as the block takes."""
        namespace, tenure = managed.id.namespace, managed.tenure
        metrics, clock = self.ports.metrics, self.ports.clock
        self._changed(namespace, 1)
        try:
            await self.slots.take(namespace)
        finally:
            self._changed(namespace, -1)
        try:
            metrics.waited(clock.monotonic() - due)
            if managed.tenure == tenure:
                metrics.began(managed.id, clock.now())
            yield
        finally:
            self.slots.give(namespace)
            # what belongs to a hold that is over was forgotten with it
            if managed.tenure == tenure:
                metrics.ended(managed.id, clock.now())

    def _changed(self, namespace: str, by: int) -> None:
        self.waiting[namespace] += by
        self.ports.metrics.queued(namespace, self.waiting[namespace])
        if not self.waiting[namespace]:
            del self.waiting[namespace]
