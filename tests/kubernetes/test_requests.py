"""What is repeated and what is not: failures that a real apiserver cannot be made to show on demand."""

from __future__ import annotations

import asyncio
import dataclasses
import ssl
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from fixed_tokens import FixedToken

from agent.adapters.kubernetes.config import ClusterConfig
from agent.adapters.kubernetes.errors import Call
from agent.adapters.kubernetes.session import Limits, Request, Session
from agent.engine.ports import Identity
from agent.values.errors import (
    ClusterError,
    ClusterUnavailableError,
    ForbiddenError,
    LeaseLostError,
    ObjectInvalidError,
)
from agent.values.secret import Secret

CANARY = "canary-2c81d"
TOKEN = FixedToken(Secret("t0ken", "test"))
QUICK = Limits(attempts=3, patience=0.05, deadline=60, attempt=1)
GET = Request(Call("GET", "get"), "/x")
PATCH = Request(Call("PATCH", "apply"), "/x", body=b"{}", guarded=True)
TYPED = {
    "kind": "Status",
    "message": f"failed to create typed patch object (/a; /v1, Kind=Secret): .a: expected string, got {CANARY}",
}


class Server:
    """Answers in order; the last one for ever after."""

    def __init__(self, *answers) -> None:
        self.answers = list(answers)
        self.requests: list[web.Request] = []
        self.now = self.most = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            return await answer(request)
        finally:
            self.now -= 1


def status(code: int, **headers):
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=code, text=f"{CANARY} too many", headers=headers)

    return answer


def json(code: int, body: dict):
    async def answer(request: web.Request) -> web.Response:
        return web.json_response(body, status=code)

    return answer


async def broken(request: web.Request) -> web.Response:
    request.transport.abort()
    return web.Response()


async def slow(request: web.Request) -> web.Response:
    await asyncio.sleep(30)
    return web.Response()


OK = json(200, {"kind": "ConfigMap"})


@asynccontextmanager
async def serving(*answers, limits=QUICK, authorization=None, **session):
    server = Server(*answers)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    settings = ClusterConfig(f"http://127.0.0.1:{port}", None, authorization or TOKEN)
    try:
        async with Session(settings, limits=limits, **session) as opened:
            yield opened, server
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("request_", [GET, PATCH])
@pytest.mark.parametrize(
    "failures",
    [[status(429, **{"Retry-After": "1"})] * 6, [status(503), status(500)], [broken, broken], [slow, status(504)]],
    ids=["throttled", "failing", "broken", "slow"],
)
async def test_what_passes_is_repeated(request_, failures):
    async with serving(*failures, OK) as (session, server):
        assert (await session.request(request_)).code == 200
        # aiohttp itself repeats an idempotent request once, where a kept-alive connection was closed
        assert len(server.requests) >= len(failures) + 1


def endless(code: int):
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=code)
        await response.prepare(request)
        while True:
            await response.write(b" " * 65536)

    return answer


@pytest.mark.parametrize(
    ("code", "expected", "message"),
    [(200, ClusterUnavailableError, "larger than the agent accepts"), (403, ForbiddenError, None)],
)
async def test_an_answer_without_end_is_cut(code, expected, message):
    async with serving(endless(code), limits=Limits(deadline=60, attempt=60)) as (session, server):
        with pytest.raises(expected, match=message):
            await session.request(dataclasses.replace(GET, most=2**20))
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (status(503), ClusterUnavailableError),
        (broken, ClusterUnavailableError),
        (status(429), ClusterUnavailableError),
        (slow, ClusterUnavailableError),
    ],
    ids=["failing", "broken", "throttled", "slow"],
)
async def test_what_does_not_pass_is_given_up(answer, expected):
    limits = Limits(attempts=2, patience=0.05, deadline=1, attempt=0.3)
    async with serving(answer, limits=limits) as (session, _):
        with pytest.raises(expected) as caught:
            await session.request(GET)
    assert caught.value.transient
    assert CANARY not in f"{caught.value} {caught.value.facts}"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (json(500, TYPED), ObjectInvalidError),
        (status(501), ClusterError),
        (status(302, Location="http://127.0.0.1:1/"), ClusterError),
        (json(403, {"kind": "Status", "reason": "Forbidden", "message": CANARY}), ForbiddenError),
        (json(422, {"kind": "Status", "reason": "Invalid", "message": CANARY}), ObjectInvalidError),
    ],
    ids=["schema error", "not implemented", "redirect", "forbidden", "invalid"],
)
async def test_what_comes_again_is_sent_once(answer, expected):
    async with serving(answer) as (session, server):
        with pytest.raises(expected) as caught:
            await session.request(PATCH)
        assert len(server.requests) == 1
    assert CANARY not in f"{caught.value} {caught.value.facts} {caught.value.__context__!r}"


