"""Answers over HTTP by requests: one deadline over the whole of it, bytes that are counted, and nothing that unfolds to more.

The timeouts of requests and urllib3 start over with every packet, so a server that drips one byte a second never runs into them. Here every
`recv` gets what is left of the time. An answer is asked for as it is, and refused where it is encoded: gzip makes a thousand bytes of one,
and what unpacks them looks at no clock.
"""

from __future__ import annotations

import http.client
import io
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from requests.adapters import HTTPAdapter
from requests.exceptions import RequestException
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from agent.adapters.bounds import bodies
from agent.adapters.bounds.bodies import LARGEST

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping

    import requests

_PIECE: Final = 64 * 1024


class EncodedError(RequestException):
    """The answer has a Content-Encoding."""


class TunnelError(OSError):
    """A proxy opens no connection to the server; `status` is its answer to CONNECT."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status: Final = status


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


class _Opening(Response):
    """What a proxy answers to CONNECT."""

    def _read_status(self) -> Any:
        found = cast("tuple[str, int, str]", super()._read_status())  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
        if found[1] != http.client.OK:
            raise TunnelError(found[1])
        return found


class _TunnelledConnection(_SecureConnection):
    def _tunnel(self) -> None:
        self.response_class: type[Response] = _Opening
        try:
            super()._tunnel()  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
        finally:
            self.response_class = Response


class _TunnelledPool(HTTPSConnectionPool):
    ConnectionCls = _TunnelledConnection  # pyright: ignore[reportAssignmentType]

    def __init__(self, *args: Any, shown: Callable[[], Mapping[str, str]] | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._shown: Final = shown

    def _prepare_proxy(self, conn: Any) -> None:
        if self._shown is not None:
            self.proxy_headers: Any = self._shown()
        super()._prepare_proxy(conn)


_POOLS: Final[dict[str, type[HTTPConnectionPool]]] = {"http": _Pool, "https": _SecurePool}


class Adapter(HTTPAdapter):
    """For `Session.mount`. A body is read before `send` returns, whatever the caller says of streams. The timeout is the deadline.

    `shown` gives the headers for a proxy, of each connection.
    """

    def __init__(self, *, shown: Callable[[], Mapping[str, str]] | None = None, **kwargs: Any) -> None:
        self._shown: Final = shown
        super().__init__(**kwargs)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS  # pyright: ignore[reportAttributeAccessIssue]

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager: Any = super().proxy_manager_for(*args, **kwargs)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        manager.pool_classes_by_scheme = {**_POOLS, "https": partial(_TunnelledPool, shown=self._shown)}
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


def refusal_of_proxy(error: BaseException | None) -> int | None:
    """The status by which a proxy refused, where that is why an exception of requests was raised."""
    while error is not None and not isinstance(error, TunnelError):
        error = error.__cause__ or error.__context__
    return error.status if error is not None else None


def mount(
    session: requests.Session, *, connections: int = 1, shown: Callable[[], Mapping[str, str]] | None = None
) -> None:
    """Have every answer of a session bounded. As many connections as at most are open at a time, kept alive. `shown` as for `Adapter`."""
    adapter = Adapter(shown=shown, pool_connections=1, pool_maxsize=connections, max_retries=0, pool_block=True)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
