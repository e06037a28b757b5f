"""Servers between a store and its server, and the settings of a store: what the tests of this room share."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.api import model
from agent.api.operator import Store as StoreSettings
from agent.values.ids import ApplicationId

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from agent.values.tree import Tree

SHOP = ApplicationId("shop", "web", "uid-1")


@dataclass
class Clock:
    """Time that stands still until it is moved."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Proxy:
    """An HTTP proxy before a real server: `requests` in order, the number of `connections`, and `tokens` that came."""

    target: str
    url: str = ""
    requests: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    tokens: list[str] = field(default_factory=list[str])
    connections: int = 0

    def count(self, method: str = "", part: str = "") -> int:
        return sum(1 for one, path in self.requests if one.startswith(method) and part in path)


def settings(address: str, **fields: Tree) -> StoreSettings:
    tree: dict[str, Tree] = {
        "address": address,
        "allowedPaths": ["**"],
        "transitKeys": ["*/keys/*", "*/*/keys/*"],
        "allowedNamespaces": ["shop"],
        **fields,
    }
    return model.validate(StoreSettings, tree)


@contextlib.contextmanager
def listener(answer: Callable[[socket.socket, bytes], None]) -> Generator[tuple[str, list[bytes]]]:
    """A server that hands each connection's first bytes to `answer`; its URL and what it was sent."""
    received: list[bytes] = []
    stopping = threading.Event()
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.05)
    threads: list[threading.Thread] = []

    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            data = connection.recv(65536)
            received.append(data)
            answer(connection, data)

    def accept() -> None:
        while not stopping.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = server.accept()
                connection.settimeout(10)
                threads.append(threading.Thread(target=serve, args=(connection,), daemon=True))
                threads[-1].start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}", received
    finally:
        stopping.set()
        accepting.join()
        server.close()


def say(text: str) -> Callable[[socket.socket, bytes], None]:
    return lambda connection, _: connection.sendall(text.encode())


def message(status: str, body: str, *headers: str, kind: str = "application/json") -> str:
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body.encode())}", *headers, "", body]
    return "\r\n".join(lines)
