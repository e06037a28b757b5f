"""Outages: nothing is taken for empty, the store is left alone for a while, and it comes back by itself."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from vault_servers import SHOP, listener, message

from agent.adapters.vault.breaker import Breaker
from agent.engine.ports import Resolved
from agent.manifests import references
from agent.values.errors import LimitError, StoreUnavailableError
from agent.values.ids import ApplicationId

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from vault_servers import Clock, Proxy

    from agent.adapters.vault.stores import Stores
    from testbed.openbao import OpenBao


async def test_a_sealed_store_is_an_outage_until_it_is_unsealed(
    make_stores: Callable[..., Stores], openbao: OpenBao, mount: str, proxy: Proxy, clock: Clock
) -> None:
    openbao.put("shop/db", {"p": "x"}, mount=mount)
    reference = references.parse(f"vault://main/{mount}/shop/db#p")
    stores = make_stores(address=proxy.url)
    with openbao.sealed():
        for call in (stores.resolve, stores.probe):
            error = (await call(SHOP, [reference]))[reference]
            assert isinstance(error, StoreUnavailableError)
            assert error.transient
        assert [path.partition("?")[0] for _, path in proxy.requests] == [
            f"/v1/sys/internal/ui/mounts/{mount}/shop/db",
            "/v1/sys/health",
        ]
        clock.now += 6
        error = (await stores.resolve(SHOP, [reference]))[reference]
        assert isinstance(error, StoreUnavailableError)
        assert error.message == "the store is sealed"
    assert isinstance((await stores.resolve(SHOP, [reference]))[reference], StoreUnavailableError)
    clock.now += 12
    assert isinstance((await stores.resolve(SHOP, [reference]))[reference], Resolved)


async def test_an_outage_says_the_same_for_as_long_as_the_store_is_not_asked(
    make_stores: Callable[..., Stores], openbao: OpenBao, mount: str, clock: Clock
) -> None:
    openbao.put("shop/db", {"p": "x"}, mount=mount)
    reference = references.parse(f"vault://main/{mount}/shop/db#p")
    stores = make_stores(allowedNamespaces=["*"])
    with openbao.sealed():
        first = (await stores.resolve(SHOP, [reference]))[reference]
        assert isinstance(first, StoreUnavailableError)
        assert (first.message, first.hint) == ("the store is sealed", "unseal it")
        assert first.facts["retry_at"] == "1970-01-01T00:16:45Z"
        for call in (stores.resolve, stores.probe, stores.resolve):
            clock.now += 1.5
            again = (await call(SHOP, [reference]))[reference]
            assert isinstance(again, StoreUnavailableError)
            assert (again.message, again.hint, again.facts) == (first.message, first.hint, first.facts)
        other = (await stores.resolve(OTHER, [reference]))[reference]
        assert isinstance(other, StoreUnavailableError)
        assert (other.message, other.hint, other.facts) == (first.message, first.hint, first.facts)
        clock.now += 1.5
        later = (await stores.resolve(SHOP, [reference]))[reference]
        assert isinstance(later, StoreUnavailableError)
        assert (later.message, later.facts["retry_at"]) == (first.message, "1970-01-01T00:16:56Z")


@pytest.mark.parametrize(
    ("failing", "message"),
    [
        ("429 Too Many", "the store is overloaded, a standby or failing"),
        ("301 Moved", "the store redirects, and redirects are not followed"),
        ("", "the store cannot be reached"),
    ],
)
async def test_the_cause_is_that_of_the_first_failure(
    failing: str, message: str, make_stores: Callable[..., Stores], clock: Clock
) -> None:
    bad, good = (references.parse(f"vault://main/secret/{name}/db#p") for name in ("bad", "good"))
    with listener(answering(failing, "200 OK")) as (url, _):
        stores = make_stores(address=url, allowedNamespaces=["*"])
        errors: list[tuple[object, ...]] = []
        for reference in (bad, good, bad):
            error = (await stores.resolve(SHOP, [reference]))[reference]
            assert isinstance(error, StoreUnavailableError)
            errors.append((error.message, bool(error.hint), error.facts["namespace"], error.facts["retry_at"]))
            clock.now += 1
        assert set(errors) == {(message, True, "shop", "1970-01-01T00:16:45Z")}


async def test_a_store_that_is_away_comes_back(
    make_stores: Callable[..., Stores], openbao: OpenBao, mount: str, clock: Clock
) -> None:
    openbao.put("shop/db", {"p": "x"}, mount=mount)
    wanted = [references.parse(f"vault://main/{mount}/shop/{name}#p") for name in ("db", "db2", "db3")]
    stores = make_stores()
    assert isinstance((await stores.resolve(SHOP, wanted))[wanted[0]], Resolved)
    with openbao.away():
        answers = await stores.resolve(SHOP, wanted)
        assert {type(answer) for answer in answers.values()} == {StoreUnavailableError}
    clock.now += 6
    assert isinstance((await stores.resolve(SHOP, wanted))[wanted[0]], Resolved)


async def test_kept_connections_that_the_server_closed_are_reopened(
    stores: Stores, openbao: OpenBao, mount: str
) -> None:
    openbao.put("shop/db", {"p": "x"}, mount=mount)
    reference = references.parse(f"vault://main/{mount}/shop/db#p")
    assert isinstance((await stores.resolve(SHOP, [reference]))[reference], Resolved)
    with openbao.away():
        pass
    assert isinstance((await stores.resolve(SHOP, [reference]))[reference], Resolved)


async def test_a_dead_store_delays_no_other(make_stores: Callable[..., Stores], openbao: OpenBao, mount: str) -> None:
    import socket

    from vault_servers import settings

    from agent.adapters.vault.stores import Stores as Adapter

    openbao.put("shop/db", {"p": "x"}, mount=mount)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        built = make_stores()
        main = built.serving(SHOP, openbao.url)[0].settings
        dead = settings(
            f"http://127.0.0.1:{silent.getsockname()[1]}", auth=main.auth.model_dump(by_alias=True, mode="json")
        )
        stores = Adapter({"main": main, "dead": dead}, monotonic=lambda: 0.0, jitter=lambda: 0.0, seconds=2)
        slow = asyncio.ensure_future(stores.resolve(SHOP, [references.parse("vault://dead/secret/shop#p")]))
        reference = references.parse(f"vault://main/{mount}/shop/db#p")
        assert isinstance((await stores.resolve(SHOP, [reference]))[reference], Resolved)
        assert not slow.done()
        assert {type(answer) for answer in (await slow).values()} == {StoreUnavailableError}
        await stores.close()


OTHER = ApplicationId("other", "web", "uid-2")


def answering(failing: str, health: str) -> Callable[[socket.socket, bytes], None]:
    """A store with KV version 1 at `secret`: `failing` is what it answers to paths with `bad`, `health` to the neutral one."""

    def answer(connection: socket.socket, request: bytes) -> None:
        path = request.split()[1].decode()
        if "sys/health" in path:
            text = message(health, "{}", "Connection: close")
        elif "bad" in path:
            text = message(failing, "<html>", "Connection: close") if failing else ""
        elif "ui/mounts" in path:
            text = message("200 OK", '{"data":{"path":"secret/","type":"kv"}}', "Connection: close")
        else:
            text = message("200 OK", '{"data":{"p":"x"}}', "Connection: close")
        connection.sendall(text.encode())

    return answer


FAILURES = ["503 Unavailable", "429 Too Many", "502 Bad Gateway", "414 Too Long", "431 Too Large", "301 Moved", ""]


@pytest.mark.parametrize("failing", FAILURES)
async def test_what_fails_for_one_namespace_is_no_outage_for_another(
    failing: str, make_stores: Callable[..., Stores], clock: Clock
) -> None:
    bad, good = (references.parse(f"vault://main/secret/{name}/db#p") for name in ("bad", "good"))
    with listener(answering(failing, "200 OK")) as (url, received):
        stores = make_stores(address=url, allowedNamespaces=["*"])
        assert isinstance((await stores.resolve(SHOP, [bad]))[bad], StoreUnavailableError)
        assert isinstance((await stores.resolve(OTHER, [good]))[good], Resolved)
        # Its own is left alone for a while, and comes back by itself.
        asked = len(received)
        error = (await stores.resolve(SHOP, [good]))[good]
        assert isinstance(error, StoreUnavailableError)
        assert error.facts["namespace"] == "shop"
        assert len(received) == asked
        clock.now += 6
        assert isinstance((await stores.resolve(SHOP, [good]))[good], Resolved)


@pytest.mark.parametrize("health", ["503 Unavailable", "500 Internal", "301 Moved"])
async def test_a_server_that_does_not_answer_at_all_is_left_alone_by_all(
    health: str, make_stores: Callable[..., Stores], clock: Clock
) -> None:
    bad, good = (references.parse(f"vault://main/secret/{name}/db#p") for name in ("bad", "good"))
    with listener(answering("503 Unavailable", health)) as (url, received):
        stores = make_stores(address=url, allowedNamespaces=["*"])
        assert isinstance((await stores.resolve(SHOP, [bad]))[bad], StoreUnavailableError)
        asked = len(received)
        error = (await stores.resolve(OTHER, [good]))[good]
        assert isinstance(error, StoreUnavailableError)
        assert "namespace" not in error.facts
        assert len(received) == asked
        clock.now += 6
        assert isinstance((await stores.resolve(OTHER, [good]))[good], Resolved)


async def test_an_answer_that_is_too_large_is_no_outage(make_stores: Callable[..., Stores]) -> None:
    body = '{"data":{"p":"' + "x" * (5 * 1024 * 1024) + '"}}'
    small = answering("", "200 OK")

    def answer(connection: socket.socket, request: bytes) -> None:
        if b"/large/" in request and b"ui/mounts" not in request:
            connection.sendall(message("200 OK", body, "Connection: close").encode())
        else:
            small(connection, request)

    large, good = (references.parse(f"vault://main/secret/{name}/db#p") for name in ("large", "good"))
    with listener(answer) as (url, _):
        stores = make_stores(address=url)
        answers = await stores.resolve(SHOP, [large, good])
    assert isinstance(answers[large], LimitError)
    assert isinstance(answers[good], Resolved)


SEALED = StoreUnavailableError("the store is sealed", hint="unseal it", store="main")


def breaker_of(clock: Clock, jitter: float = 0.5) -> Breaker:
    return Breaker(monotonic=clock, jitter=lambda: jitter, now=clock)


def opens_for(breaker: Breaker, clock: Clock) -> float:
    """Seconds until the breaker lets through, to half a second."""
    start = clock.now
    while breaker.is_open:
        clock.now += 0.5
    return clock.now - start


def test_the_breaker_backs_off_from_five_to_sixty_seconds(clock: Clock) -> None:
    breaker = breaker_of(clock)
    assert not breaker.is_open
    waits: list[float] = []
    for _ in range(6):
        breaker.failed(SEALED)
        breaker.failed(SEALED)
        waits.append(opens_for(breaker, clock))
    assert waits == [5, 10, 20, 40, 60, 60]
    breaker.succeeded()
    assert not breaker.is_open
    breaker.failed(SEALED)
    assert opens_for(breaker, clock) == 5


def test_the_breakers_jitter_is_a_fifth_either_way(clock: Clock) -> None:
    for jitter, expected in ((0.0, 4.0), (1.0, 6.0)):
        breaker = breaker_of(clock, jitter)
        breaker.failed(SEALED)
        assert opens_for(breaker, clock) == expected


def test_an_answer_that_was_under_way_does_not_close_an_open_breaker(clock: Clock) -> None:
    breaker = breaker_of(clock)
    breaker.failed(SEALED)
    breaker.succeeded()
    assert opens_for(breaker, clock) == 5


def test_an_open_breaker_keeps_the_cause_that_it_opened_with(clock: Clock) -> None:
    breaker = breaker_of(clock)
    away = StoreUnavailableError("the store cannot be reached", store="main")
    errors = [breaker.failed(SEALED), breaker.failed(away)]
    assert {str(each) for each in errors} == {"the store is sealed (retry at 1970-01-01T00:16:45Z, store main)"}
    opens_for(breaker, clock)
    assert breaker.failed(away).message == "the store cannot be reached"
