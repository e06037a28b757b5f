"""Probes: a new version is seen without reading a value, whatever the server and the policy let the agent see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vault_servers import SHOP

from agent.engine.ports import Resolved
from agent.manifests import references
from agent.values.errors import StoreDeniedError, StoreNotFoundError
from agent.values.reveal import reveal

if TYPE_CHECKING:
    from collections.abc import Callable

    from vault_servers import Proxy

    from agent.adapters.vault.stores import Stores
    from testbed.openbao import OpenBao


async def test_a_rotation_is_seen_and_its_value_read(
    make_stores: Callable[..., Stores], openbao: OpenBao, mount: str, proxy: Proxy
) -> None:
    stores = make_stores(address=proxy.url)
    reference = references.parse(f"vault://main/{mount}/shop/db#p")
    openbao.put("shop/db", {"p": "one"}, mount=mount)
    assert await stores.probe(SHOP, [reference]) == {reference: 1}
    openbao.put("shop/db", {"p": "two"}, mount=mount)
    assert await stores.probe(SHOP, [reference]) == {reference: 2}
    assert proxy.count(part="/data/") == 0
    answer = (await stores.resolve(SHOP, [reference]))[reference]
    assert isinstance(answer, Resolved)
    assert (reveal(answer.secret), answer.version) == ("two", 2)


async def test_a_probe_costs_one_list_per_folder(
    make_stores: Callable[..., Stores], openbao: OpenBao, mount: str, mount1: str, proxy: Proxy
) -> None:
    stores = make_stores(address=proxy.url)
    places = ["a", "b", "x/a", "x/b", "x/c", "y/alone"]
    for place in places:
        openbao.put(place, {"p": "x", "q": "y"}, mount=mount)
    openbao.put("v1", {"p": "x"}, mount=mount1)
    wanted = [references.parse(f"vault://main/{mount}/{place}#{key}") for place in places for key in "pq"]
    wanted.append(references.parse(f"vault://main/{mount}/a?version=7#p"))
    wanted.append(references.parse(f"vault://main/{mount1}/v1#p"))
    answers = await stores.probe(SHOP, wanted)
    assert [answers[reference] for reference in wanted] == [1] * 12 + [7, 0]
    proxy.requests.clear()
    await stores.probe(SHOP, wanted)
    assert sorted(proxy.requests) == [
        ("GET", f"/v1/{mount}/metadata/y/alone"),
        ("LIST", f"/v1/{mount}/detailed-metadata"),
        ("LIST", f"/v1/{mount}/detailed-metadata/x"),
    ]


async def test_what_is_deleted_or_missing_is_no_version(stores: Stores, openbao: OpenBao, mount: str) -> None:
    for place in ("deleted", "there"):
        openbao.put(place, {"p": "x"}, mount=mount)
    openbao.checked("DELETE", f"{mount}/data/deleted")
    wanted = {place: references.parse(f"vault://main/{mount}/{place}#p") for place in ("deleted", "there", "never")}
    for some in (list(wanted.values()), [wanted["deleted"]], [wanted["never"]]):
        answers = await stores.probe(SHOP, some)
        for place, reference in wanted.items():
            if reference in answers:
                assert isinstance(answers[reference], StoreNotFoundError) == (place != "there")


async def test_a_policy_without_lists_or_metadata_still_lets_a_rotation_be_seen(
    make_stores: Callable[..., Stores], openbao: OpenBao, mount: str, set_token: Callable[[str], None]
) -> None:
    for place in ("shop/a", "shop/b", "other/c"):
        openbao.put(place, {"p": "x"}, mount=mount)
    wanted = [references.parse(f"vault://main/{mount}/{place}#p") for place in ("shop/a", "shop/b", "other/c")]
    rules = f'path "{mount}/data/shop/*" {{ capabilities = ["read"] }}'
    for more in ("", f'\npath "{mount}/metadata/shop/*" {{ capabilities = ["read"] }}'):
        openbao.put_policy(mount, rules + more)
        set_token(openbao.token(mount))
        stores = make_stores()
        answers = await stores.probe(SHOP, wanted)
        assert [answers[reference] for reference in wanted[:2]] == [1, 1]
        assert isinstance(answers[wanted[2]], StoreDeniedError)


async def test_a_mount_that_was_replaced_is_read_as_what_it_is_now(
    make_stores: Callable[..., Stores], openbao: OpenBao, mount: str
) -> None:
    stores = make_stores()
    reference = references.parse(f"vault://main/{mount}/db#p")
    openbao.put("db", {"p": "two"}, mount=mount)
    assert isinstance((await stores.resolve(SHOP, [reference]))[reference], Resolved)
    openbao.checked("DELETE", f"sys/mounts/{mount}")
    openbao.enable_kv(mount, version=1)
    openbao.put("db", {"p": "one"}, mount=mount)
    assert isinstance((await stores.resolve(SHOP, [reference]))[reference], StoreNotFoundError)
    answer = (await stores.resolve(SHOP, [reference]))[reference]
    assert isinstance(answer, Resolved)
    assert reveal(answer.secret) == "one"
