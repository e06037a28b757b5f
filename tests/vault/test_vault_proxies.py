"""A store through the operator's proxy: by CONNECT alone, with the proxy's login, and nothing of the environment."""

from __future__ import annotations

import contextlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from vault_servers import SHOP, Clock, settings

from agent.adapters.bounds.bodies import LARGEST
from agent.adapters.keys.transit import TransitKeys
from agent.adapters.proxies import REFUSED
from agent.adapters.vault.stores import Stores
from agent.api.model import Problem
from agent.manifests import references
from agent.sops.format.keys import TransitRecipient
from agent.values.errors import AgentError, DataKeyError, LimitError, StoreUnavailableError
from agent.values.secret import Secret
from testbed.certificates import Authority
from testbed.openbao import OpenBao
from testbed.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from pathlib import Path

LOGIN = "agent:p:w-canary"
REFERENCE = references.parse("vault://main/secret/shop/db#password")
MINUTES = 3600.0
_PIECE = 64 * 1024
DATA_KEY = Secret(b"canary-data-key-of-32-bytes-long", "data key")
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


@pytest.fixture(scope="module")
def secure() -> Generator[OpenBao]:
    with OpenBao(tls=True) as running:
        running.enable_kv("secret")
        running.put("shop/db", {"password": "first"})
        running.enable_transit()
        running.create_transit_key("app")
        yield running


@pytest.fixture
def login(tmp_path: Path) -> Path:
    path = tmp_path / "proxy-login"
    path.write_text(LOGIN + "\n")
    return path


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


@pytest.fixture
def token(secure: OpenBao, tmp_path: Path) -> str:
    """A file with the root token."""
    return write(tmp_path / "secure-token", secure.root_token)


@pytest.fixture
async def reach(secure: OpenBao, token: str, clock: Clock) -> AsyncGenerator[Callable[..., Stores]]:
    """`reach(url=…, credentialsFile=…)`: the store `main` by this proxy."""
    made: list[Stores] = []

    def make(**proxy: Any) -> Stores:
        given = {"caFile": str(secure.ca_file), "auth": {"tokenFile": token}, "proxy": proxy}
        built = {"main": settings(secure.url, **given)}
        made.append(Stores(built, monotonic=clock, jitter=lambda: 0.5, now=clock, seconds=10.0))
        return made[-1]

    yield make
    for one in made:
        await one.close()


async def value(stores: Stores) -> str:
    """What the reference gives, or the error as it is shown."""
    answer = (await stores.resolve(SHOP, [REFERENCE]))[REFERENCE]
    if isinstance(answer, AgentError):
        assert isinstance(answer, StoreUnavailableError)
        assert "canary" not in f"{answer} {answer.hint} {answer.facts}"
        return str(answer)
    return "read"


async def test_a_store_is_reached_through_the_proxy_and_not_past_it(
    secure: OpenBao, reach: Callable[..., Stores], clock: Clock
) -> None:
    with Proxy() as proxy:
        stores = reach(url=proxy.url)
        assert await value(stores) == "read"
        assert {*proxy.asked} == {urlsplit(secure.url).netloc}
        refused = reach(url=proxy.url)
        proxy.refuses = True
        said = await value(refused)
        assert "the operator's proxy does not lead to the server" in said
        assert "403" in said
        assert proxy.url in said
        proxy.refuses = False
        clock.now += MINUTES
        assert await value(refused) == "read"
    assert "the operator's proxy does not lead to the server" in await value(reach(url=proxy.url))


async def test_a_password_is_shown_to_the_proxy_and_a_wrong_one_is_said(
    reach: Callable[..., Stores], login: Path, clock: Clock
) -> None:
    with Proxy(LOGIN) as proxy:
        assert REFUSED in await value(reach(url=proxy.url))
        stores = reach(url=proxy.url, credentialsFile=str(login))
        write(login, "agent:other-canary\n")
        assert REFUSED in await value(stores)
        write(login, "no password\n")
        clock.now += MINUTES
        assert "proxy's credentials cannot be read" in await value(stores)
        write(login, LOGIN)
        clock.now += MINUTES
        assert await value(stores) == "read"


