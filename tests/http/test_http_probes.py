from __future__ import annotations

import aiohttp
import pytest

from agent.adapters.http import server
from agent.adapters.metrics import prometheus
from agent.values.errors import ConfigError


class State:
    live = True
    ready = False


@pytest.fixture
async def served():
    state = State()
    metrics = prometheus.Metrics(version="0.1.0")
    running = await server.serve(
        host="127.0.0.1",
        port=0,
        live=lambda: state.live,
        ready=lambda: state.ready,
        metrics=metrics.exposition,
        content_type=prometheus.CONTENT_TYPE,
    )
    async with aiohttp.ClientSession(f"http://127.0.0.1:{running.port}") as session:
        yield state, session, running.port
    await running.close()


async def test_probes_follow_the_agent(served):
    state, session, _ = served
    for path, attribute in (("/healthz", "live"), ("/readyz", "ready")):
        for good, status, text in ((True, 200, "ok\n"), (False, 503, "no\n")):
            setattr(state, attribute, good)
            async with session.get(path) as answer:
                assert (answer.status, await answer.text()) == (status, text)


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
        await server.serve(
            host="127.0.0.1", port=port, live=bool, ready=bool, metrics=bytes, content_type=prometheus.CONTENT_TYPE
        )
