"""One HTTP session for every request to the API server: credentials, impersonation, limits, deadlines and retries.

What is repeated: reads, server-side applies, JSON patches and deletes, because the server decides by their
preconditions whether a repetition still counts. A 429 is repeated when the server asks for it, until the deadline; a
broken connection and a 5xx a few times. What comes out is an `Answer` or an AgentError; no text of the server's.
"""

from __future__ import annotations

import asyncio
import io
import logging
import random
import re
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import aiohttp
import yarl

from agent.adapters.kubernetes import credential, errors
from agent.adapters.kubernetes.accounts import Accounts
from agent.adapters.sockets import Sockets
from agent.values.errors import AgentError, ClusterUnavailableError, ForbiddenError, ObjectInvalidError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Collection, Mapping
    from types import TracebackType
    from typing import Self

    from agent.adapters.kubernetes.config import ClusterConfig
    from agent.adapters.kubernetes.errors import Call
    from agent.engine.ports import Identity

JSON = "application/json"
_ACCOUNT = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_ERROR_BYTES = 4 * 1024 * 1024
_ANSWER_BYTES = 512 * 1024 * 1024
"""A list in one page, which is asked for where the server kept one no longer for several."""
TOO_LARGE = 413
"""The code of an answer beyond `Request.most`, where that is allowed. What came of it is thrown away."""
_PIECES_ABOVE = 512 * 1024

# what these write at debug level holds headers and addresses
logging.getLogger("aiohttp").setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that was asked for: below 300, or one of the codes that the caller allowed."""

    code: int
    body: bytes = field(repr=False)
    etag: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much and how long, in seconds.

    `concurrency` requests at once (watches do not count), `deadline` for a request with its repetitions, `attempt` for
    one of them; after `attempts` broken ones it is given up; `patience` is the longest pause between two.
    """

    concurrency: int = 32
    deadline: float = 60.0
    attempt: float = 30.0
    attempts: int = 5
    patience: float = 5.0


@dataclass(frozen=True, slots=True)
class Request:
    """`guarded` requests are writes that need this agent's Lease; `urgent` ones do not queue behind others.

    `check` is called before each attempt at a guarded request, after the session's own guard. An answer has at most `most` bytes.
    """

    call: Call
    path: str
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes | None = field(default=None, repr=False)
    content_type: str = JSON
    accept: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    identity: Identity | None = None
    allow: Collection[int] = ()
    guarded: bool = False
    check: Callable[[], None] | None = None
    urgent: bool = False
    most: int = _ANSWER_BYTES


def username(identity: Identity) -> str:
    """`system:serviceaccount:<namespace>:<name>`. Raises ObjectInvalidError for what is no name."""
    if not _ACCOUNT.fullmatch(identity.namespace) or not _ACCOUNT.fullmatch(identity.service_account):
        raise ObjectInvalidError(
            "not the name of a ServiceAccount", namespace=identity.namespace, name=identity.service_account
        )
    return f"system:serviceaccount:{identity.namespace}:{identity.service_account}"


