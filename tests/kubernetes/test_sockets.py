"""A session that is closed leaves no socket open, whatever its requests were at and whether the server answers or not."""

from __future__ import annotations

import asyncio
import gc
import socket

import pytest

from agent.adapters.kubernetes.errors import Call
from agent.adapters.kubernetes.session import Request

WATCH = Request(Call("GET", "watch"), "/api/v1/namespaces", query={"watch": "1", "timeoutSeconds": "60"})


def connected_to(port: int) -> list[socket.socket]:
    held = [each for each in gc.get_objects() if isinstance(each, socket.socket) and each.fileno() >= 0]
    return [each for each in held if each.family == socket.AF_INET and _peer(each) == port]


def _peer(connection: socket.socket) -> int:
    try:
        return connection.getpeername()[1]
    except OSError:
        return 0


@pytest.mark.parametrize("silent", [False, True], ids=["answers", "silent"])
async def test_requests_that_are_cancelled_under_way(connect, relay, silent):
    async with connect(port=relay.port) as cluster:
        asked = [asyncio.create_task(cluster._session.request(WATCH)) for _ in range(3)]
        async with asyncio.timeout(30):
            while len(connected_to(relay.port)) < 3:  # noqa: ASYNC110  # a socket reports no change
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.5)
        if silent:
            relay.drop()
        for each in asked:
            each.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
    assert not connected_to(relay.port)


@pytest.mark.parametrize("turns", range(0, 40, 4))
async def test_requests_that_are_cancelled_while_they_connect(connect, relay, turns):
    async with connect(port=relay.port) as cluster:
        asked = [asyncio.create_task(cluster._session.request(WATCH)) for _ in range(3)]
        for _ in range(turns):
            await asyncio.sleep(0)
        for each in asked:
            each.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
    assert not connected_to(relay.port)


async def test_a_watch_that_is_left(connect, relay):
    async with connect(port=relay.port) as cluster, cluster._session.stream(WATCH, silence=30) as lines:
        assert await lines.readline()
        relay.drop()
    assert not connected_to(relay.port)


async def test_a_handshake_that_gets_no_answer(connect, relay):
    relay.drop()
    async with connect(port=relay.port) as cluster:
        asked = asyncio.create_task(cluster._session.request(WATCH))
        await asyncio.sleep(0.3)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
    assert not connected_to(relay.port)
