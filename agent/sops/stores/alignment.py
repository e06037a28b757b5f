"""Which item of a file's old text each new one stands for, where lines are known by name."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence


def align(old: Sequence[Hashable], new: Sequence[Hashable]) -> list[int | None]:
    """For each new item the index of its old one, rising; None where it has none, or moved up or down. Items are unique.

    A new item in the very place of an old one that went takes its place.
    """
    at = {item: index for index, item in enumerate(old)}
    found = _longest_rising([at.get(item) for item in new])
    kept = {index for index in found if index is not None}
    last = -1
    for number, index in enumerate(found):
        if index is not None:
            last = index
        elif last + 1 < len(old) and last + 1 not in kept:
            last += 1
            found[number] = last
    return found


def _longest_rising(indices: list[int | None]) -> list[int | None]:
    """The longest rising run of these, the others None."""
    tops: list[int] = []
    numbers: list[int] = []
    previous: list[int | None] = [None] * len(indices)
    for number, index in enumerate(indices):
        if index is None:
            continue
        place = bisect_left(tops, index)
        previous[number] = numbers[place - 1] if place else None
        tops[place : place + 1] = [index]
        numbers[place : place + 1] = [number]
    kept: list[int | None] = [None] * len(indices)
    at = numbers[-1] if numbers else None
    while at is not None:
        kept[at] = indices[at]
        at = previous[at]
    return kept
