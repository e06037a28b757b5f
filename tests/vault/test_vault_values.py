"""References against a real OpenBao: what they resolve to, what they cost, and how each one that does not resolve says so."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest
from vault_servers import SHOP

from agent.engine.ports import Resolved
from agent.manifests import references
from agent.values.errors import AgentError, StoreDeniedError, StoreNotFoundError, UnknownStoreError
from agent.values.ids import ApplicationId
from agent.values.reveal import reveal
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from vault_servers import Proxy

    from agent.adapters.vault.stores import Stores
    from testbed.openbao import OpenBao


async def one(stores: Stores, text: str, application: ApplicationId = SHOP) -> Resolved | AgentError:
    reference = references.parse(text)
    return (await stores.resolve(application, [reference]))[reference]


def plain(answer: Resolved | AgentError) -> object:
    assert isinstance(answer, Resolved), answer
    return reveal(answer.secret)


DATA = {
    "password": "pässword",
    "empty": "",
    "number": 12,
    "float": 1.5,
    "flag": True,
    "null": None,
    "map": {"a": {"b~/c": [1, "zwei"]}},
    "text": json.dumps({"user": {"name": "ada"}}),
    "encoded": base64.b64encode(b"\xff\x00").decode(),
    "/a/b": "literal",
    "with space": "s",
}

SELECTED = [
    ("#password", "pässword"),
    ("#empty", ""),
    ("#with%20space", "s"),
    ("#number", 12),
    ("#float", 1.5),
    ("#flag", True),
    ("#map", '{"a": {"b~/c": [1, "zwei"]}}'),
    ("#/map/a/b~0~1c/1", "zwei"),
    ("#/text/user/name", "ada"),
    ("#/password", "pässword"),
    ("#/number", 12),
    ("#/a/b", "literal"),
    ("?decode=base64#encoded", b"\xff\x00"),
]


@pytest.mark.parametrize("engine", ["mount", "mount1"])
async def test_a_key_or_a_pointer_selects_a_typed_value(
    engine: str, request: pytest.FixtureRequest, stores: Stores, openbao: OpenBao
) -> None:
    mount = request.getfixturevalue(engine)
    openbao.put("shop/db", DATA, mount=mount)
    for suffix, expected in SELECTED:
        value = plain(await one(stores, f"vault://main/{mount}/shop/db{suffix}"))
        assert (suffix, value, type(value)) == (suffix, expected, type(expected))


async def test_a_value_is_labelled_by_store_path_key_and_version(
    stores: Stores, openbao: OpenBao, mount: str, mount1: str
) -> None:
    openbao.put("shop/db", {"p": "one"}, mount=mount)
    openbao.put("shop/db", {"p": "two", "j": '{"a":"x"}'}, mount=mount)
    openbao.put("shop/db", {"p": "one"}, mount=mount1)
    labels = {
        f"vault://main/{mount}/shop/db#p": (f"vault:main/{mount}/shop/db#p@2", 2),
        f"vault://main/{mount}/shop/db?version=1#p": (f"vault:main/{mount}/shop/db#p@1", 1),
        f"vault://main/{mount}/shop/db#/j/a": (f"vault:main/{mount}/shop/db#/j/a@2", 2),
        f"vault://main/{mount1}/shop/db#p": (f"vault:main/{mount1}/shop/db#p", 0),
    }
    for text, (label, version) in labels.items():
        answer = await one(stores, text)
        assert isinstance(answer, Resolved)
        assert (answer.secret.label, answer.version) == (label, version)


async def test_paths_are_quoted_and_not_reinterpreted(stores: Stores, openbao: OpenBao, mount: str) -> None:
    openbao.put("w%20s/q%3Fx%3D1", {"p": "odd"}, mount=mount)
    openbao.put("100%25/of%25it", {"p": "percent"}, mount=mount)
    reference = references.Reference("main", f"{mount}/w s/q?x=1", "p")
    answer = (await stores.resolve(SHOP, [reference]))[reference]
    assert plain(answer) == "odd"
    percent = references.parse(f"vault://main/{mount}/100%25/of%25it#p")
    assert plain((await stores.resolve(SHOP, [percent]))[percent]) == "percent"
    assert (await stores.probe(SHOP, [percent]))[percent] == 1
    for path in (f"{mount}/a/../../sys/raw", f"{mount}/./a", f"{mount}//a", f"{mount}/%2e%2e/a", f"{mount}/a\n"):
        climbing = references.Reference("main", path, "p")
        refused = (await stores.resolve(SHOP, [climbing]))[climbing]
        assert isinstance(refused, StoreNotFoundError | StoreDeniedError), path


async def test_what_is_not_there_is_an_error_and_never_an_empty_value(
    stores: Stores, openbao: OpenBao, mount: str, mount1: str
) -> None:
    openbao.put("shop/db", DATA, mount=mount)
    openbao.put("shop/db", DATA, mount=mount1)
    openbao.put("gone", {"p": "x"}, mount=mount)
    openbao.checked("DELETE", f"{mount}/data/gone")
    openbao.put("old", {"p": "x"}, mount=mount)
    openbao.put("old", {"p": "y"}, mount=mount)
    openbao.checked("PUT", f"{mount}/destroy/old", {"versions": [1]})
    openbao.enable_transit(f"t-{mount}")
    expected = {
        f"{mount}/shop/db#nope": "the secret has no such key, or its value is null",
        f"{mount}/shop/db#null": "the secret has no such key, or its value is null",
        f"{mount}/shop/db#/map/x": "there is no value at this pointer",
        f"{mount}/shop/db#/password/x": "value is not JSON",
        f"{mount}/shop/db?decode=base64#password": "value is not base64",
        f"{mount}/nope#p": "nothing is stored at this path",
        f"{mount}/data/shop/db#p": "nothing is stored at this path",
        f"{mount}/gone#p": "this version of the secret is deleted",
        f"{mount}/old?version=1#p": "this version of the secret is deleted",
        f"{mount}/old?version=9#p": "nothing is stored at this path",
        f"{mount1}/nope#p": "nothing is stored at this path",
        f"{mount1}/shop/db?version=1#p": "KV version 1 keeps no versions",
        f"nope-{mount}/shop/db#p": "no such mount, or the agent has no access to it",
        f"t-{mount}/keys/x#p": "the mount is not a key-value engine",
        "sys/raw/x#p": "the mount is not a key-value engine",
    }
    asked = {references.parse(f"vault://main/{text}"): message for text, message in expected.items()}
    answers = await stores.resolve(SHOP, list(asked))
    assert {str(reference): error.message for reference, error in answers.items() if isinstance(error, AgentError)} == {
        str(reference): message for reference, message in asked.items()
    }
    for reference, error in answers.items():
        assert isinstance(error, AgentError)
        assert not error.transient
        assert error.facts["reference"] == str(reference)


async def test_a_denied_path_is_denied_and_the_others_resolve(
    make_stores: Callable[..., Stores], openbao: OpenBao, mount: str, set_token: Callable[[str], None]
) -> None:
    openbao.put("shop/db", {"p": "x"}, mount=mount)
    openbao.put("other/db", {"p": "x"}, mount=mount)
    openbao.put_policy(mount, f'path "{mount}/data/shop/*" {{ capabilities = ["read"] }}')
    set_token(openbao.token(mount))
    stores = make_stores()
    assert plain(await one(stores, f"vault://main/{mount}/shop/db#p")) == "x"
    denied = await one(stores, f"vault://main/{mount}/other/db#p")
    assert isinstance(denied, StoreDeniedError)
    assert denied.message == "the store denies the agent this path"
    assert plain(await one(stores, f"vault://main/{mount}/shop/db#p")) == "x"


async def test_the_operator_decides_which_stores_paths_and_namespaces(
    make_stores: Callable[..., Stores], openbao: OpenBao, mount: str, proxy: Proxy
) -> None:
    openbao.put("shop/db", {"p": "x"}, mount=mount)
    stores = make_stores(address=proxy.url, allowedPaths=[f"{mount}/shop/**"])
    assert plain(await one(stores, f"vault://main/{mount}/shop/db#p")) == "x"
    before = len(proxy.requests)
    for path in (f"{mount}/shopping/db", f"{mount}/other", f"{mount}/shop", "secret/shop/db"):
        assert isinstance(
            await one(stores, f"vault://main/{path}/x#p" if path.count("/") == 0 else f"vault://main/{path}#p"),
            StoreDeniedError,
        )
    assert isinstance(await one(stores, f"vault://other/{mount}/shop/db#p"), UnknownStoreError)
    stranger = ApplicationId("shop-evil", "web", "uid-2")
    refused = await one(stores, f"vault://main/{mount}/shop/db#p", stranger)
    assert isinstance(refused, StoreDeniedError)
    assert refused.facts["namespace"] == "shop-evil"
    assert len(proxy.requests) == before


async def test_a_thousand_references_on_a_hundred_paths_take_a_hundred_and_one_requests(
    make_stores: Callable[..., Stores], openbao: OpenBao, mount: str, proxy: Proxy
) -> None:
    for number in range(100):
        openbao.put(f"shop/s{number}", {f"k{key}": f"{number}-{key}" for key in range(10)}, mount=mount)
    stores = make_stores(address=proxy.url)
    wanted = [
        references.parse(f"vault://main/{mount}/shop/s{number}#k{key}") for number in range(100) for key in range(10)
    ]
    answers = await stores.resolve(SHOP, wanted)
    assert {str(reference): plain(answer) for reference, answer in answers.items()} == {
        f"vault://main/{mount}/shop/s{number}#k{key}": f"{number}-{key}" for number in range(100) for key in range(10)
    }
    assert len(proxy.requests) == 101
    assert proxy.connections <= 13
    proxy.requests.clear()
    versions = await stores.probe(SHOP, wanted)
    assert set(versions.values()) == {1}
    assert [method for method, _ in proxy.requests] == ["LIST"]


async def test_a_reference_is_not_searched_in_what_a_store_answers(
    stores: Stores, openbao: OpenBao, mount: str
) -> None:
    text = f"vault://main/{mount}/shop/db#other"
    openbao.put("shop/db", {"p": text, "other": "x"}, mount=mount)
    answer = await one(stores, f"vault://main/{mount}/shop/db#p")
    assert isinstance(answer, Resolved)
    assert answer.secret == Secret(text, "test:expected")


async def test_a_namespace_is_sent(make_stores: Callable[..., Stores], openbao: OpenBao, mount: str) -> None:
    space = f"ns-{mount}"
    openbao.checked("PUT", f"sys/namespaces/{space}", {})
    openbao.checked("POST", f"{space}/sys/mounts/kv", {"type": "kv", "options": {"version": "1"}})
    openbao.checked("POST", f"{space}/kv/db", {"p": "spaced"})
    stores = make_stores(namespace=space)
    assert plain(await one(stores, "vault://main/kv/db#p")) == "spaced"