class Session:
    """An async context manager. `guard` is called before each guarded request is sent, and raises LeaseLostError.

    `observe(verb, code, seconds)` is called after each attempt; code 0 is a broken connection.
    """

    def __init__(
        self,
        config: ClusterConfig,
        *,
        agent: str = "signet",
        limits: Limits = Limits(),
        guard: Callable[[], None] | None = None,
        observe: Callable[[str, int, float], None] | None = None,
    ) -> None:
        self.guard: Callable[[], None] = guard or _allow
        self.limits: Limits = limits
        self._config: ClusterConfig = config
        self._agent: str = agent
        self._observe: Callable[[str, int, float], None] = observe or _ignore
        self._slots: asyncio.Semaphore = asyncio.Semaphore(limits.concurrency)
        self._accounts: Accounts = Accounts()
        self._http: aiohttp.ClientSession | None = None
        self._sockets: Sockets = Sockets()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()
            self._http = None
            await self._sockets.close()

    def _client(self) -> aiohttp.ClientSession:
        if self._http is None:
            self._http = aiohttp.ClientSession(
                # the semaphore limits requests; watches each keep a connection of their own
                connector=aiohttp.TCPConnector(
                    limit=0, keepalive_timeout=60, ssl=self._config.ssl or True, socket_factory=self._sockets.open
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
                headers={"User-Agent": self._agent, "Accept-Encoding": "identity"},
            )
        return self._http

    async def request(self, request: Request) -> Answer:
        """Send, and repeat where that may help. Raises AgentError: ClusterUnavailableError when nothing helped."""
        try:
            return await self._in_turn(request, self.limits)
        except ForbiddenError as error:
            if request.identity is None:
                raise
            refused = error
        raise await self._accounts.explained(refused, request.identity, self._code)

    async def _code(self, call: Call, path: str) -> int:
        return (await self._in_turn(Request(call, path, allow=(404,)), self.limits)).code

    async def _in_turn(self, request: Request, limits: Limits) -> Answer:
        if request.urgent:
            return await self._in_time(request, limits)
        async with self._slots:
            return await self._in_time(request, limits)

    async def _in_time(self, request: Request, limits: Limits) -> Answer:
        try:
            async with asyncio.timeout(limits.deadline):
                return await self._repeat(request, limits)
        except TimeoutError:
            failure = ClusterUnavailableError("the API server did not answer in time").with_facts(
                **request.call.facts()
            )
        raise failure

    async def _repeat(self, request: Request, limits: Limits) -> Answer:
        refresh, failures = False, 0
        while True:
            answer, retry_after = await self._attempt(request, refresh=refresh)
            if answer is not None and (answer.code < 300 or answer.code in request.allow):
                return answer
            if answer is not None and answer.code == 401 and not refresh:
                refresh = True
                continue
            if answer is not None and not _repeatable(answer):
                raise errors.translate(answer.code, answer.body, request.call)
            if answer is None or answer.code != 429:
                failures += 1
            if failures >= limits.attempts:
                raise _given_up(answer, request.call)
            pause = min(limits.patience, 0.2 * 2**failures) * (0.5 + random.random() / 2)  # noqa: S311
            await asyncio.sleep(max(pause, min(retry_after, limits.patience)))

    async def _attempt(self, request: Request, *, refresh: bool) -> tuple[Answer | None, float]:
        """One exchange: the answer, or None where there was none, and how long the server asks to wait."""
        headers = await self._headers(request, refresh=refresh)
        if request.guarded:
            self.guard()
            if request.check is not None:
                request.check()
        started, code = time.monotonic(), 0
        failure: AgentError | None = None
        try:
            async with self._client().request(
                request.call.method,
                self._url(request),
                data=_payload(request.body),
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=self.limits.attempt),
                server_hostname=self._config.server_name or None,
            ) as response:
                body = await _read(response, request.most)
                code = response.status
                if body is not None:
                    answer = Answer(code, body, response.headers.get("ETag", ""))
                    return answer, _seconds(response.headers.get("Retry-After", ""))
                if TOO_LARGE in request.allow:
                    return Answer(TOO_LARGE, b""), 0.0
                failure = ClusterUnavailableError("the API server's answer is larger than the agent accepts")
                failure = failure.with_facts(**request.call.facts())
        except aiohttp.ClientConnectorCertificateError:
            failure = _untrusted(request.call)
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None, 0.0
        finally:
            self._observe(request.call.verb, code, time.monotonic() - started)
        raise failure

    @asynccontextmanager
    async def stream(self, request: Request, *, silence: float) -> AsyncGenerator[aiohttp.StreamReader]:
        """An answer read as it comes; `silence` seconds without a byte end it. AgentError also while it is read."""
        failure: AgentError | None = None
        started, code = time.monotonic(), 0
        try:
            async with self._client().request(
                request.call.method,
                self._url(request),
                headers=await self._headers(request, refresh=False),
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=silence),
                server_hostname=self._config.server_name or None,
                read_bufsize=256 * 1024,
            ) as response:
                code = response.status
                self._observe(request.call.verb, code, time.monotonic() - started)
                if code >= 300:
                    body = await response.content.read(_ERROR_BYTES)
                    failure = errors.translate(code, body, request.call)
                else:
                    try:
                        yield response.content
                    finally:
                        _abandon(response)
        except aiohttp.ClientConnectorCertificateError:
            failure = _untrusted(request.call)
        except (aiohttp.ClientError, TimeoutError, OSError):
            failure = ClusterUnavailableError("the connection to the API server broke").with_facts(
                **request.call.facts()
            )
            if not code:
                self._observe(request.call.verb, 0, time.monotonic() - started)
        if code == 401:
            await self._config.authorization(refresh=True)
        if failure is not None:
            raise failure

    async def _headers(self, request: Request, *, refresh: bool) -> list[tuple[str, str]]:
        headers = [("Accept", request.accept), *request.headers.items()]
        if request.body is not None:
            headers.append(("Content-Type", request.content_type))
        authorization = await self._config.authorization(refresh=refresh)
        if authorization is not None:
            headers.append(("Authorization", credential.header(authorization)))
        if request.identity is not None:
            # the API server adds a ServiceAccount's groups; naming them would need the right to impersonate groups
            headers.append(("Impersonate-User", username(request.identity)))
        return headers

    def _url(self, request: Request) -> yarl.URL:
        query = str(yarl.URL.build(query=request.query)) if request.query else ""
        return yarl.URL(f"{self._config.server}{request.path}{query}", encoded=True)


def _payload(body: bytes | None) -> bytes | io.BytesIO | None:
    # aiohttp writes a file-like body by pieces, so that a large one does not hold up the event loop
    return io.BytesIO(body) if body is not None and len(body) > _PIECES_ABOVE else body


async def _read(response: aiohttp.ClientResponse, most: int) -> bytes | None:
    """The body, or the beginning of an error's; None for one that is too large. Nothing is unpacked."""
    most = most if response.status < 300 else _ERROR_BYTES
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > most:
            _abandon(response)
            return bytes(body[:most]) if response.status >= 300 else None
    return bytes(body)


def _abandon(response: aiohttp.ClientResponse) -> None:
    # a TLS connection that is closed politely in the middle of an answer lingers until the server has sent its part
    if response.connection is not None and response.connection.transport is not None:
        response.connection.transport.abort()


def _repeatable(answer: Answer) -> bool:
    if answer.code == 500:
        return not errors.is_schema_error(answer.body)
    return answer.code == 429 or (answer.code > 500 and answer.code != 501)


def _given_up(answer: Answer | None, call: Call) -> AgentError:
    if answer is None:
        return ClusterUnavailableError("the API server does not answer").with_facts(**call.facts())
    return errors.translate(answer.code, answer.body, call)


def _untrusted(call: Call) -> AgentError:
    failure = ClusterUnavailableError("the API server's certificate is not trusted", hint="name the CA that signed it")
    return failure.with_facts(**call.facts())


def _seconds(retry_after: str) -> float:
    return float(retry_after) if retry_after.isdecimal() and len(retry_after) < 6 else 0.0


def _allow() -> None:
    pass


def _ignore(verb: str, code: int, seconds: float) -> None:
    pass
