"""What ends the wait of a run between two of its rounds: a trigger that does not wait, or a poll that finds another commit."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.engine.causes import NEWER, Trigger
from agent.values.errors import AgentError

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.engine.context import Run


@dataclass(slots=True)
class Newer:
    """Whether something newer than a `run` is to run; `pending` gives what starts the next one.

    Git is asked at each interval, while the wait goes on: a server that does not answer ends it no later.
    """

    run: Run
    pending: Callable[[], frozenset[Trigger]]
    _due: float = 0.0
    _asking: asyncio.Task[bool] | None = field(default=None, init=False)

    def came(self) -> bool:
        """Whether it came, as far as is known by now."""
        pending = self.pending()
        return not NEWER.isdisjoint(pending) or (Trigger.INTERVAL in pending and self._another_commit())

    def _another_commit(self) -> bool:
        now = self.run.ports.clock.monotonic()
        if self._asking is None and now >= self._due:
            self._due = now + self.run.application.spec.interval
            self._asking = asyncio.create_task(_moved(self.run, now))
        if self._asking is None or not self._asking.done():
            return False
        asking, self._asking = self._asking, None
        return asking.result()

    async def close(self) -> None:
        """Ask no more."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait([self._asking])


async def _moved(run: Run, now: float) -> bool:
    """Whether Git names another commit than when the run began, as a poll that is due `now` would find. Nothing is fetched.

    Where it does not answer, that is for the next run to say.
    """
    from agent.engine import several  # noqa: PLC0415  # loaded by the run

    try:
        named = await several.heads(run, await several.origins(run), run.polled(now))
    except AgentError:
        run.ports.credentials.invalidate(run.application_id)
        return False
    return named.version != run.rounds.version
