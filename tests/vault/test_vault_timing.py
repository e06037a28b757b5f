"""Each request to a store is timed, whether or not it is answered."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from vault_servers import SHOP, settings

from agent.adapters.vault.stores import Stores
from agent.manifests import references

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.openbao import OpenBao


async def test_requests_are_timed_under_the_name_of_the_store(openbao: OpenBao, mount: str, token_file: Path) -> None:
    openbao.put("shop/db", {"p": "x"}, mount=mount)
    seen: list[tuple[str, bool, float]] = []
    store = settings(openbao.url, auth={"tokenFile": str(token_file)})
    stores = Stores(
        {"main": store}, monotonic=time.monotonic, jitter=lambda: 0.5, observe=lambda *each: seen.append(each)
    )
    await stores.resolve(SHOP, [references.parse(f"vault://main/{mount}/shop/db#p")])
    assert {(name, answered) for name, answered, _ in seen} == {("main", True)}
    answered = len(seen)
    with openbao.away():
        await stores.resolve(SHOP, [references.parse(f"vault://main/{mount}/shop/other#p")])
        await stores.close()
    assert {(name, answered) for name, answered, _ in seen[answered:]} == {("main", False)}
    assert all(seconds > 0 for _, _, seconds in seen)
