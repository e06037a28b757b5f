"""Where comments stand: go-yaml v3's head, line and foot comments, found in the gaps between libyaml's events.

libyaml drops comments, but its events carry marks: what lies between two of them is only blanks, indicators and comments. A
comment behind a value belongs to that value; one on a line of its own belongs before what follows it, or, where that closes a
map or list, at the end of the deepest one that it is indented for.
"""

from __future__ import annotations

import re

from agent.values.dataclass import dataclass
from agent.yaml.nodes import Comment

_BREAKS = "\n\r\x85\u2028\u2029"
_COMMENT = re.compile("#([^\n\r\x85\u2028\u2029]*)")
_TRAILING = re.compile("[ \t]*(?:,[ \t]*)?#([^\n\r\x85\u2028\u2029]*)")
_HEADER = re.compile("[^#\n\r]*[|>][-+0-9]*[ \t]+#([^\n\r\x85\u2028\u2029]*)")


@dataclass(frozen=True, slots=True)
class Found:
    """A comment in a gap: text, place and column, whether it has the line to itself, and whether a `-` follows in the gap."""

    text: str
    at: int
    column: int
    alone: bool
    before_dash: bool

    @property
    def comment(self) -> Comment:
        """As an item of a map or list."""
        return Comment(self.text, at=self.at)


class Gaps:
    """The gaps of one text, asked for in file order. `text` is empty where the file has no `#`: then every answer is."""

    def __init__(self, data: bytes) -> None:
        self._text = data.decode("utf-8-sig", "replace") if b"#" in data else ""
        self._at = self._lower = 0

    def before(self, index: int) -> list[Found]:
        """The comments between the place reached and `index`."""
        text, start = self._text, self._at
        if not text or index <= start:
            return []
        self._at = index
        if text.find("#", start, index) < 0:
            return []
        spans = [match.span() for match in _COMMENT.finditer(text, start, index)]
        dash = text.rfind("-", spans[-1][1], index)
        found: list[Found] = []
        for number in range(len(spans) - 1, -1, -1):
            begin, end = spans[number]
            # A comment ends its line, so this one's line begins behind the comment before it.
            lower = spans[number - 1][1] if number else self._lower
            line = max((text.rfind(mark, lower, begin) + 1 for mark in _BREAKS), default=0) or lower
            found.append(
                Found(text[begin + 1 : end], begin, begin - line, not text[line:begin].strip(" \t"), dash >= 0)
            )
            dash = max(dash, text.rfind("-", max(lower, start), begin))
        self._lower = spans[-1][1]
        return found[::-1]

    def behind(self, end: int) -> Comment | None:
        """The comment on the same line behind a value that ends at `end`."""
        self._at = max(self._at, end)
        match = _TRAILING.match(self._text, end) if self._text else None
        if match is None:
            return None
        self._at = match.end()
        return Comment(match.group(1), inline=True, at=match.start(1) - 1)

    def header(self, start: int, end: int) -> Comment | None:
        """The comment behind the `|` or `>` of a block scalar."""
        self._at = max(self._at, end)
        match = _HEADER.match(self._text, start, end) if self._text else None
        return Comment(match.group(1), inline=True, at=match.start(1) - 1) if match else None

    def dash_at(self, index: int) -> bool:
        """Whether a list entry begins at `index`."""
        return self._text.startswith("-", index) and self._text[index + 1 : index + 2] in {"", " ", "\t", "\n", "\r"}

    def reach(self, index: int) -> None:
        """What lies before `index` has been dealt with."""
        self._at = max(self._at, index)
