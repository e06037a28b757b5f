from __future__ import annotations

import asyncio
import contextlib
import time

import aiohttp
import pytest

from agent.adapters.http import connections, server
from agent.adapters.metrics import prometheus
from agent.values.errors import ConfigError


class State:
    said = "starting"


@pytest.fixture
async def served():
    state = State()
    metrics = prometheus.Metrics(version="0.1.0")
    running = await server.serve(
        host="127.0.0.1",
        port=0,
        ready=lambda: state.said,
        metrics=metrics.exposition,
        content_type=prometheus.CONTENT_TYPE,
    )
    async with aiohttp.ClientSession(f"http://127.0.0.1:{running.port}") as session:
        yield state, session, running.port
    await running.close()


async def test_probes_follow_the_agent(served):
    state, session, _ = served
    for said, status in (("ok", 200), ("starting", 503), ("no rights", 503), ("cluster away", 503)):
        state.said = said
        async with session.get("/readyz") as answer:
            assert (answer.status, await answer.text()) == (status, f"{said}\n")
        async with session.get("/healthz") as answer:
            assert (answer.status, await answer.text()) == (200, "ok\n")


async def test_metrics_are_served_as_openmetrics(served):
    _, session, _ = served
    async with session.get("/metrics") as answer:
        assert answer.headers["Content-Type"] == prometheus.CONTENT_TYPE
        assert (await answer.text()).endswith("# EOF\n")


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/", 404), ("POST", "/metrics", 405), ("GET", "/../etc/passwd", 404)]
)
async def test_nothing_else_is_served(served, method, path, status):
    _, session, _ = served
    async with session.request(method, path) as answer:
        assert answer.status == status
        assert "passwd" not in await answer.text()


async def test_taken_port_is_a_setting_s_error(served):
    _, _, port = served
    with pytest.raises(ConfigError, match="cannot listen"):
        await server.serve(host="127.0.0.1", port=port, ready=str, metrics=bytes, content_type=prometheus.CONTENT_TYPE)


async def test_half_a_request_is_dropped_after_some_seconds(served, monkeypatch):
    monkeypatch.setattr(connections, "SECONDS", 0.3)
    _, _, port = served
    for half in (b"", b"GET /healthz HTTP/1.1\r\n", b"GET /healthz HTTP/1.1\r\nHost: x\r\n"):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(half)
        started = time.monotonic()
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 10) == b""
        assert time.monotonic() - started < 5
        writer.close()


def test_the_time_for_a_request_is_five_seconds():
    assert connections.SECONDS == 5


async def test_a_request_without_end_and_what_is_none_are_refused(served):
    _, _, port = served
    for sent, expected in (
        (b"GET /healthz HTTP/1.1\r\n" + b"X: y\r\n" * 100_000, b""),
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET /healthz HTTP/2\r\n\r\n", b"400"),
        (b"\xff\x00 \x00 \xff\r\n\r\n", b"400"),
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        answer = b""
        with contextlib.suppress(ConnectionError):
            writer.write(sent)
            await writer.drain()
            answer = await asyncio.wait_for(reader.read(), 10)
        assert expected in answer[:12]
        assert bool(answer) == bool(expected)
        writer.close()


async def test_connections_that_wait_keep_no_probe_out(served, monkeypatch):
    monkeypatch.setattr(connections, "SECONDS", 120)
    _, session, port = served
    idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3 * server.CONNECTIONS)]
    for _, writer in idle:
        writer.write(b"GET /healthz HTTP/1.1\r\n")
    for _ in range(5):
        async with session.get("/healthz") as answer:
            assert answer.status == 200

    async def is_over(reader):
        with contextlib.suppress(ConnectionError):
            await reader.read()

    over = [asyncio.ensure_future(is_over(reader)) for reader, _ in idle]
    await asyncio.wait_for(asyncio.gather(*over[: 2 * server.CONNECTIONS]), 60)
    assert sum(not one.done() for one in over) <= server.CONNECTIONS
    for one in over:
        one.cancel()
    for _, writer in idle:
        writer.close()


async def test_who_reads_no_answer_is_left(monkeypatch):
    monkeypatch.setattr(connections, "SECONDS", 0.3)
    running = await server.serve(
        host="127.0.0.1",
        port=0,
        ready=str,
        metrics=lambda: bytes(64 * 1024 * 1024),
        content_type="text/plain",
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port, limit=1024)
    writer.write(b"GET /metrics HTTP/1.1\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    await asyncio.sleep(1)  # the misbehaviour itself
    taken = 0
    with contextlib.suppress(ConnectionError):
        while piece := await asyncio.wait_for(reader.read(1 << 20), 10):
            taken += len(piece)
    assert taken < 64 * 1024 * 1024
    writer.close()
    await running.close()
