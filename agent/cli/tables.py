"""How a table lies: in a pipe as wide as its widest cells, on a terminal within its width and in colours.

On a terminal the sentence at the end of a row gives way first, then the widest column. Names lose their middle, sentences and values their
end. A sentence that would be left with too little stands below its row, and where not even the headers fit, each row is a block.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from agent.values.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

Colour: TypeAlias = Literal["bold", "red", "green", "yellow"]
_GAP: Final = "  "
_LEAST: Final = 8
"""What a column keeps of its width, if it has as much."""
_LEAST_SENTENCE: Final = 24
_SENTENCES: Final = frozenset({"MESSAGE", "CAUSE", "WHAT", "DETAILS", "SUBJECT"})
_VALUES: Final = frozenset({"LIVE", "WANTED"})

_TRUE_IS_GOOD: Final[Mapping[str, Colour]] = {"True": "green", "False": "red", "Unknown": "yellow"}
_COLOURS: Final[Mapping[str, Mapping[str, Colour]]] = {
    "READY": _TRUE_IS_GOOD,
    "HEALTHY": _TRUE_IS_GOOD,
    "DRIFTED": {"True": "red", "False": "green", "Unknown": "yellow"},
    "RESULT": {
        "sound": "green",
        "succeeded": "green",
        "ok": "green",
        "partial": "yellow",
        "in the clear": "yellow",
        "warning": "yellow",
        "unknown": "yellow",
        "failed": "red",
        "unsound": "red",
    },
    "MAC": {"verified": "green", "mismatch": "red"},
    "ACTION": {"create": "green", "change": "yellow", "replace": "yellow", "prune": "red", "conflict": "red"},
}
"""By header, then by word."""


@dataclass(frozen=True, slots=True)
class Table:
    """`rows` are escaped cells, one for each header. `paint` is how a text takes a colour, where there are any."""

    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    paint: Callable[[str, Colour], str] | None = None

    def lines(self, columns: int | None) -> Iterator[str]:
        """`columns` is the width of the terminal, None where nothing is cut."""
        natural = [max(map(_width, column)) for column in zip(self.headers, *self.rows, strict=True)]
        if columns is None or _total(natural) <= columns:
            return self._in_columns(natural)
        sentence = self.headers[-1] in _SENTENCES
        room = columns - _total(natural[:-1]) - len(_GAP)
        if sentence and room >= _LEAST_SENTENCE:
            return self._in_columns([*natural[:-1], room])
        fitted = _fitted(self.headers, natural[:-1] if sentence else natural, columns)
        if fitted is None:
            return self._in_blocks(columns)
        return self._in_columns(fitted, below=columns if sentence else None)

    def _in_columns(self, widths: Sequence[int], below: int | None = None) -> Iterator[str]:
        """With `below`, the last cell of a row stands on a line of its own, so many characters of it."""
        yield self._line(self.headers, widths, header=True)
        for row in self.rows:
            yield self._line(row, widths)
            if below is not None and row[-1]:
                yield _GAP + _shortened(row[-1], below - len(_GAP), self.headers[-1])

    def _line(self, row: Sequence[str], widths: Sequence[int], *, header: bool = False) -> str:
        cells: list[str] = []
        for name, text, width in zip(self.headers, row, widths, strict=False):
            shown = _shortened(text, width, name)
            cells.append(self._painted(name, shown, header=header) + " " * (width - _width(shown)))
        return _GAP.join(cells).rstrip()

    def _in_blocks(self, columns: int) -> Iterator[str]:
        label = max(map(len, self.headers))
        for number, row in enumerate(self.rows):
            if number:
                yield ""
            for name, text in zip(self.headers, row, strict=True):
                shown = _shortened(text, max(_LEAST, columns - label - len(_GAP)), name)
                yield f"{self._painted(name, name, header=True)}{' ' * (label - len(name))}{_GAP}{self._painted(name, shown)}".rstrip()

    def _painted(self, name: str, text: str, *, header: bool = False) -> str:
        colour = "bold" if header else _COLOURS.get(name, {}).get(text)
        return self.paint(text, colour) if self.paint is not None and colour is not None else text


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _fitted(headers: Sequence[str], widths: Sequence[int], columns: int) -> list[int] | None:
    """The widths with the widest made smaller, all to the same; None where the least that columns need is too much."""
    least = [min(width, max(_LEAST, len(header))) for header, width in zip(headers, widths, strict=False)]
    for most in range(max(widths), 0, -1):
        fitted = [max(few, min(width, most)) for few, width in zip(least, widths, strict=True)]
        if _total(fitted) <= columns:
            return fitted
    return None


def _width(text: str) -> int:
    """Columns of a terminal: a letter of Chinese or an emoji takes two, a combining one none (UAX 11)."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(each) else 1 + (unicodedata.east_asian_width(each) in "WF") for each in text)


def _shortened(text: str, room: int, header: str) -> str:
    if _width(text) <= room:
        return text
    end = 0 if header in _SENTENCES | _VALUES else (room - 1) // 2
    return f"{_taken(text, room - 1 - end)}…{_taken(text[::-1], end)[::-1]}"


def _taken(text: str, room: int) -> str:
    """As much of the beginning as has room."""
    end = 0
    while end < len(text) and (room := room - _width(text[end])) >= 0:
        end += 1
    return text[:end]
