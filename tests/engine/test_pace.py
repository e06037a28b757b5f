"""What is large is worked on beside the loop, and what is many gives others their turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from agent.engine import pace

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.engine.context import Run
    from agent.values.tree import Object

LARGE: Object = {"data": dict.fromkeys(map(str, range(6000)), "x")}
SMALL: Object = {"data": {"a": "x"}}


class Here:
    """A run, and its tasks: what was done apart, and how often others had a turn."""

    def __init__(self) -> None:
        self.in_threads: list[str] = []
        self.turns = 0
        self.ports = self.tasks = self

    async def in_thread(self, work: Callable[[], str]) -> str:
        self.in_threads.append(work())
        return self.in_threads[-1]

    async def sleep(self, seconds: float) -> None:
        self.turns += 1

    @property
    def run(self) -> Run:
        return cast("Run", self)


async def test_a_large_object_is_worked_on_beside_the_loop_and_a_small_one_at_once() -> None:
    here = Here()
    assert await pace.beside(here.run, SMALL, lambda: "small") == "small"
    assert await pace.beside(here.run, LARGE, lambda: "large") == "large"
    assert await pace.over_all(here.run, [LARGE, SMALL], lambda: "one") == "one"
    assert await pace.over_all(here.run, [LARGE] * 4, lambda: "many") == "many"
    assert here.in_threads == ["large", "many"]


async def test_others_have_a_turn_every_two_hundred_objects() -> None:
    here = Here()
    for number in range(1, 1001):
        await pace.let_others(here.run, number)
    assert here.turns == 5
