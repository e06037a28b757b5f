"""Git through the operator's proxy: over TLS it sees no more than the host, and where it refuses, that is said and nothing is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent.adapters.git import command, failures
from agent.adapters.git.command import Outcome
from agent.adapters.proxies import REFUSED
from agent.values.errors import SourceUnavailableError
from testbed.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

    from agent.adapters.git.confined import Confined
    from agent.adapters.git.mirrors import Mirrors
    from agent.api.sources import Source
    from agent.engine.credentials import GitCredential
    from testbed.repository import Repository

LOGIN = "agent:p:w-canary"


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


@pytest.fixture
def guarded() -> Generator[Proxy]:
    with Proxy(LOGIN) as running:
        yield running


@pytest.mark.parametrize("line", [LOGIN, LOGIN + "\n", LOGIN + "\r\n"])
async def test_a_proxy_with_a_password_gets_what_the_file_holds_and_the_server_its_own(
    guarded: Proxy,
    make_mirrors: Callable[..., Mirrors],
    repository: Repository,
    source: Callable[..., Source],
    credential: GitCredential,
    host: str,
    tmp_path: Path,
    line: str,
) -> None:
    file = tmp_path / "proxy"
    _ = file.write_text(line)
    mirrors = make_mirrors(git={"proxy": {"url": guarded.url, "credentialsFile": str(file)}})
    commit = repository.commit({"a.yaml": "a: 1\n"})
    assert await mirrors.head(source(), credential) == commit
    assert (await mirrors.fetch(source(), credential)).commit == commit
    assert {*guarded.asked} == {host}


async def test_a_password_is_read_for_each_connection(
    guarded: Proxy,
    make_mirrors: Callable[..., Mirrors],
    repository: Repository,
    source: Callable[..., Source],
    credential: GitCredential,
    tmp_path: Path,
) -> None:
    file = tmp_path / "proxy"
    _ = file.write_text("agent:old-canary")
    mirrors = make_mirrors(git={"proxy": {"url": guarded.url, "credentialsFile": str(file)}})
    commit = repository.commit({"a.yaml": "a: 1\n"})
    with pytest.raises(SourceUnavailableError) as refused:
        await mirrors.head(source(), credential)
    assert refused.value.message == REFUSED
    assert "canary" not in str(refused.value)
    _ = file.write_text(LOGIN)
    assert await mirrors.head(source(), credential) == commit


@pytest.mark.parametrize(
    ("words", "refused"),
    [
        ("unable to access 'https://h/x/': CONNECT tunnel failed, response 407", True),
        ("unable to access 'https://h/x/': Received HTTP code 407 from proxy after CONNECT", True),
        ("unable to access 'http://h/x/': The requested URL returned error: 407", True),
        ("unable to access 'https://h/x/': The requested URL returned error: 407", False),
        ("unable to access 'https://h/team/407/': Failed to connect to h port 443", False),
    ],
)
def test_a_repository_whose_name_is_a_status_is_not_the_proxys_refusal(words: str, refused: bool) -> None:
    outcome = Outcome(128, b"", f"fatal: {words}\n")
    assert (failures.translate(outcome, repository="r").message == REFUSED) is refused


@pytest.mark.parametrize(
    "content", [None, "", "agent", ":canary", "agent:canary\nmore", "agent:" + "c" * 5000, b"\xff:x"]
)
async def test_what_is_no_user_name_and_password(
    guarded: Proxy,
    make_mirrors: Callable[..., Mirrors],
    source: Callable[..., Source],
    credential: GitCredential,
    tmp_path: Path,
    content: str | bytes | None,
) -> None:
    file = tmp_path / "proxy"
    if content is not None:
        _ = file.write_bytes(content.encode() if isinstance(content, str) else content)
    mirrors = make_mirrors(git={"proxy": {"url": guarded.url, "credentialsFile": str(file)}})
    with pytest.raises(SourceUnavailableError) as refused:
        await mirrors.head(source(), credential)
    assert refused.value.facts["file"] == str(file)
    assert "canary" not in str(refused.value)
    assert guarded.asked == []


async def test_no_process_shows_the_password(
    guarded: Proxy,
    make_mirrors: Callable[..., Mirrors],
    source: Callable[..., Source],
    credential: GitCredential,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = tmp_path / "proxy"
    _ = file.write_text(LOGIN)
    seen: list[str] = []

    def run(confined: Confined, arguments: Sequence[str], **_: object) -> Outcome:
        seen.append(repr([confined.configuration, confined.variables, arguments]))
        return Outcome(128, b"", "fatal: unable to access", "")

    monkeypatch.setattr(command, "run", run)
    mirrors = make_mirrors(git={"proxy": {"url": guarded.url, "credentialsFile": str(file)}})
    with pytest.raises(SourceUnavailableError):
        await mirrors.head(source(), credential)
    assert seen
    assert "canary" not in "".join(seen)
