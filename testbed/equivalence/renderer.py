"""A process of signet-render that is asked without an event loop, which costs more than the renders of small charts."""

from __future__ import annotations

from dataclasses import replace
from subprocess import DEVNULL, PIPE, Popen
from typing import TYPE_CHECKING, Final, Self

from agent.adapters.render import protocol
from agent.api.operator import RenderLimits
from render import build

if TYPE_CHECKING:
    from agent.adapters.render.protocol import Answer
    from agent.engine.renderers import Chart, Rendered


class Renderer:
    """Confined as the agent's own. It holds one chart at a time. A context manager."""

    def __init__(self) -> None:
        self._limits: Final = RenderLimits()

    def __enter__(self) -> Self:
        program = [build.built(), f"-memory={self._limits.memory_bytes}"]
        self._process: Popen[bytes] = Popen(program, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env={}, cwd="/")
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:
            self._process.kill()

    def helm(self, asked: Chart) -> Rendered:
        """As `RenderPort.helm`. Raises struct.error where the process is gone."""
        asked = replace(asked, sources=replace(asked.sources, digest="chart"))
        _ = self._ask(protocol.put(asked.sources))
        return protocol.charted(self._ask(protocol.helm(asked, self._limits)), "")

    def _ask(self, request: dict[str, object]) -> Answer:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        _ = self._process.stdin.write(protocol.frame(request, seconds=self._limits.seconds))
        self._process.stdin.flush()
        (size,) = protocol.HEAD.unpack(self._process.stdout.read(protocol.HEAD.size))
        return protocol.answer(self._process.stdout.read(size), protocol.VALUES)
