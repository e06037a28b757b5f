"""A TCP relay on loopback that can be cut, refuse, or keep everything to itself: what stands between a client and its server fails."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Generator

_CHUNK = 64 * 1024


class Relay:
    """Forwards connections to `port` of this machine. A context manager, served by threads of its own.

    `accepted` counts connections, the last of which came at `accepted_at` of the monotonic clock.
    `cut` breaks the connections that are open, `refuse` those to come. Between `drop` and `resume` connections are accepted and nothing
    is forwarded in either direction, as by a network that loses packets. What came in meanwhile is forwarded by `resume`, unless it was
    `cut`.
    """

    def __init__(self, port: int) -> None:
        self._target: int = port
        self._listener: socket.socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._open: set[socket.socket] = set()
        self._lock: threading.Lock = threading.Lock()
        self._flows: threading.Event = threading.Event()
        self._flows.set()
        self.port: int = self._listener.getsockname()[1]
        self.refuse: bool = False
        self.accepted: int = 0
        self.accepted_at: float = 0.0

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, name="relay", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Refuse and cut. Harmless twice."""
        self.refuse = True
        self.resume()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def drop(self) -> None:
        """Forward nothing from now on; connections stay open."""
        self._flows.clear()

    def resume(self) -> None:
        self._flows.set()

    def cut(self) -> None:
        """Break every open connection."""
        with self._lock:
            connections, self._open = self._open, set()
        for connection in connections:
            _end(connection)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.accepted, self.accepted_at = self.accepted + 1, time.monotonic()
            if self.refuse:
                near.close()
            else:
                threading.Thread(target=self._serve, args=(near,), name="relay", daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        with near, self._kept(near), contextlib.suppress(OSError):
            _ = self._flows.wait()
            with socket.create_connection(("127.0.0.1", self._target)) as far, self._kept(far):
                back = threading.Thread(target=self._pump, args=(far, near), name="relay", daemon=True)
                back.start()
                self._pump(near, far)
                back.join()

    @contextlib.contextmanager
    def _kept(self, connection: socket.socket) -> Generator[None]:
        """Within it the connection is one of those that `cut` breaks."""
        with self._lock:
            self._open.add(connection)
        try:
            yield
        finally:
            with self._lock:
                self._open.discard(connection)

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK):
                _ = self._flows.wait()
                with self._lock:
                    forwarded = source in self._open
                if not forwarded:
                    return
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
