"""Git through the operator's proxy: over TLS it sees no more than the host, and where it refuses, that is said and nothing is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent.values.errors import SourceUnavailableError
from testbed.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from agent.adapters.git.mirrors import Mirrors
    from agent.api.sources import Source
    from agent.engine.credentials import GitCredential
    from testbed.repository import Repository


@pytest.fixture
def proxy() -> Generator[Proxy]:
    with Proxy() as running:
        yield running


async def test_a_server_is_reached_through_the_proxy(
    proxy: Proxy,
    make_mirrors: Callable[..., Mirrors],
    repository: Repository,
    source: Callable[..., Source],
    credential: GitCredential,
    host: str,
) -> None:
    mirrors = make_mirrors(git={"proxy": {"url": proxy.url}})
    commit = repository.commit({"a.yaml": "a: 1\n"})
    assert await mirrors.head(source(), credential) == commit
    assert (await mirrors.fetch(source(), credential)).commit == commit
    assert {*proxy.asked} == {host}


async def test_hosts_that_are_direct_are_not_asked_of_it(
    proxy: Proxy,
    make_mirrors: Callable[..., Mirrors],
    repository: Repository,
    source: Callable[..., Source],
    credential: GitCredential,
) -> None:
    mirrors = make_mirrors(git={"proxy": {"url": proxy.url, "direct": ["127.*"]}})
    commit = repository.commit({"a.yaml": "a: 1\n"})
    assert await mirrors.head(source(), credential) == commit
    assert proxy.asked == []


async def test_a_proxy_that_refuses_or_is_away_passes(
    proxy: Proxy,
    make_mirrors: Callable[..., Mirrors],
    repository: Repository,
    source: Callable[..., Source],
    credential: GitCredential,
) -> None:
    mirrors = make_mirrors(git={"proxy": {"url": proxy.url}})
    commit = repository.commit({"a.yaml": "a: 1\n"})
    await mirrors.fetch(source(), credential)
    (mirror,) = [path for path in mirrors.directory.iterdir() if path.is_dir()]
    proxy.refuses = True
    for ask in (mirrors.head, mirrors.fetch):
        with pytest.raises(SourceUnavailableError) as refused:
            await ask(source(), credential)
        assert refused.value.transient
    assert mirror.is_dir(), "what was fetched before stays"
    proxy.refuses = False
    assert await mirrors.head(source(), credential) == commit
