"""What must not happen on the way to a store: tokens sent elsewhere, endless answers, words of the server in our errors.

The servers here are ours where no real one can be made to misbehave so.
"""

from __future__ import annotations

import gzip
import time
import tracemalloc
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vault_servers import SHOP, listener, message, say, settings

from agent.adapters.vault import client, transport
from agent.adapters.vault.client import StoreClient
from agent.manifests import references
from agent.values.errors import AgentError, LimitError, StoreUnavailableError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

    from vault_servers import Proxy

    from agent.adapters.vault.stores import Stores
    from testbed.openbao import OpenBao

CANARY = "canary-c4n4ry-text"


async def ask(stores: Stores) -> AgentError:
    reference = references.parse("vault://main/secret/shop/db#p")
    answer = (await stores.resolve(SHOP, [reference]))[reference]
    assert isinstance(answer, AgentError)
    return answer


def drip(head: str, tail: str) -> Callable[[socket.socket, bytes], None]:
    def send(connection: socket.socket, _: bytes) -> None:
        connection.sendall(head.encode())
        for char in tail * 100:
            connection.sendall(char.encode())
            time.sleep(0.1)  # the misbehaviour itself

    return send


@pytest.mark.parametrize(
    "dripping",
    [
        drip("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", " "),
        drip("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\n \r\n"),
        drip("HTTP/1.1 200 OK\r\n", "X-A: b\r\n"),
        drip("", "HTTP/1.1 100 Continue\r\n\r\n"),
        lambda connection, _: connection.recv(1),
    ],
    ids=["body", "chunks", "headers", "status", "silence"],
)
async def test_a_dripping_answer_ends_at_the_deadline(
    dripping: Callable[[socket.socket, bytes], None], make_stores: Callable[..., Stores]
) -> None:
    with listener(dripping) as (url, _):
        stores = make_stores(address=url, seconds=0.7)
        started = time.monotonic()
        error = await ask(stores)
        assert time.monotonic() - started < 8, "all of it takes more than nine"
    assert isinstance(error, StoreUnavailableError)
    assert error.message in {"the store did not answer in time", "the store cannot be reached"}


def flood(head: str, body: bytes) -> Callable[[socket.socket, bytes], None]:
    def send(connection: socket.socket, _: bytes) -> None:
        connection.sendall(head.encode())
        while True:
            connection.sendall(body)

    return send


MIB = 1024 * 1024
ENDLESS = {
    "body": flood("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b" " * MIB),
    "length": flood(f"HTTP/1.1 200 OK\r\nContent-Length: {10**12}\r\n\r\n", b" " * MIB),
    "chunks": flood("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b" " * 65536 + b"\r\n"),
}


@pytest.mark.parametrize("answer", ENDLESS)
async def test_an_endless_answer_is_cut_and_is_no_outage(answer: str, make_stores: Callable[..., Stores]) -> None:
    with listener(ENDLESS[answer]) as (url, _):
        error = await ask(make_stores(address=url))
    assert isinstance(error, LimitError)
    assert error.message == "the store's answer is larger than the agent accepts"
    assert error.facts["limit"] == 4 * MIB


async def test_endless_headers_are_cut(make_stores: Callable[..., Stores]) -> None:
    with listener(flood("", b"HTTP/1.1 100 Continue\r\n\r\n" * 4000)) as (url, _):
        error = await ask(make_stores(address=url))
    assert isinstance(error, StoreUnavailableError)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "GZIP", "identity, gzip", "br", "zstd", "x-unknown"])
async def test_what_unfolds_to_more_is_refused_unread(encoding: str, make_stores: Callable[..., Stores]) -> None:
    packed = gzip.compress(bytes(256 * MIB), 1)
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(packed)}\r\nContent-Encoding: {encoding}\r\n\r\n"
    with listener(lambda connection, _: connection.sendall(head.encode() + packed)) as (url, received):
        tracemalloc.start()
        try:
            error = await ask(make_stores(address=url))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert isinstance(error, StoreUnavailableError)
    assert error.message == "the store's answer is compressed, which is not supported"
    assert peak < 16 * MIB
    assert all(b"accept-encoding: identity\r\n" in request.lower() for request in received)


@pytest.mark.parametrize("part", ["{},", "[],", "1,"])
async def test_an_answer_of_very_many_values_is_cut(part: str, make_stores: Callable[..., Stores]) -> None:
    with listener(say(message("200 OK", f"[{part * 1_000_000}1]"))) as (url, _):
        error = await ask(make_stores(address=url))
    assert isinstance(error, LimitError)


async def test_an_answer_that_is_nested_endlessly_is_none(make_stores: Callable[..., Stores]) -> None:
    for body in ("[" * 100_000, '{"a":' * 100_000):
        with listener(say(message("200 OK", body))) as (url, _):
            error = await ask(make_stores(address=url))
        assert error.message == "the store's answer is not a JSON object"


async def test_redirects_are_not_followed(make_stores: Callable[..., Stores]) -> None:
    with listener(say(message("200 OK", "{}"))) as (elsewhere, stolen):
        for status in ("301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"):
            with listener(say(message(status, "", f"Location: {elsewhere}/v1/x"))) as (url, _):
                error = await ask(make_stores(address=url))
            assert isinstance(error, StoreUnavailableError)
            assert error.message == "the store redirects, and redirects are not followed"
        assert stolen == []


