"""Answers over HTTP by requests: one deadline over the whole of it, bytes that are counted, and nothing that unfolds to more.

The timeouts of requests and urllib3 start over with every packet, so a server that drips one byte a second never runs into them. Here every
`recv` gets what is left of the time. An answer is asked for as it is, and refused where it is encoded: gzip makes a thousand bytes of one,
and what unpacks them looks at no clock.
"""

from __future__ import annotations

import http.client
import io
import time
from typing import TYPE_CHECKING, Any, Final

from requests.adapters import HTTPAdapter
from requests.exceptions import RequestException
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from agent.adapters.bounds import bodies
from agent.adapters.bounds.bodies import LARGEST

if TYPE_CHECKING:
    import socket

    import requests

_PIECE: Final = 64 * 1024


class EncodedError(RequestException):
    """The answer has a Content-Encoding."""


class TooLargeError(RequestException, bodies.TooLargeError):
    """The same for requests, which takes it for an error of its own."""


class _Deadline(io.RawIOBase):
    """A socket's bytes until the socket's timeout, taken when this was made, is over."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__()
        self._sock: Final = sock
        self._file: Final = sock.makefile("rb", buffering=0)
        seconds = sock.gettimeout()
        self._until: Final = None if seconds is None else time.monotonic() + seconds
        # headers, and the marks between the chunks of a body, are bytes too
        self._left: int = 2 * LARGEST

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


class Response(http.client.HTTPResponse):
    """For the connections of any client that is built on http.client: the deadline, and twice `LARGEST` at most."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp: io.BufferedReader = io.BufferedReader(_Deadline(sock))


class _Connection(HTTPConnection):
    response_class = Response


class _SecureConnection(HTTPSConnection):
    response_class = Response


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection  # pyright: ignore[reportAssignmentType]


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection  # pyright: ignore[reportAssignmentType]


_POOLS: Final[dict[str, type[HTTPConnectionPool]]] = {"http": _Pool, "https": _SecurePool}


class Adapter(HTTPAdapter):
    """For `Session.mount`. A body is read before `send` returns, whatever the caller says of streams. The timeout is the deadline."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS  # pyright: ignore[reportAttributeAccessIssue]

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager: Any = super().proxy_manager_for(*args, **kwargs)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        manager.pool_classes_by_scheme = _POOLS
        return manager  # pyright: ignore[reportUnknownVariableType]

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Raises EncodedError, TooLargeError, and what requests raises."""
        request.headers["Accept-Encoding"] = "identity"
        response = super().send(request, *args, **kwargs)
        try:
            # where requests keeps what it has read itself
            response._content = _read(response)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        except BaseException:
            response.close()
            raise
        return response


def _read(response: requests.Response) -> bytes:
    if response.headers.get("Content-Encoding", "identity").strip().lower() not in {"", "identity"}:
        raise EncodedError
    body = bytearray()
    for piece in response.iter_content(_PIECE):
        body += piece
        if len(body) > LARGEST:
            raise TooLargeError
    return bytes(body)


def mount(session: requests.Session, *, connections: int = 1) -> None:
    """Have every answer of a session bounded. As many connections as at most are open at a time, kept alive."""
    adapter = Adapter(pool_connections=1, pool_maxsize=connections, max_retries=0, pool_block=True)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
