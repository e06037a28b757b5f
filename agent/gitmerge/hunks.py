"""What changed between two lists, in bounded time."""

from __future__ import annotations

from collections import Counter
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from difflib import Match

Change: TypeAlias = "tuple[str, int, int, int, int]"
"""As difflib's opcodes: `equal`, `replace`, `insert` or `delete`, a range of the one and a range of the other."""

_MOST_STEPS = 500_000
"""Of some tenth of a second; a file may have many lists."""


def changes(one: Sequence[Hashable], other: Sequence[Hashable], *, most_steps: int = _MOST_STEPS) -> list[Change]:
    """What difflib finds. Where that would take long, such as of a thousand equal items, all between the first and last change."""
    try:
        return [*_Matcher(one, other, most_steps).get_opcodes()]
    except _TooLongError:
        return _around(one, other)


class _TooLongError(Exception):
    pass


class _Matcher(SequenceMatcher["Hashable"]):
    def __init__(self, one: Sequence[Hashable], other: Sequence[Hashable], most_steps: int) -> None:
        super().__init__(None, one, other, autojunk=False)
        counted = Counter(other)
        self._size = len(one)
        self._steps_of_one = 1 + sum(counted[item] for item in one) / max(len(one), 1)
        self._left = float(most_steps)

    def find_longest_match(self, alo: int = 0, ahi: int | None = None, blo: int = 0, bhi: int | None = None) -> Match:
        self._left -= self._steps_of_one * ((self._size if ahi is None else ahi) - alo)
        if self._left < 0:
            raise _TooLongError
        return super().find_longest_match(alo, ahi, blo, bhi)


def _around(one: Sequence[Hashable], other: Sequence[Hashable]) -> list[Change]:
    start, most = 0, min(len(one), len(other))
    while start < most and one[start] == other[start]:
        start += 1
    tail, most = 0, most - start
    while tail < most and one[-1 - tail] == other[-1 - tail]:
        tail += 1
    end, other_end = len(one) - tail, len(other) - tail
    kind = "insert" if start == end else "delete" if start == other_end else "replace"
    found = [("equal", 0, start, 0, start), (kind, start, end, start, other_end)]
    return [*found, ("equal", end, len(one), other_end, len(other))]
