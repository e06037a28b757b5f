"""The engine's RenderPort: a few renderers, started when they are needed and ended after ten idle minutes, one turn a namespace."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from agent.adapters.render import location, protocol
from agent.adapters.render.patience import Patience
from agent.adapters.render.process import Helper
from agent.api.operator import RenderLimits
from agent.controllers.turns import Turns
from agent.values.errors import DefectError, RenderLimitError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.adapters.render.protocol import Answer
    from agent.engine.renderers import Chart, Kustomization, Rendered, SourceTree
    from agent.values.ids import ApplicationId

_IDLE: Final = 600.0


class Renderers:
    """Processes of one program. A namespace has one at a time, so that what hangs on its files leaves the other one to the rest."""

    def __init__(
        self,
        program: Path | None = None,
        limits: RenderLimits | None = None,
        *,
        values: int = protocol.VALUES,
        idle: float = _IDLE,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`program` None is the one beside the package, looked for when it is needed. `values` is of `limits.values`, `idle` in seconds."""
        self._named: Final = "" if program is None else str(program)
        self._limits: Final = limits or RenderLimits()
        self._values: Final = values
        self._idle: Final = idle
        self._turns: Final = Turns(self._limits.processes, 1)
        self._patience: Final = Patience(monotonic)
        self._resting: Final[dict[Helper, asyncio.TimerHandle]] = {}
        self._ending: Final[set[asyncio.Task[None]]] = set()

    @property
    def resting(self) -> int:
        """Processes that wait for a request."""
        return len(self._resting)

    @property
    def resident(self) -> list[int]:
        """Bytes of memory that each of them takes now."""
        return [each.resident for each in self._resting]

    async def kustomize(self, application: ApplicationId, asked: Kustomization) -> Rendered:
        """As `RenderPort.kustomize`. RenderLimitError without a try, too, while the namespace waits for what it did to renderers."""
        request = protocol.kustomize(asked, self._limits)
        return await self._asked(application, asked.sources, request, protocol.rendered)

    async def helm(self, application: ApplicationId, asked: Chart) -> Rendered:
        """As `RenderPort.helm`, and RenderLimitError as `kustomize`."""
        request = protocol.helm(asked, self._limits)
        return await self._asked(application, asked.sources, request, protocol.charted)

    async def _asked(
        self,
        application: ApplicationId,
        sources: SourceTree,
        request: dict[str, object],
        read: Callable[[Answer, str], Rendered],
    ) -> Rendered:
        async with self._turns.turn(application.namespace):
            if self._patience.waits(application.namespace):
                raise RenderLimitError(
                    "the renderer crashed more than once on files of this namespace, so the next attempt is delayed",
                    hint="see the previous error; a corrected overlay or chart is rendered after the delay",
                )
            helper = await self._take()
            try:
                answer = await helper.ask(request)
                if "need" in answer:
                    answer = await helper.ask(protocol.put(sources))
                    if "error" not in answer:
                        answer = await helper.ask(request)
                return read(answer, helper.build)
            except RenderLimitError:
                self._patience.died(application.namespace)
                raise
            except DefectError:  # what it says next may be as little
                await helper.end()
                raise
            finally:
                self._give(helper)

    async def _take(self) -> Helper:
        while self._resting:
            helper, timer = self._resting.popitem()
            timer.cancel()
            if helper.alive:
                return helper
        return await Helper.start(location.program(self._named), self._limits, values=self._values)

    def _give(self, helper: Helper) -> None:
        if helper.rested:
            self._resting[helper] = asyncio.get_running_loop().call_later(self._idle, self._dismiss, helper)
        else:
            self._end(helper)

    def _dismiss(self, helper: Helper) -> None:
        del self._resting[helper]
        self._end(helper)

    def _end(self, helper: Helper) -> None:
        task = asyncio.get_running_loop().create_task(helper.end())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        """End every process that waits."""
        while self._resting:
            helper, timer = self._resting.popitem()
            timer.cancel()
            self._end(helper)
        await asyncio.gather(*self._ending)
