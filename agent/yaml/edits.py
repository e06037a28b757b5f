"""Changes to a text as a list of ranges and what takes their place, applied at once."""

from __future__ import annotations

from typing import TypeAlias

Path: TypeAlias = tuple[int, ...]


class OverlapError(Exception):
    """Two changes want the same place, one of them on behalf of the item at `path`; the caller rewrites it instead."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path


class Edits:
    """Changes in the order in which they were found; insertions at one place keep that order."""

    def __init__(self) -> None:
        self._edits: list[tuple[int, int, int, str, Path]] = []
        self._erased: list[tuple[int, int]] = []

    def __bool__(self) -> bool:
        return bool(self._edits)

    @property
    def last(self) -> int:
        """Where the last of the changed places ends."""
        return max((edit[1] for edit in self._edits), default=0)

    def put(self, start: int, end: int, text: str, path: Path) -> None:
        """`text` instead of what stands from `start` to `end`, on behalf of the item at `path`."""
        self._edits.append((start, end, len(self._edits), text, path))

    def erase(self, start: int, end: int) -> None:
        """Nothing instead of this range, unless another change takes it in."""
        self._erased.append((start, end))

    def drain(self) -> list[tuple[int, int, str]]:
        """The changes so far as (start, end, text), which are forgotten here."""
        drained = [(start, end, text) for start, end, _, text, _ in self._edits]
        self._edits.clear()
        return drained

    def apply(self, text: str) -> tuple[str, list[tuple[int, Path]]]:
        """The new text, and for each change where it begins there. Raises OverlapError."""
        out: list[str] = []
        places: list[tuple[int, Path]] = []
        at = length = 0
        for start, end, new, path in self._merged():
            out += (text[at:start], new)
            length += start - at
            places.append((length, path))
            length += len(new)
            at = end
        out.append(text[at:])
        return "".join(out), places

    def _merged(self) -> list[tuple[int, int, str, Path]]:
        merged: list[tuple[int, int, str, Path]] = []
        at = 0
        for start, end, _, new, path in sorted(self._edits):
            if start < at:
                raise OverlapError(path)
            merged.append((start, end, new, path))
            at = end
        if self._erased:
            kept = self._uncovered(merged)
            merged = sorted([*merged, *((start, end, "", ()) for start, end in kept)], key=lambda edit: edit[:2])
        return merged

    def _uncovered(self, merged: list[tuple[int, int, str, Path]]) -> list[tuple[int, int]]:
        kept: list[tuple[int, int]] = []
        number = 0
        for start, end in sorted(self._erased):
            while number < len(merged) and merged[number][1] <= start:
                number += 1
            if number == len(merged) or merged[number][0] >= end:
                kept.append((start, end))
        return kept
