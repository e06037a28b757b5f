"""GET over HTTP from the hosts that the operator allows: redirects among them alone, credentials to the first of them alone, and counted bytes.

How long it takes is the caller's to limit, by one timeout over all requests that belong together.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin

import aiohttp
import yarl

from agent.adapters import proxies
from agent.adapters.oci import addresses, credential
from agent.adapters.sockets import Sockets
from agent.values.errors import ConfigError, LimitError, SourceError, SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Self

    from agent.api.registries import Servers
    from agent.values.secret import Secret

_REDIRECTS: Final = 5
_FAILURE: Final = 64 * 1024
"""Bytes of a refusal that are read, so that its connection serves the next request."""
_REDIRECTED: Final = frozenset({301, 302, 303, 307, 308})

# what this writes at debug level holds headers and addresses
logging.getLogger("aiohttp").setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. `most` is the limit of an answer's bytes; `method` is GET or HEAD."""

    url: str
    most: int
    accept: str = "*/*"
    authorization: Secret | None = None
    method: str = "GET"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said: a status below 500 other than a redirect and 429. `url` is where it was found. The text is the server's: untrusted."""

    status: int
    url: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False, default=b"")


class Client:
    """One for all requests of an operation, with the authorities that are trusted in it. An async context manager."""

    def __init__(self, settings: Servers, *, ca_pem: str = "") -> None:
        self._settings: Final = settings
        self._ca_pem: Final = ca_pem
        self._http: aiohttp.ClientSession | None = None
        self._sockets: Final = Sockets()

    async def __aenter__(self) -> Self:
        trusted = await asyncio.to_thread(_context, self._settings.ca_file, self._ca_pem)
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=4, ssl=trusted, socket_factory=self._sockets.open),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
            headers={"User-Agent": "signet", "Accept-Encoding": "identity"},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._http is not None
        await self._http.close()
        await self._sockets.close()

    async def get(self, asked: Asked, sink: Callable[[bytes], object] | None = None) -> Answer:
        """The answer; of a 200 the body goes to `sink`, where there is one.

        Raises SourceUnavailableError (no answer, 429, 5xx), SourceError (a redirect to another host, an encoded answer) and LimitError.
        """
        url, first = asked.url, addresses.origin_of(asked.url)
        for _ in range(_REDIRECTS + 1):
            if not addresses.allows(url, self._settings):
                raise SourceError(
                    "the server leads to another one, which the operator does not allow",
                    hint="add its host to allowedHosts of oci, or of charts, in the operator's file, if it belongs to the server",
                    host=_host(url),
                )
            own = addresses.origin_of(url) == first
            answer = await self._once(asked, url, asked.authorization if own else None, sink)
            if answer.status not in _REDIRECTED:
                return answer
            url = urljoin(url, answer.headers.get("Location", ""))
        raise SourceError("the server redirects without end", host=_host(asked.url))

    async def _once(
        self, asked: Asked, url: str, authorization: Secret | None, sink: Callable[[bytes], object] | None
    ) -> Answer:
        headers = {"Accept": asked.accept}
        if authorization is not None:
            headers["Authorization"] = credential.header(authorization)
        assert self._http is not None
        given = yarl.URL(url, encoded=True)
        proxy, shown = proxies.request(self._settings.proxy, given.host or "")
        if shown is not None and given.scheme == "http":
            headers |= shown  # without CONNECT the request itself goes to the proxy
        try:
            async with self._http.request(
                asked.method, given, headers=headers, allow_redirects=False, proxy=proxy, proxy_headers=shown
            ) as response:
                status = response.status
                if status == 407 and proxy is not None:
                    raise proxies.refusal(status)
                if status == 429 or status >= 500:
                    raise SourceUnavailableError("the server is overloaded or failing", status=status, host=_host(url))
                body = b"" if asked.method == "HEAD" else await _read(response, asked, url, sink)
                return Answer(status, url, response.headers, body)
        except aiohttp.ClientConnectorCertificateError:
            failure = SourceError(
                "the server's certificate is not trusted",
                hint="set the CA's PEM as ca.crt in the credentials Secret, or as caFile of oci or charts in the operator's file",
                host=_host(url),
            )
        except aiohttp.ClientHttpProxyError as refused:
            failure = proxies.refusal(refused.status)
        except (aiohttp.ClientError, OSError, ValueError):
            failure = SourceUnavailableError("the server cannot be reached, or closed the connection", host=_host(url))
        if proxy is not None:
            failure = failure.with_facts(proxy=proxy)
        raise failure


async def _read(
    response: aiohttp.ClientResponse, asked: Asked, url: str, sink: Callable[[bytes], object] | None
) -> bytes:
    """The body of a 200, or nothing where it went to `sink`. The bodies of other answers are not kept."""
    good = response.status == 200
    if good and response.headers.get("Content-Encoding", "identity").strip().lower() not in {"", "identity"}:
        raise SourceError("the server's answer is compressed, which is not supported", host=_host(url))
    most, count, body = asked.most if good else _FAILURE, 0, bytearray()
    async for piece in response.content.iter_any():
        count += len(piece)
        if count > most and good:
            raise LimitError("the server's answer is larger than the agent accepts", limit=most, host=_host(url))
        if count > most:
            response.close()
            break
        if good and sink is not None:
            sink(piece)
        elif good:
            body += piece
    return bytes(body)


def _host(url: str) -> str:
    """The host alone: the path and the query of a redirect may be a credential."""
    return (addresses.origin_of(url) or "").partition("://")[2] or "none"


def _context(ca_file: str | None, ca_pem: str) -> ssl.SSLContext:
    if ca_pem:
        try:
            return ssl.create_default_context(cadata=ca_pem)
        except (ssl.SSLError, ValueError):
            raise SourceError(
                "ca.crt of the credentials holds no certificate", hint="it takes PEM", field="ca.crt"
            ) from None
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (ssl.SSLError, OSError, ValueError):
        raise ConfigError(
            "the file of authorities for registries cannot be read",
            hint="oci.caFile in the operator's file names it",
            path=ca_file or "",
        ) from None
