"""A tenant that asks a store for much leaves others their turn, and what it is given has a size."""

from __future__ import annotations

import asyncio
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from agent.adapters.vault import kv
from agent.adapters.vault.stores import Stores
from agent.api.model import validate
from agent.api.operator import Limits, OperatorSettings
from agent.engine import resolving
from agent.engine.ports import Resolved
from agent.manifests.references import Reference
from agent.values.errors import LimitError
from agent.values.ids import ApplicationId
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Collection

    import pytest

    from agent.adapters.vault.store import Store
    from agent.engine.context import Run

SETTINGS = {
    "stores": {
        "main": {
            "address": "https://vault.example.com:8200",
            "auth": {"tokenFile": "/run/token"},
            "allowedPaths": ["secret/**"],
            "allowedNamespaces": ["*"],
        }
    }
}


async def test_many_slow_reads_of_one_namespace_leave_connections_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    hang = threading.Event()

    def read(store: Store, path: str, version: int | None) -> kv.Values:
        del store, version
        if "greedy" in path:
            hang.wait()
        return kv.Values({"key": Secret("x", "test")}, 1)

    monkeypatch.setattr(kv, "read", read)
    monkeypatch.setattr(kv, "preflight", lambda *_: None)
    settings = validate(OperatorSettings, SETTINGS)
    stores = Stores(settings.stores, monotonic=time.monotonic, jitter=lambda: 0.5)

    def ask(namespace: str, count: int) -> asyncio.Task[dict[Reference, Resolved | Exception]]:
        references = [Reference("main", f"secret/{namespace}/{number}", "key") for number in range(count)]
        return asyncio.create_task(stores.resolve(ApplicationId(namespace, "app", namespace), references))  # pyright: ignore[reportReturnType]

    greedy = ask("greedy", 200)
    await asyncio.sleep(0)
    async with asyncio.timeout(30):
        answers = await ask("other", 20)
    assert all(isinstance(answer, Resolved) for answer in answers.values())
    assert not greedy.done()
    hang.set()
    await greedy
    await stores.close()


async def test_no_more_is_asked_for_once_the_values_are_too_large_together() -> None:
    asked: list[int] = []

    class Large:
        async def resolve(self, _: object, references: Collection[Reference]) -> dict[Reference, Resolved]:
            asked.append(len(references))
            return {reference: Resolved(Secret("x" * (1 << 20), "test"), 1) for reference in references}

    limits = validate(Limits, {"manifestBytes": 50 << 20})
    run = cast(
        "Run",
        SimpleNamespace(
            ports=SimpleNamespace(stores=Large()), application_id=ApplicationId("a", "b", "c"), limits=limits
        ),
    )
    wanted = [Reference("main", f"secret/{number // 2}", f"k{number % 2}") for number in range(400)]
    answers = await resolving.ask(run, wanted)
    assert asked == [64]
    assert len(answers) == 400
    assert sum(isinstance(answer, LimitError) for answer in answers.values()) == 336
