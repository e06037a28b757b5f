"""The search: every order of a story that differs from the usual one in at most so many places.

Usually an agent goes on until it waits for something, then another one does, then the story's next step comes. An order is a list of the
places where something else came first. Two orders that led to the same state have the same future, of which one is looked at.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from handover_model.stories import beforehand
from handover_model.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from handover_model.world import Story


@dataclass(slots=True)
class Chooser:
    """Follows an order, and notes at which places another one might begin. `seen` maps states to the differences left there."""

    order: tuple[tuple[int, int], ...]
    left: int
    seen: dict[object, int]
    places: list[int] = field(default_factory=list)
    at: int = 0

    def choose(self, labels: list[str], state: Callable[[], object]) -> int | None:
        """Which of the possible comes next; None where all that follows was looked at."""
        at, self.at = self.at, self.at + 1
        self.places.append(len(labels))
        ordered = dict(self.order)
        if at in ordered:
            return ordered[at]
        if not self.order or at > self.order[-1][0]:
            key = state()
            if self.seen.get(key, -1) >= self.left:
                self.places.pop()
                return None
            self.seen[key] = self.left
        return 0


@dataclass(frozen=True, slots=True)
class Found:
    """What went wrong in which order, and how many orders were looked at until then."""

    wrong: tuple[str, ...]
    happened: tuple[str, ...]
    orders: int


def explore(story: Story, differences: int) -> Found:
    """Look at the orders with at most so many differences, those with the fewest first, until something is wrong."""
    seen: dict[object, int] = {}
    applied = World(replace(story, setup=beforehand(story.waits), steps=(), preference=("first",)), Chooser((), 0, {}))
    wrong = applied.run()
    if wrong:
        return Found(tuple(wrong), tuple(applied.happened), 0)
    waiting: deque[tuple[tuple[int, int], ...]] = deque([()])
    orders = 0
    while waiting:
        order = waiting.popleft()
        left = differences - len(order)
        chooser = Chooser(order, left, seen)
        world = World(story, chooser, applied)
        wrong = world.run()
        orders += 1
        if wrong:
            return Found(tuple(wrong), tuple(world.happened), orders)
        if left:
            first = order[-1][0] + 1 if order else 0
            waiting += [
                (*order, (at, other))
                for at in range(first, len(chooser.places))
                for other in range(1, chooser.places[at])
            ]
    return Found((), tuple(world.happened), orders)
