"""Where the nodes of a YAML text stand, as a tree beside the tree of values.

A map's `children` are key, value, key, value, a list's its items, in file order and without comments; so is an alias, which
stands for what it names. Comments carry their own place (`Comment.at`). All places are characters behind a byte order mark.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from enum import Enum
from itertools import accumulate
from typing import TYPE_CHECKING

from agent.yaml.scalars import BREAKS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PROPERTIES = r"(?:!<[^>]*>|[&!][^\s,\[\]{}]*|\s+|(?<=\s)#[^\n\r\x85\u2028\u2029]*)*"
_BLANKS = f" \t{BREAKS}"
_BREAK = f"\r\n|[{BREAKS}]"


class Kind(Enum):
    """What a node is in the text."""

    SCALAR = 1
    MAPPING = 2
    SEQUENCE = 3
    ALIAS = 4


class Lines:
    """The lines of a text by place."""

    def __init__(self, text: str) -> None:
        if any(mark in text for mark in BREAKS[1:]):
            spans = [match.span() for match in re.finditer(_BREAK, text)]
            self._ends = [*(start for start, _ in spans), len(text)]
            self._starts = [0, *(end for _, end in spans)]
        else:
            self._starts = [0, *accumulate(len(line) + 1 for line in text.split("\n"))]
            self._ends = [start - 1 for start in self._starts[1:]]
            self._starts.pop()

    def start(self, at: int) -> int:
        """Where the line that holds `at` begins."""
        return self._starts[bisect_right(self._starts, at) - 1]

    def end(self, at: int) -> int:
        """Where it ends, before its break."""
        return self._ends[bisect_right(self._starts, at) - 1]

    def number(self, at: int) -> int:
        """Its number, from 1."""
        return bisect_right(self._starts, at)

    def after(self, at: int) -> int:
        """Where the next line begins, or the text ends."""
        number = bisect_right(self._starts, at)
        return self._starts[number] if number < len(self._starts) else self._ends[-1]


class Node:
    """One node. `start` is where its tag or anchor begins, `content` what follows those; `end` lies behind its last character.

    A block scalar ends before the line break of its last line that is not blank. `quote` is a scalar's style as libyaml names
    it (`|`, `>`, a quote or nothing), `anchor` an alias's too. `column` is where a block map's keys or a list's dashes stand.
    """

    __slots__ = ("anchor", "children", "column", "content", "end", "flow", "kind", "line", "quote", "start", "tag")

    def __init__(self, kind: Kind, start: int, end: int) -> None:
        self.kind = kind
        self.start = self.content = start
        self.end = end
        self.quote = ""
        self.anchor: str | None = None
        self.tag: str | None = None
        self.flow = False
        self.column = 0
        self.line = 0
        self.children: list[Node] = []


class DocumentSpan:
    """One document: `start` behind its `---` (or where it begins), `end` where `...`, `---` or the file ends it."""

    __slots__ = ("end", "explicit", "root", "start")

    def __init__(self, start: int, *, explicit: bool) -> None:
        self.start = self.end = start
        self.explicit = explicit
        self.root: Node | None = None


def scalar_node(text: str, lines: Lines, start: int, end: int) -> Node:
    """A scalar of block style, without tag and anchor, that `agent.yaml.lines` read."""
    node = Node(Kind.SCALAR, start, end)
    if text[start:end].startswith(("'", '"', "|")):
        node.quote = text[start]
    if node.quote == "|":
        node.end = block_end(text, lines, start, end)
    return node


def block_end(text: str, lines: Lines, content: int, end: int) -> int:
    """Where a block scalar ends, whose header begins at `content`, and whose blank lines end before `end`."""
    head = lines.end(content)
    if "+" not in text[content:head].partition("#")[0]:
        return max(head, len(text[head:end].rstrip(_BLANKS)) + head)
    found = end - 1 if text[end - 1 : end] in BREAKS else end
    return found - (text[found - 1 : end] == "\r\n")


def properties_end(text: str, start: int, end: int) -> int:
    """Where the tag and anchor that begin at `start`, and what separates them from the content, end."""
    match = re.compile(_PROPERTIES).match(text, start, end)
    return match.end() if match else start


def comments(text: str, lines: Lines, scalars: Iterable[Node]) -> Iterator[tuple[int, int]]:
    """Every comment of a text, as (place of its `#`, end): whatever `#` begins outside of the content of the scalars."""
    inside = iter(scalars)
    node = next(inside, None)
    at = text.find("#")
    while at >= 0:
        begin = end = -1
        while node is not None:
            begin, end = node.content, node.end
            if node.quote in {"|", ">"}:
                begin = lines.end(begin)
            if end > at:
                break
            node = next(inside, None)
        if node is not None and begin <= at < end:
            at = text.find("#", end)
            continue
        stop = lines.end(at)
        yield at, stop
        at = text.find("#", stop)