async def test_hosts_that_are_direct_are_not_asked_of_it(reach: Callable[..., Stores], login: Path) -> None:
    with Proxy() as proxy:
        assert await value(reach(url=proxy.url, direct=["127.*"], credentialsFile=f"{login}-none")) == "read"
        assert proxy.asked == []


async def test_a_proxy_that_says_nothing_ends_in_time(
    reach: Callable[..., Stores], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.adapters.vault.server._CONNECT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        said = await value(reach(url=f"http://127.0.0.1:{silent.getsockname()[1]}"))
    assert "did not answer in time" in said


@pytest.fixture
def endless(tmp_path: Path) -> Generator[tuple[str, str]]:
    """A server over TLS whose answers are longer than any that is taken; its URL and the file of its authority."""
    authority = Authority.create("test")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                for _ in range(4 * LARGEST // _PIECE):
                    self.wfile.write(b" " * _PIECE)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = authority.server_context(tmp_path, "server", "127.0.0.1")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://127.0.0.1:{server.server_port}", write(tmp_path / "endless.crt", authority.pem)
    server.shutdown()
    server.server_close()


async def test_an_answer_through_it_is_bounded_too(endless: tuple[str, str], token: str, clock: Clock) -> None:
    url, ca_file = endless
    with Proxy() as proxy:
        given: Any = {"caFile": ca_file, "auth": {"tokenFile": token}, "proxy": {"url": proxy.url}}
        stores = Stores({"main": settings(url, **given)}, monotonic=clock, jitter=lambda: 0.5, now=clock)
        answer = (await stores.resolve(SHOP, [REFERENCE]))[REFERENCE]
        await stores.close()
        assert {*proxy.asked} == {urlsplit(url).netloc}
    assert isinstance(answer, LimitError), answer


async def test_the_environment_names_no_proxy_for_the_agent(
    secure: OpenBao, token: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: Any = {"caFile": str(secure.ca_file), "auth": {"tokenFile": token}}
    with Proxy() as proxy:
        for name in VARIABLES:
            monkeypatch.setenv(name, proxy.url)
        stores = Stores({"main": settings(secure.url, **given)}, monotonic=clock, jitter=lambda: 0.5, now=clock)
        assert await value(stores) == "read"
        await stores.close()
        assert proxy.asked == []


def test_a_proxy_that_would_see_the_token_is_refused() -> None:
    with pytest.raises(Problem, match="over HTTPS"):
        settings("http://127.0.0.1:8200", auth={"tokenFile": "/t"}, proxy={"url": "http://127.0.0.1:3128"})


async def test_commands_go_through_the_proxy_of_the_environment(
    secure: OpenBao, token: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (*VARIABLES, "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    recipient = TransitRecipient(secure.url, "transit", "app")
    given: Any = {"caFile": str(secure.ca_file), "auth": {"tokenFile": token}}
    keys = TransitKeys([secure.url], Secret(secure.root_token, "token"), ca=str(secure.ca_file))
    with Proxy(LOGIN) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(DataKeyError, match="the proxy of HTTPS_PROXY"):
            keys.wrap(recipient, DATA_KEY, created_at="2026-01-01T00:00:00Z")
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("//", f"//{LOGIN.replace('p:w', 'p%3Aw')}@"))
        wrapped = keys.wrap(recipient, DATA_KEY, created_at="2026-01-01T00:00:00Z")
        stores = Stores(
            {"main": settings(secure.url, **given)},
            monotonic=clock,
            jitter=lambda: 0.5,
            now=clock,
            environment=True,
        )
        assert await value(stores) == "read"
        await stores.close()
        assert {*proxy.asked} == {urlsplit(secure.url).netloc}
        proxy.asked.clear()
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert keys.unwrap(wrapped) == DATA_KEY
        assert proxy.asked == []
