"""The listener for webhooks. A request is proven over its raw bytes before any of them is parsed.

What cannot be proven gets one answer, after the same work: for a path that there is not, the proof of another one is tried in vain. So
no client learns which paths there are. Requests have a size, a time and a rate, and a few are read at once, so that a flood takes neither
memory nor the loop. A push only says what to ask about: the answer is Git's.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Final

from agent.adapters.http import payloads
from agent.adapters.http.connections import Connections, Server, listen, message
from agent.adapters.http.credential import LEAST, Proof
from agent.adapters.http.rates import Rate

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from agent.api.webhooks import Webhook
    from agent.controllers.followers import Push

LOG = logging.getLogger("signet")
MOST_BYTES: Final = 1024 * 1024
"""Of a body."""
_CONNECTIONS: Final = 6
"""Each may have a body in memory."""
_PREFIX: Final = "/hooks/"
_TEXT: Final = "text/plain; charset=utf-8"
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Pace:
    """Requests a second, and at once after a pause: of one address, whatever it sends, and of one webhook, proven ones."""

    address: tuple[float, float] = (20, 100)
    hook: tuple[float, float] = (10, 50)


async def serve(
    hooks: Mapping[str, Webhook],
    pushed: Callable[[Push, Collection[str]], None],
    *,
    host: str,
    port: int,
    pace: Pace = Pace(),
) -> Server:
    """Listen for these webhooks, of which there is one at least; `pushed` takes a push and the namespaces it is for.

    Raises ConfigError where the port is taken.
    """
    for name, hook in hooks.items():
        if not Proof(hook).usable():
            LOG.warning(
                "a webhook has no secret and is not served",
                extra={"webhook": name, "file": hook.secret_file, "least_bytes": LEAST},
            )
    listener = _Listener(hooks, pushed, pace)
    return await listen(
        Connections(listener.converse, most=_CONNECTIONS), host, port, purpose="webhooks", flag="--listen-webhooks"
    )


class _Listener:
    def __init__(
        self, hooks: Mapping[str, Webhook], pushed: Callable[[Push, Collection[str]], None], pace: Pace
    ) -> None:
        self._proofs: Final = {name: Proof(hook) for name, hook in hooks.items()}
        self._in_vain: Final = next(iter(self._proofs.values()))
        self._pushed: Final = pushed
        self._addresses: Final = Rate(*pace.address, time.monotonic)
        self._hooks: Final = Rate(*pace.hook, time.monotonic)
        self._parsing: Final = asyncio.Lock()

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        """One request and its answer."""
        if not self._addresses.allows(_address(writer)):
            return _answer(HTTPStatus.TOO_MANY_REQUESTS)
        head = await reader.readuntil(b"\r\n\r\n")
        line, headers = _parsed(head)
        words = line.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return _answer(HTTPStatus.BAD_REQUEST)
        if words[0] != "POST":
            return _answer(HTTPStatus.NOT_FOUND)
        length = headers.get("content-length", "")
        if "transfer-encoding" in headers or not length.isdecimal() or len(length) > _DIGITS:
            return _answer(HTTPStatus.LENGTH_REQUIRED)
        if int(length) > MOST_BYTES:
            return _answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        if headers.get("expect", "").lower() == "100-continue":
            writer.write(_CONTINUE)
        body = await reader.readexactly(int(length))
        path, _, query = words[1].partition("?")
        return _answer(await self._take(path, query, headers, body))

    async def _take(self, path: str, query: str, headers: Mapping[str, str], body: bytes) -> HTTPStatus:
        name = path.removeprefix(_PREFIX) if path.startswith(_PREFIX) else ""
        known = self._proofs.get(name)
        proven = (known or self._in_vain).holds(headers, body, query)
        if known is None or not proven:
            return HTTPStatus.NOT_FOUND
        if not self._hooks.allows(name):
            return HTTPStatus.TOO_MANY_REQUESTS
        try:
            async with self._parsing:
                push = await asyncio.to_thread(payloads.push, body)
        except ValueError:
            return HTTPStatus.BAD_REQUEST
        self._pushed(push, known.hook.namespaces)
        return HTTPStatus.ACCEPTED


_DIGITS: Final = 12


def _parsed(head: bytes) -> tuple[str, dict[str, str]]:
    """The request line, and headers by lower-case name; of a header that comes twice the last one counts."""
    line, *lines = head.decode("latin-1").split("\r\n")
    pairs = (each.partition(":") for each in lines if ":" in each)
    return line, {name.strip().lower(): value.strip() for name, _, value in pairs}


def _address(writer: asyncio.StreamWriter) -> str:
    """Who sends: of IPv6 the network of 64 bits, since one host may have all of it."""
    peer = ip_address(str(writer.get_extra_info("peername")[0]).partition("%")[0])
    if isinstance(peer, IPv6Address) and peer.ipv4_mapped is None:
        return peer.packed[:8].hex()
    return str(peer)


def _answer(status: HTTPStatus) -> bytes:
    return message(status, _TEXT, b"ok\n" if status is HTTPStatus.ACCEPTED else b"")
