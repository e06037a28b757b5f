"""Sessions against the testbed's apiserver, and a TCP relay to it that can be cut."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from agent.adapters.kubernetes import config
from agent.adapters.kubernetes.cluster import Cluster
from agent.adapters.kubernetes.session import Session
from agent.adapters.kubernetes.watch import Pace
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from testbed.controlplane import ControlPlane


class Relay:
    """Forwards connections to the apiserver; `cut` breaks those that are open, `refuse` those to come."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.port = 0
        self.refuse = False
        self.accepted = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self.refuse = True
        self.cut()
        self._server.close()
        await self._server.wait_closed()

    def cut(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if self.refuse:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers |= {writer, far_writer}
        await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        self._writers -= {writer, far_writer}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        with suppress(OSError):
            writer.close()


@pytest.fixture
async def relay(controlplane: ControlPlane) -> AsyncGenerator[Relay]:
    running = Relay(urlsplit(controlplane.url).port)
    await running.start()
    yield running
    await running.stop()


@pytest.fixture
def connect(controlplane: ControlPlane):
    """`async with connect(token=, port=, seals=, pace=, report=, **session) as cluster`."""

    @asynccontextmanager
    async def connected(
        *, token: str = "", port: int = 0, seals=lambda _: False, pace: Pace | None = None, report=None, **session
    ) -> AsyncGenerator[Cluster]:
        server = f"https://127.0.0.1:{port}" if port else controlplane.url
        secret = Secret(token or controlplane.admin_token, "test token")
        settings = config.explicit(server, token=secret, ca_pem=controlplane.ca_pem)
        async with Session(settings, **session) as opened:
            yield Cluster(opened, seals=seals, instance="agent-test", now=time.time, pace=pace or Pace(), report=report)

    return connected


@pytest.fixture
async def cluster(connect) -> AsyncGenerator[Cluster]:
    async with connect() as opened:
        yield opened


@pytest.fixture
def eventually() -> Callable:
    """`await eventually(check)`: the truthy result of a function, within `seconds`."""

    async def wait(check: Callable, seconds: float = 30.0):
        async with asyncio.timeout(seconds):
            while not (found := check()):  # noqa: ASYNC110  # what is waited for is another process
                await asyncio.sleep(0.02)
            return found

    return wait
