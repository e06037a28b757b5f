"""The sockets of one HTTP session, so that closing the session closes each of them.

aiohttp forgets a TLS connection whose request was cancelled as soon as it has said goodbye, and asyncio then waits up to
half a minute for the server's answer. A loop that ends meanwhile leaves the socket open.
"""

from __future__ import annotations

import asyncio
import socket
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self

_TURNS = 100
"""Turns of the event loop that the ends of connections may take; a TLS handshake that is cut off takes five."""


class Sockets:
    """An async context manager, around the session whose connector has `open` as its `socket_factory`."""

    def __init__(self) -> None:
        self._open: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def open(self, address: tuple[int, int, int, object, object]) -> socket.socket:
        family, kind, protocol, *_ = address
        made = socket.socket(family, kind, protocol)
        self._open.add(made)
        return made

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End every connection at once; each socket is closed by the transport that reads its end."""
        for each in list(self._open):
            with suppress(OSError):  # not connected yet, or no longer
                each.shutdown(socket.SHUT_RDWR)
        for _ in range(_TURNS):
            if all(each.fileno() < 0 for each in list(self._open)):
                return
            await asyncio.sleep(0)
