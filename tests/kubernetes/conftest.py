"""Sessions against the testbed's apiserver, a TCP relay to it that can be cut, and memberships of agents."""

from __future__ import annotations

import asyncio
import ssl
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from fixed_tokens import FixedToken
from memberships import QUICK

from agent.adapters.kubernetes.cluster import Access, Cluster, Home
from agent.adapters.kubernetes.config import ClusterConfig
from agent.adapters.kubernetes.leases import Leases
from agent.adapters.kubernetes.membership import Membership, boot_time
from agent.adapters.kubernetes.session import Session
from agent.adapters.kubernetes.watch import Pace
from agent.values.secret import Secret
from testbed.relay import Relay

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    from testbed.controlplane import ControlPlane


@pytest.fixture
def relay(controlplane: ControlPlane) -> Generator[Relay]:
    with Relay(urlsplit(controlplane.url).port) as running:
        yield running


@pytest.fixture
def connect(controlplane: ControlPlane):
    """`async with connect(token=, port=, seals=, pace=, report=, heard=, **session) as cluster`."""

    @asynccontextmanager
    async def connected(
        *,
        token: str = "",
        port: int = 0,
        seals=lambda _: False,
        pace: Pace | None = None,
        report=None,
        heard=None,
        **session,
    ) -> AsyncGenerator[Cluster]:
        server = f"https://127.0.0.1:{port}" if port else controlplane.url
        secret = Secret(token or controlplane.admin_token, "test token")
        settings = ClusterConfig(server, ssl.create_default_context(cadata=controlplane.ca_pem), FixedToken(secret))
        async with Session(settings, **session) as opened:
            yield Cluster(Access(opened, seals, pace or Pace(), report, heard))

    return connected


@pytest.fixture
async def cluster(connect) -> AsyncGenerator[Cluster]:
    async with connect() as opened:
        yield opened


@pytest.fixture
def home(cluster: Cluster) -> Home:
    return Home(Access(cluster._session, lambda _: False), instance="agent-test", now=time.time)


@pytest.fixture
def member(cluster, namespace):
    def make(identity: str, token: str = "1", session=None, clock=boot_time, terms=QUICK) -> Membership:
        session = session or cluster._session
        return Membership(Leases(session, namespace), identity, token=token, now=time.time, clock=clock, terms=terms)

    return make


@pytest.fixture
def eventually() -> Callable:
    """`await eventually(check)`: the truthy result of a function, within `seconds`."""

    async def wait(check: Callable, seconds: float = 60.0):
        async with asyncio.timeout(seconds):
            while not (found := check()):  # noqa: ASYNC110  # what is waited for is another process
                await asyncio.sleep(0.02)
            return found

    return wait
