"""Data keys that a real transit engine wraps: opened in batches, by configured stores only."""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING

import pytest
from vault_servers import SHOP, listener, message, say

from agent.adapters.vault import transit
from agent.adapters.vault.transit import TransitMasterKeys
from agent.sops.format.keys import AgeKey, TransitKey, TransitRecipient
from agent.values.errors import AgentError, DataKeyError, StoreUnavailableError
from agent.values.ids import ApplicationId
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from vault_servers import Proxy

    from agent.adapters.vault.stores import Stores
    from testbed.openbao import OpenBao


@pytest.fixture
def engine(openbao: OpenBao) -> str:
    """A transit engine with the keys `shop` and `other`."""
    name = f"sops/transit-{secrets.token_hex(4)}"
    openbao.enable_transit(name)
    for key in ("shop", "other"):
        openbao.create_transit_key(key, mount=name)
    return name


def wrap(openbao: OpenBao, engine: str, data_key: bytes, *, key: str = "shop", address: str = "") -> TransitKey:
    plaintext = base64.b64encode(data_key).decode()
    answer = openbao.checked("POST", f"{engine}/encrypt/{key}", {"plaintext": plaintext})
    return TransitKey(address or openbao.url, engine, key, "2026-01-01T00:00:00Z", answer["data"]["ciphertext"])


async def test_a_data_key_opens(stores: Stores, openbao: OpenBao, engine: str) -> None:
    data_key = secrets.token_bytes(32)
    wrapped = wrap(openbao, engine, data_key)
    assert await transit.unwrap(stores, SHOP, [wrapped]) == {wrapped: Secret(data_key, "test:key")}
    assert TransitMasterKeys(stores, SHOP).unwrap(wrapped) == Secret(data_key, "test:key")


async def test_a_thousand_data_keys_are_opened_by_three_requests(
    make_stores: Callable[..., Stores], openbao: OpenBao, engine: str, proxy: Proxy
) -> None:
    batch = [{"plaintext": base64.b64encode(number.to_bytes(32, "big")).decode()} for number in range(350)]
    answer = openbao.checked("POST", f"{engine}/encrypt/shop", {"batch_input": batch})
    answer2 = openbao.checked("POST", f"{engine}/encrypt/shop", {"batch_input": batch})
    answer3 = openbao.checked("POST", f"{engine}/encrypt/other", {"batch_input": batch[:300]})
    keys = [
        TransitKey(proxy.url, engine, name, "", result["ciphertext"])
        for name, part in (("shop", answer), ("shop", answer2), ("other", answer3))
        for result in part["data"]["batch_results"]
    ]
    stores = make_stores(address=proxy.url)
    opened = await transit.unwrap(stores, SHOP, [*keys, *keys])
    numbers = [*range(350), *range(350), *range(300)]
    assert [opened[key] for key in keys] == [Secret(number.to_bytes(32, "big"), "test:key") for number in numbers]
    assert len(proxy.requests) == 3


async def test_what_no_server_has_made_is_not_sent_to_one(
    make_stores: Callable[..., Stores], openbao: OpenBao, engine: str, proxy: Proxy
) -> None:
    good = wrap(openbao, engine, b"k" * 32, address=proxy.url)
    long = [
        TransitKey(proxy.url, engine, "shop", "", "vault:v1:" + "A" * 5_000_000),
        TransitKey(proxy.url, engine, "s" * 600, "", good.enc),
        TransitKey(proxy.url, "e/" * 300, "shop", "", good.enc),
    ]
    stores = make_stores(address=proxy.url)
    opened = await transit.unwrap(stores, SHOP, [*long, good])
    assert opened[good] == Secret(b"k" * 32, "test:key")
    for key in long:
        error = opened[key]
        assert isinstance(error, DataKeyError)
        assert "too long for a store" in error.message
        with pytest.raises(DataKeyError, match="too long for a store"):
            TransitMasterKeys(stores, SHOP).unwrap(key)
    assert len(proxy.requests) == 1


