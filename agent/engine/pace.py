"""Pace: an Application may have tens of thousands of objects, or few large ones, and everything else goes on meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from agent.values.tree import is_large

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agent.engine.context import Run
    from agent.values.tree import Object

T = TypeVar("T")

_QUICK: Final = 200
"""Objects that are gone through before others have their turn."""
_MANY: Final = 5000
"""Maps, lists and leaves of an object that is worked on at once."""
_MANY_OF_ALL: Final = 20_000
"""The same of all objects together, where they are gone through."""


async def let_others(run: Run, number: int) -> None:
    """Leave the loop to others now and then; `number` counts what was done."""
    if number % _QUICK == 0:
        await run.ports.tasks.sleep(0)


async def beside(run: Run, tree: Object, work: Callable[[], T], *, made: bool = False) -> T:
    """A large object is worked on beside the loop, and a small one at once, unless values of it are `made` by functions of a chart."""
    return await run.ports.tasks.in_thread(work) if made or is_large([tree], _MANY) else work()


async def over_all(run: Run, trees: Iterable[Object], work: Callable[[], T]) -> T:
    """Work that goes through many objects is done beside the loop where they are large together."""
    return await run.ports.tasks.in_thread(work) if is_large(trees, _MANY_OF_ALL) else work()
