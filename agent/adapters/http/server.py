"""/healthz, /readyz and /metrics. Answers hold no text but a few words of our own and the metrics; a request's text enters none.

Every client that reaches the port may connect, so a connection is good for one request of a few KiB, has five seconds for everything, and
makes room for a newer one when there are many: a client that holds on to many keeps no other out, the kubelet least of all.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from agent.adapters.http.connections import Connections, Server, listen, message

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    _Answer: TypeAlias = tuple[HTTPStatus, str, bytes]
    _Routes: TypeAlias = Mapping[str, Callable[[], _Answer]]

CONNECTIONS: Final = 64
_GOOD: Final = "ok"
_TEXT: Final = "text/plain; charset=utf-8"


async def serve(
    *,
    host: str,
    port: int,
    ready: Callable[[], str],
    metrics: Callable[[], bytes],
    content_type: str,
) -> Server:
    """Listen. `ready` says `ok`, or what the agent waits for. That /healthz is answered says that the agent lives, whatever it waits for.

    All answer at once, from memory. Raises ConfigError where the port is taken.
    """
    probes = _Probes(
        {
            "/healthz": lambda: _probe(_GOOD),
            "/readyz": lambda: _probe(ready()),
            "/metrics": lambda: (HTTPStatus.OK, content_type, metrics()),
        }
    )
    connections = Connections(probes.converse, most=CONNECTIONS)
    return await listen(connections, host, port, purpose="probes and metrics", flag="--listen")


def _probe(said: str) -> _Answer:
    return HTTPStatus.OK if said == _GOOD else HTTPStatus.SERVICE_UNAVAILABLE, _TEXT, f"{said}\n".encode("ascii")


class _Probes:
    def __init__(self, routes: _Routes) -> None:
        self._routes: Final = routes

    async def converse(self, reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> bytes:
        """One request and its answer."""
        return message(*self._answer(await reader.readuntil(b"\r\n\r\n")))

    def _answer(self, head: bytes) -> _Answer:
        words = head.partition(b"\r\n")[0].decode("latin-1").split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return HTTPStatus.BAD_REQUEST, _TEXT, b""
        route = self._routes.get(words[1].partition("?")[0])
        if route is None:
            return HTTPStatus.NOT_FOUND, _TEXT, b""
        return route() if words[0] == "GET" else (HTTPStatus.METHOD_NOT_ALLOWED, _TEXT, b"")