async def test_the_lease_is_asked_for_before_each_attempt():
    allowed = [True, False]

    def guard() -> None:
        if not allowed.pop(0):
            raise LeaseLostError("lost")

    async with serving(status(503), OK, guard=guard) as (session, server):
        with pytest.raises(LeaseLostError):
            await session.request(PATCH)
        assert len(server.requests) == 1
        assert (await session.request(GET)).code == 200


async def test_a_refused_token_is_renewed_once():
    given = []

    async def authorization(*, refresh: bool) -> Secret:
        given.append(refresh)
        return Secret("Bearer new" if refresh else "Bearer old", "test")

    async with serving(status(401), OK, authorization=authorization) as (session, server):
        assert (await session.request(GET)).code == 200
        assert [request.headers["Authorization"] for request in server.requests] == ["Bearer old", "Bearer new"]
    async with serving(status(401), authorization=authorization) as (session, server):
        with pytest.raises(ForbiddenError):
            await session.request(GET)
        assert len(server.requests) == 2


async def test_no_more_requests_at_once_than_allowed_but_urgent_ones(eventually):
    release = asyncio.Event()

    async def held(request: web.Request) -> web.Response:
        await release.wait()
        return web.Response(text="{}")

    async with serving(held, limits=Limits(concurrency=4)) as (session, server):
        tasks = [asyncio.create_task(session.request(GET)) for _ in range(20)]
        await eventually(lambda: server.now == 4)
        tasks.append(asyncio.create_task(session.request(Request(GET.call, "/lease", urgent=True))))
        await eventually(lambda: server.now == 5)
        assert len(server.requests) == 5
        release.set()
        await asyncio.gather(*tasks)
        assert server.most <= 5


async def test_impersonation_names_the_account_and_leaves_its_groups_to_the_server():
    async with serving(OK) as (session, server):
        await session.request(Request(GET.call, "/x", identity=Identity("shop", "signet-applier")))
    headers = server.requests[0].headers
    assert headers.getall("Impersonate-User") == ["system:serviceaccount:shop:signet-applier"]
    assert "Impersonate-Group" not in headers


async def test_every_attempt_is_counted():
    counted = []
    async with serving(status(503), broken, OK, observe=lambda verb, code, _: counted.append((verb, code))) as (
        session,
        _,
    ):
        await session.request(PATCH)
    assert counted == [("apply", 503), ("apply", 0), ("apply", 200)]


async def test_a_port_without_a_listener_is_unavailable():
    settings = ClusterConfig("http://127.0.0.1:1", None, TOKEN)
    async with Session(settings, limits=QUICK) as session:
        with pytest.raises(ClusterUnavailableError):
            await session.request(GET)


async def test_a_certificate_of_another_authority_is_refused_at_once(controlplane):
    settings = ClusterConfig(controlplane.url, ssl.create_default_context(), TOKEN)
    counted = []
    async with Session(settings, observe=lambda verb, code, _: counted.append(code)) as session:
        with pytest.raises(ClusterUnavailableError) as caught:
            await session.request(GET)
    assert caught.value.message == "the API server's certificate is not trusted"
    assert counted == [0]