NO_ANSWERS = [
    ("200 OK", "<html>login</html>", "the store's answer is not a JSON object"),
    ("200 OK", "[]", "the store's answer is not a JSON object"),
    ("404 Not Found", "<html>", "the store's answer is not a JSON object"),
    ("429 Too Many Requests", '{"errors":[]}', "the store is overloaded, a standby or failing"),
    ("473 Standby", "", "the store is overloaded, a standby or failing"),
    ("412 Missing State", "", "the store is overloaded, a standby or failing"),
    ("500 Internal", "", "the store is overloaded, a standby or failing"),
    ("503 Unavailable", '{"errors":["Vault is sealed"]}', "the store is sealed"),
    ("503 Unavailable", '{"errors":["other"]}', "the store is overloaded, a standby or failing"),
]


@pytest.mark.parametrize(("status", "body", "expected"), NO_ANSWERS)
async def test_what_is_no_answer_is_an_outage(
    status: str, body: str, expected: str, make_stores: Callable[..., Stores]
) -> None:
    with listener(say(message(status, body))) as (url, _):
        error = await ask(make_stores(address=url))
    assert isinstance(error, StoreUnavailableError)
    assert error.message == expected


@pytest.mark.parametrize("status", ["200 OK", "400 Bad", "403 Forbidden", "404 Not Found", "500 Internal", "307 Moved"])
@pytest.mark.parametrize(
    "body", [f'{{"errors":["{CANARY}"]}}', f'{{"data":{{"{CANARY}":"x"}}}}', CANARY, f'"{CANARY}"']
)
async def test_no_word_of_an_answer_comes_into_an_error(
    status: str, body: str, make_stores: Callable[..., Stores]
) -> None:
    with listener(say(message(status, body, f"X-Note: {CANARY}"))) as (url, _):
        error = await ask(make_stores(address=url))
    shown = f"{error} {error.hint} {error.facts} {error.args} {error!r} {error.__cause__!r} {error.__context__!r}"
    assert CANARY not in shown


async def test_a_proxy_of_the_environment_is_not_used(
    make_stores: Callable[..., Stores], openbao: OpenBao, mount: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    openbao.put("shop/db", {"p": "x"}, mount=mount)
    with listener(say(message("200 OK", "{}"))) as (url, stolen):
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, url)
        reference = references.parse(f"vault://main/{mount}/shop/db#p")
        answers = await make_stores().resolve(SHOP, [reference])
        assert not isinstance(answers[reference], AgentError)
        assert stolen == []


async def test_tokens_of_the_environment_and_the_home_folder_are_not_sent(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "env-token")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".vault-token").write_text("home-token")
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
    store = settings(proxy.url, auth={"tokenFile": "/nonexistent"})
    session = transport.session(workers=1, verify=True)
    made = StoreClient("main", store, session, seconds=5)
    assert made.call("get", "sys/internal/ui/mounts/x").status in {400, 403}
    assert proxy.tokens == [""]
    session.close()


async def test_a_certificate_of_no_known_authority_is_refused_and_the_stores_ca_file_is_used(
    make_stores: Callable[..., Stores], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from testbed.openbao import OpenBao

    with OpenBao(tls=True) as secure:
        secure.enable_kv("secret", version=1)
        secure.put("shop/db", {"p": "x"})
        token = tmp_path / "secure-token"
        token.write_text(secure.root_token)
        reference = references.parse("vault://main/secret/shop/db#p")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(secure.ca_file))
        monkeypatch.setenv("CURL_CA_BUNDLE", str(secure.ca_file))
        error = await ask(make_stores(address=secure.url, auth={"tokenFile": str(token)}))
        assert error.message == "the store's certificate is not trusted"
        error = await ask(make_stores(address=secure.url, auth={"tokenFile": str(token)}, caFile="/nonexistent"))
        assert error.message == "the store's caFile cannot be read"
        stores = make_stores(address=secure.url, auth={"tokenFile": str(token)}, caFile=str(secure.ca_file))
        assert not isinstance((await stores.resolve(SHOP, [reference]))[reference], AgentError)


async def test_cookies_of_a_server_are_not_kept(make_stores: Callable[..., Stores]) -> None:
    body = '{"data":{"path":"secret/","type":"kv","options":{"version":"1"}}}'
    with listener(say(message("200 OK", body, "Set-Cookie: a=b; Path=/", "Connection: close"))) as (url, received):
        await ask(make_stores(address=url))
    assert len(received) == 2
    assert all(b"cookie" not in request.lower() for request in received)


def test_a_path_cannot_reach_elsewhere() -> None:
    assert client.address("secret", "data", "a b/ü?x#y") == "secret/data/a%20b/%C3%BC%3Fx%23y"
    assert client.address("a/100%/%zz") == "a/100%25/%25zz"
    for path in ("a/../b", "a/./b", "a//b", "", "/a", "a/", "a%2e", "a\n", "a\x00", "a\u202e"):
        with pytest.raises(AgentError):
            client.address(path)


@given(st.text(max_size=40))
def test_any_path_is_quoted_so_that_it_means_itself_or_is_refused(path: str) -> None:
    try:
        quoted = client.address(path)
    except AgentError:
        return
    segments = quoted.split("/")
    assert [unquote(segment) for segment in segments] == path.split("/")
    assert not {"", ".", ".."} & set(segments)
    assert not set(quoted) & set("?#\\ \n")
