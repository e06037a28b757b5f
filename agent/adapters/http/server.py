"""/healthz, /readyz and /metrics. Answers hold no text but `ok`, `no` and the metrics; a request's text enters none.

Every client that reaches the port may connect, so a connection is good for one request of a few KiB, has five seconds for everything, and
makes room for a newer one when there are many: a client that holds on to many keeps no other out, the kubelet least of all.
"""

from __future__ import annotations

import asyncio
import contextlib
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from agent.values import system
from agent.values.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    _Answer: TypeAlias = tuple[HTTPStatus, str, bytes]
    _Routes: TypeAlias = Mapping[str, Callable[[], _Answer]]

CONNECTIONS: Final = 64
SECONDS: Final = 5.0
"""From connecting to having read the answer."""
_LONGEST_REQUEST: Final = 16 * 1024
_TEXT: Final = "text/plain; charset=utf-8"


class Server:
    """A listening server. `port` is the real one where 0 was asked for."""

    def __init__(self, server: asyncio.Server, connections: _Connections) -> None:
        self._server: asyncio.Server = server
        self._connections: _Connections = connections
        self.port: int = int(server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening and end connections."""
        self._server.close()
        await self._connections.end()
        await self._server.wait_closed()


async def serve(
    *,
    host: str,
    port: int,
    live: Callable[[], bool],
    ready: Callable[[], bool],
    metrics: Callable[[], bytes],
    content_type: str,
) -> Server:
    """Listen. `live` and `ready` answer at once, from memory. Raises ConfigError where the port is taken."""
    connections = _Connections(
        {
            "/healthz": lambda: _probe(good=live()),
            "/readyz": lambda: _probe(good=ready()),
            "/metrics": lambda: (HTTPStatus.OK, content_type, metrics()),
        }
    )
    try:
        server = await asyncio.start_server(connections.serve, host, port, limit=_LONGEST_REQUEST)
    except OSError as error:
        failed = system.cause(error)
    else:
        return Server(server, connections)
    raise ConfigError(
        "cannot listen for probes and metrics",
        host=host,
        port=port,
        cause=failed,
        hint="choose another address or port: --listen",
    )


def _probe(*, good: bool) -> _Answer:
    return (HTTPStatus.OK, _TEXT, b"ok\n") if good else (HTTPStatus.SERVICE_UNAVAILABLE, _TEXT, b"no\n")


class _Connections:
    """Those that are open, the oldest first."""

    def __init__(self, routes: _Routes) -> None:
        self._routes: Final = routes
        self._open: Final[dict[asyncio.Task[None], asyncio.StreamWriter]] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: a request, its answer, the end."""
        task: asyncio.Task[None] | None = asyncio.current_task()
        assert task is not None
        while len(self._open) >= CONNECTIONS:
            self._open.pop(next(iter(self._open))).transport.abort()
        self._open[task] = writer
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                async with asyncio.timeout(SECONDS):
                    head = await reader.readuntil(b"\r\n\r\n")
                    writer.write(_message(*self._answer(head)))
                    await writer.drain()
                    writer.close()
                    await writer.wait_closed()
        finally:
            self._open.pop(task, None)
            writer.transport.abort()

    async def end(self) -> None:
        """Cut all of them."""
        tasks = list(self._open)
        for writer in self._open.values():
            writer.transport.abort()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _answer(self, head: bytes) -> _Answer:
        words = head.partition(b"\r\n")[0].decode("latin-1").split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return HTTPStatus.BAD_REQUEST, _TEXT, b""
        route = self._routes.get(words[1].partition("?")[0])
        if route is None:
            return HTTPStatus.NOT_FOUND, _TEXT, b""
        return route() if words[0] == "GET" else (HTTPStatus.METHOD_NOT_ALLOWED, _TEXT, b"")


def _message(status: HTTPStatus, content_type: str, body: bytes) -> bytes:
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
        "Connection: close",
        "",
        "",
    ]
    return "\r\n".join(lines).encode("latin-1") + body
