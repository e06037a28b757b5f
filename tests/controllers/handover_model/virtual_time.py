"""An event loop without a clock: when no task can go on, its driver decides what happens next."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_TURNS = 10_000


class Loop(asyncio.BaseEventLoop):
    """`idle` is called when nothing is ready, with the time of the next timer, or None: it readies something or sets `now`."""

    def __init__(self, idle: Callable[[float | None], None]) -> None:
        super().__init__()
        self.now = 0.0
        self._selector = self
        self._idle = idle
        self._turns = 0

    def time(self) -> float:
        return self.now

    def select(self, timeout: float | None) -> tuple[()]:
        """In the place of a selector's: no file is ever waited for."""
        self._turns += 1
        if timeout != 0 or self._turns > _MOST_TURNS:
            self._turns = 0
            self._idle(None if timeout is None else self.now + timeout)
        return ()

    def _process_events(self, event_list: object) -> None:
        del event_list

    def _write_to_self(self) -> None:
        """Nothing sleeps that would have to be woken."""
