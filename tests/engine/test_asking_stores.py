"""Stores are asked a path at a time for each version, some at once, and no more once their values are too large together."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from agent.engine import resolving
from agent.engine.ports import Resolved
from agent.manifests.references import Reference
from agent.values.errors import LimitError
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.engine.context import Run


class Store:
    """Has a value of a hundred characters at every path."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    async def resolve(self, _: object, references: Sequence[Reference]) -> dict[Reference, Resolved]:
        self.asked.append(len(references))
        return {reference: Resolved(Secret("x" * 100, "store"), 1) for reference in references}


async def test_no_more_is_asked_once_the_values_are_too_large_together() -> None:
    store = Store()
    run = SimpleNamespace(
        application_id=None, limits=SimpleNamespace(manifest_bytes=3300), ports=SimpleNamespace(stores=store)
    )
    wanted = [Reference("main", f"kv/{number}", "k") for number in range(100)]
    answers = await resolving.ask(cast("Run", run), wanted)
    assert store.asked == [32, 32]
    assert [isinstance(answers[each], LimitError) for each in wanted] == [False] * 64 + [True] * 36
