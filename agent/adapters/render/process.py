"""One process of signet-render, which answers one request at a time. It has no environment, and what it says on stderr goes nowhere."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.adapters.render import protocol
from agent.values import system
from agent.values.errors import ConfigError, RenderLimitError

if TYPE_CHECKING:
    from agent.adapters.render.protocol import Answer
    from agent.api.operator import RenderLimits

_GRACE: Final = 5
"""Seconds after which the process ends itself, where this one is gone that would have killed it."""
_PAGE: Final = os.sysconf("SC_PAGESIZE")
_BUFFER: Final = 1024 * 1024
RESTING: Final = 110 * 1024 * 1024
"""Bytes that a process may still take after an answer; one that takes more is not asked again."""


class Helper:
    """`build` names the program's sources, `kustomize` the version in it. Not for two callers at a time."""

    def __init__(self, process: asyncio.subprocess.Process, limits: RenderLimits, values: int) -> None:
        self._process: Final = process
        self._limits: Final = limits
        self._values: Final = values
        self.build: str = ""
        self.kustomize: str = ""
        self.confined: str = ""

    @classmethod
    async def start(cls, program: Path, limits: RenderLimits, *options: str, values: int = protocol.VALUES) -> Helper:
        """`values`: how many keys and values an answer may have. Raises ConfigError where it does not run."""
        try:
            process = await asyncio.create_subprocess_exec(
                program,
                f"-memory={limits.memory_bytes}",
                *options,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                limit=_BUFFER,
                env={},
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise ConfigError("signet-render does not run", file=str(program), cause=system.cause(error)) from None
        helper = cls(process, limits, values)
        try:
            hello = (await helper.ask(protocol.HELLO))["hello"]
            helper.build, helper.kustomize, helper.confined = (
                str(hello[name]) for name in ("build", "kustomize", "confined")
            )
        except RenderLimitError:
            raise ConfigError(
                "signet-render exits at its start",
                hint="the kernel has to allow seccomp filters; build the program again if its sources changed",
                file=str(program),
            ) from None
        except (KeyError, TypeError):
            await helper.end()
            raise ConfigError(
                "the program is not the signet-render of this version", hint="install it again", file=str(program)
            ) from None
        return helper

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self._process.returncode is None

    @property
    def resident(self) -> int:
        """Bytes of memory that it takes now; 0 where the system does not show it, as all but Linux."""
        try:
            return int(Path(f"/proc/{self._process.pid}/statm").read_text("ascii").split()[1]) * _PAGE
        except (OSError, IndexError, ValueError):
            return 0

    @property
    def rested(self) -> bool:
        """Whether it is fit for another request: it lives, and does not keep too much of what the last one took."""
        return self.alive and self.resident <= RESTING

    async def ask(self, request: dict[str, object]) -> Answer:
        """The answer. Raises RenderLimitError where there is none, and then the process is gone, as it is where the caller is cancelled.

        LimitError where it has too many values, and the process is gone too.
        """
        seconds = self._limits.seconds
        try:
            async with asyncio.timeout(seconds):
                frame = await asyncio.to_thread(protocol.frame, request, seconds=seconds + _GRACE)
                return await self._exchange(frame)
        except TimeoutError:
            await self.end()
            raise RenderLimitError(
                "rendering took longer than it may",
                hint="make the overlay smaller; limits.render.seconds in the operator's file is the limit",
                seconds=seconds,
            ) from None
        except (OSError, asyncio.IncompleteReadError, ValueError, TypeError, RecursionError):
            await self.end()
            raise RenderLimitError(
                "the renderer ended before it answered, most likely at its memory limit",
                hint="make the overlay smaller; limits.render.memoryBytes in the operator's file is the limit",
                memory_mib=self._limits.memory_bytes // (1024 * 1024),
            ) from None
        except BaseException:
            await self.end()
            raise

    async def _exchange(self, frame: bytes) -> Answer:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(frame)
        await self._process.stdin.drain()
        (size,) = protocol.HEAD.unpack(await self._process.stdout.readexactly(protocol.HEAD.size))
        if size > protocol.largest(self._limits):
            raise ValueError
        body = await self._process.stdout.readexactly(size)
        return await asyncio.to_thread(protocol.answer, body, self._values)

    async def end(self) -> None:
        """Kill it, and wait until it is gone."""
        if self.alive:
            self._process.kill()
        if self._process.stdin is not None:
            self._process.stdin.close()  # a program around it, as --renderer may name one, ends by this
        await asyncio.shield(asyncio.ensure_future(self._process.wait()))
