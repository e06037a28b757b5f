"""Where the nodes of a YAML text stand: the marks of libyaml's events as a tree beside the tree of values.

A map's `children` are key, value, key, value, a list's its items, in file order and without comments; so is an alias, which
stands for what it names. Comments carry their own place (`Comment.at`). All places are characters behind a byte order mark.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from enum import Enum
from itertools import accumulate
from typing import TYPE_CHECKING, cast

from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingStartEvent,
    ScalarEvent,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from yaml.events import Event

BREAKS = "\n\r\x85\u2028\u2029"
_PROPERTIES = re.compile(r"(?:!<[^>]*>|[&!][^\s,\[\]{}]*|\s+|(?<=\s)#[^\n\r\x85\u2028\u2029]*)*")
_BLANKS = f" \t{BREAKS}"
_BREAK = re.compile(f"\r\n|[{BREAKS}]")


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
            spans = [match.span() for match in _BREAK.finditer(text)]
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


class Recorder:
    """Watches how the tree of `text` is built (`builder.build`).

    `step`, `dash` and `body` are how far the first nested map, list in a map and block scalar are indented; 0, and -1 for `dash`, where
    there is none.
    """

    def __init__(self, text: str, lines: Lines) -> None:
        self.documents: list[DocumentSpan] = []
        self.scalars: list[Node] = []
        self.step = 0
        self.dash = -1
        self.body = 0
        self._text = text
        self._lines = lines
        self._open: list[Node] = []

    def take(self, event: Event) -> None:
        """The next event."""
        kind = type(event)
        if kind is ScalarEvent:
            self._scalar(cast("ScalarEvent", event))
        elif isinstance(event, CollectionStartEvent):
            self._start(event)
        elif isinstance(event, CollectionEndEvent):
            self._finish(self._open.pop(), event.end_mark.index)
        elif kind is AliasEvent:
            alias = cast("AliasEvent", event)
            node = Node(Kind.ALIAS, alias.start_mark.index, alias.end_mark.index)
            node.anchor, node.line = alias.anchor, alias.start_mark.line + 1
            self._put(node)
        elif kind is DocumentStartEvent:
            start = cast("DocumentStartEvent", event)
            self.documents.append(DocumentSpan(start.end_mark.index, explicit=bool(start.explicit)))
        elif kind is DocumentEndEvent:
            self.documents[-1].end = event.start_mark.index

    def _put(self, node: Node) -> None:
        if self._open:
            self._open[-1].children.append(node)
        else:
            self.documents[-1].root = node

    def _scalar(self, event: ScalarEvent) -> None:
        start, end, style = event.start_mark.index, event.end_mark.index, event.style
        node = Node(Kind.SCALAR, start, end)
        if event.tag is not None or event.anchor is not None:
            node.anchor, node.tag = event.anchor, event.tag
            node.content = properties_end(self._text, start, end)
        if style:
            node.quote = cast("str", style)
            if node.quote in {"|", ">"}:
                head = self._lines.end(node.content)
                node.end = max(head, len(self._text[head:end].rstrip(_BLANKS)) + head)
                if "+" in self._text[node.content : head].partition("#")[0]:
                    node.end = end - 1 if self._text[end - 1 : end] in BREAKS else end
                    node.end -= self._text[node.end - 1 : end] == "\r\n"
                if not self.body and self._open:
                    self.body = max(self._body_column(node) - self._open[-1].column, 0)
        elif start == end and self._open and self._open[-1].children and self._text[start - 1] not in ":-":
            # A key without a colon: libyaml sees its empty value where the next token stands.
            node.start = node.content = node.end = self._open[-1].children[-1].end
        self.scalars.append(node)
        self._put(node)

    def _body_column(self, node: Node) -> int:
        start = self._lines.after(node.content)
        line = self._text[start : node.end]
        return len(line) - len(line.lstrip(" ")) if node.end > start else 0

    def _start(self, event: CollectionStartEvent) -> None:
        mapping = isinstance(event, MappingStartEvent)
        node = Node(Kind.MAPPING if mapping else Kind.SEQUENCE, event.start_mark.index, event.end_mark.index)
        node.flow, node.anchor, node.tag = bool(event.flow_style), event.anchor, event.tag
        node.column = event.start_mark.column
        if node.anchor is not None or node.tag is not None:
            node.content = properties_end(self._text, node.start, node.end)
            node.column = node.content - self._lines.start(node.content)
        if self._open and not node.flow and self._open[-1].kind is Kind.MAPPING:
            indent = node.column - self._open[-1].column
            if mapping:
                self.step = self.step or indent
            elif self.dash < 0:
                self.dash = indent
        self._put(node)
        self._open.append(node)

    def _finish(self, node: Node, end: int) -> None:
        if not node.flow or (node.kind is Kind.MAPPING and not self._text.startswith("{", node.content)):
            end = node.children[-1].end if node.children else node.content
        node.end = end


def properties_end(text: str, start: int, end: int) -> int:
    """Where the tag and anchor that begin at `start`, and what separates them from the content, end."""
    match = _PROPERTIES.match(text, start, end)
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
