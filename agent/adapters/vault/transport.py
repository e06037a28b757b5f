"""A requests session whose read timeout is a deadline over the whole answer, headers and body.

The timeouts of requests and urllib3 start anew with every packet, so a server that drips one byte a second never runs into them.
Here every `recv` gets what is left of the time, and the bytes are counted.
"""

from __future__ import annotations

import http.client
import http.cookiejar
import io
import time
from typing import TYPE_CHECKING, Any, Final

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

if TYPE_CHECKING:
    import socket

LARGEST: Final = 32 * 1024 * 1024
"""Bytes of one answer."""


class _Deadline(io.RawIOBase):
    """A socket's bytes until the socket's timeout, taken when this was made, is over."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__()
        self._sock: Final = sock
        self._file: Final = sock.makefile("rb", buffering=0)
        seconds = sock.gettimeout()
        self._until: Final = None if seconds is None else time.monotonic() + seconds
        self._left: int = LARGEST

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        if self._until is not None:
            left = self._until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._sock.settimeout(left)
        count = self._file.readinto(buffer)
        self._left -= count or 0
        if self._left < 0:
            raise OSError
        return count

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp: io.BufferedReader = io.BufferedReader(_Deadline(sock))


class _Connection(HTTPConnection):
    response_class = _Response


class _SecureConnection(HTTPSConnection):
    response_class = _Response


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection  # pyright: ignore[reportAssignmentType]


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection  # pyright: ignore[reportAssignmentType]


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        pools: dict[str, type[HTTPConnectionPool]] = {"http": _Pool, "https": _SecurePool}
        self.poolmanager.pool_classes_by_scheme = pools  # pyright: ignore[reportAttributeAccessIssue]


def session(*, workers: int, ca_file: str | None) -> requests.Session:
    """A session for one server: as many connections as workers, kept alive; nothing from the environment; no cookies."""
    made = requests.Session()
    made.trust_env = False
    made.verify = ca_file or True
    made.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
    adapter = _Adapter(pool_connections=1, pool_maxsize=workers, max_retries=0, pool_block=True)
    made.mount("https://", adapter)
    made.mount("http://", adapter)
    return made