async def test_one_bad_item_spoils_no_other_and_no_plaintext_is_shown(
    stores: Stores, openbao: OpenBao, engine: str
) -> None:
    good = wrap(openbao, engine, b"k" * 32)
    bad = TransitKey(openbao.url, engine, "shop", "", "vault:v1:AAAA")
    junk = TransitKey(openbao.url, engine, "shop", "", "junk")
    crossed = TransitKey(openbao.url, engine, "other", "", good.enc)
    missing = TransitKey(openbao.url, engine, "missing", "", good.enc)
    elsewhere = TransitKey(openbao.url, "nope", "shop", "", good.enc)
    climbing = TransitKey(openbao.url, "sys/../transit", "shop", "", good.enc)
    answers = await transit.unwrap(stores, SHOP, [bad, good, junk, crossed, missing, elsewhere, climbing])
    assert answers[good] == Secret(b"k" * 32, "test:key")
    for key in (bad, junk, crossed, missing, elsewhere, climbing):
        error = answers[key]
        assert isinstance(error, DataKeyError), key
        assert base64.b64encode(b"k" * 32).decode() not in f"{error} {error.facts} {error!r} {error.__context__!r}"


async def test_an_address_of_a_file_is_looked_up_and_never_dialled(
    stores: Stores, openbao: OpenBao, engine: str
) -> None:
    with listener(say(message("200 OK", "{}"))) as (url, received):
        for address in (url, f"{openbao.url}/", openbao.url.upper(), f"{openbao.url}@{url}", ""):
            wrapped = wrap(openbao, engine, b"k" * 32)
            edited = TransitKey(address, wrapped.engine_path, wrapped.key_name, wrapped.created_at, wrapped.enc)
            error = (await transit.unwrap(stores, SHOP, [edited]))[edited]
            assert isinstance(error, DataKeyError)
            assert error.message == "no configured store has this address"
            with pytest.raises(DataKeyError):
                TransitMasterKeys(stores, SHOP).unwrap(edited)
        assert received == []


async def test_the_operator_decides_who_opens_with_which_key(
    make_stores: Callable[..., Stores], openbao: OpenBao, engine: str
) -> None:
    stores = make_stores(transitKeys=[f"{engine}/keys/shop"])
    shop, other = wrap(openbao, engine, b"k" * 32), wrap(openbao, engine, b"k" * 32, key="other")
    answers = await transit.unwrap(stores, SHOP, [shop, other])
    assert isinstance(answers[shop], Secret)
    error = answers[other]
    assert isinstance(error, DataKeyError)
    assert error.message == "the operator's file does not allow this transit key"
    stranger = ApplicationId("stranger", "web", "uid-2")
    refused = (await transit.unwrap(stores, stranger, [shop]))[shop]
    assert isinstance(refused, DataKeyError)


@pytest.mark.parametrize("allowed", [["**"], ["{mount}/**"], ["{mount}/keys/*"]])
async def test_what_references_may_read_is_no_key_and_is_not_written_to(
    make_stores: Callable[..., Stores], openbao: OpenBao, mount1: str, engine: str, allowed: list[str]
) -> None:
    """A key's path in a SOPS file is its author's: a POST to `<engine>/decrypt/<key>` would write into a KV engine."""
    paths = [path.format(mount=mount1) for path in allowed]
    stores = make_stores(allowedPaths=paths, transitKeys=[f"{engine}/keys/shop"])
    for name in ("x", "../decrypt/x", "x/y"):
        key = TransitKey(openbao.url, mount1, name, "", "vault:v1:AAAA")
        error = (await transit.unwrap(stores, SHOP, [key]))[key]
        assert isinstance(error, DataKeyError)
        assert error.message == "the operator's file does not allow this transit key"
    assert openbao.request("LIST", f"{mount1}/decrypt")[0] == 404
    assert openbao.request("GET", f"{mount1}/decrypt/x")[0] == 404


async def test_a_policy_that_denies_and_an_outage_are_distinguished(
    make_stores: Callable[..., Stores],
    openbao: OpenBao,
    engine: str,
    mount: str,
    set_token: Callable[[str], None],
) -> None:
    wrapped = wrap(openbao, engine, b"k" * 32)
    openbao.put_policy(mount, f'path "{mount}/*" {{ capabilities = ["read"] }}')
    set_token(openbao.token(mount))
    stores = make_stores()
    denied = (await transit.unwrap(stores, SHOP, [wrapped]))[wrapped]
    assert isinstance(denied, DataKeyError)
    assert denied.message == "the store denies the agent this transit key"
    with openbao.sealed():
        away = (await transit.unwrap(stores, SHOP, [wrapped]))[wrapped]
    assert isinstance(away, StoreUnavailableError)


async def test_other_kinds_and_wrapping_are_refused(stores: Stores) -> None:
    keys = TransitMasterKeys(stores, SHOP)
    with pytest.raises(DataKeyError):
        keys.unwrap(AgeKey("age1x", "enc"))
    with pytest.raises(AgentError):
        keys.wrap(TransitRecipient("https://x", "transit", "k"), Secret(b"k" * 32, "test:key"), created_at="")
