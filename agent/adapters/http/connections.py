"""Connections of clients that may be anybody: one request each, a few seconds for everything, and room for a newer one when there are many."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from typing import TYPE_CHECKING, Final

from agent.values import system
from agent.values.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from http import HTTPStatus
    from typing import LiteralString

SECONDS: Final = 5.0
"""From connecting to having read the answer."""
LONGEST_HEAD: Final = 16 * 1024


class Connections:
    """Those that are open, the oldest first. `converse` reads a request and gives the answer's bytes; empty: none."""

    def __init__(
        self,
        converse: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bytes]],
        *,
        most: int,
    ) -> None:
        self._converse: Final = converse
        self._most: Final = most
        self._open: Final[dict[asyncio.Task[None], asyncio.StreamWriter]] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: a request, its answer, the end."""
        task: asyncio.Task[None] | None = asyncio.current_task()
        assert task is not None
        while len(self._open) >= self._most:
            self._open.pop(next(iter(self._open))).transport.abort()
        self._open[task] = writer
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                async with asyncio.timeout(SECONDS):
                    writer.write(await self._converse(reader, writer))
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


class Server:
    """A listening server. `port` is the real one where 0 was asked for."""

    def __init__(self, server: asyncio.Server, connections: Connections) -> None:
        self._server: asyncio.Server = server
        self._connections: Connections = connections
        self.port: int = int(server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening and end connections."""
        self._server.close()
        await self._connections.end()
        await self._server.wait_closed()


async def listen(
    connections: Connections, host: str, port: int, *, purpose: LiteralString, flag: LiteralString
) -> Server:
    """Listen; `purpose` and `flag` are for the error. Raises ConfigError where the port is taken."""
    try:
        server = await asyncio.start_server(connections.serve, host, port, limit=LONGEST_HEAD)
    except OSError as error:
        # From Python 3.12, asyncio gives no number where this machine has none of the addresses.
        failed = system.cause(error if error.errno else OSError(errno.EADDRNOTAVAIL, ""))
    else:
        return Server(server, connections)
    hint = f"choose another address or port: {flag}"
    raise ConfigError(f"cannot listen for {purpose}", host=host, port=port, cause=failed, hint=hint)


def message(status: HTTPStatus, content_type: str, body: bytes) -> bytes:
    """An answer after which the connection ends."""
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
        "Connection: close",
        "",
        "",
    ]
    return "\r\n".join(lines).encode("latin-1") + body
