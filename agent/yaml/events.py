"""libyaml's event stream with aliases expanded, limits kept and errors translated.

PyYAML's `load` and `compose` are never used: the first decides types that differ from Go's, the second recurses in C and ends the
process on deep nesting. What libyaml says about an error may quote the input; only its line and column are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, LiteralString, NoReturn, Protocol, TypeAlias, cast

import yaml
from yaml.cyaml import CParser
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    NodeEvent,
    ScalarEvent,
    StreamEndEvent,
)

from agent.values.errors import LimitError, YamlError
from agent.yaml.limits import Limits, check_size, excessive_aliasing

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROBLEMS: dict[str, LiteralString] = {
    "mapping values are not allowed in this context": "a `key: value` is not allowed here",
    "block sequence entries are not allowed in this context": "a list entry is not allowed here",
    "block mapping keys are not allowed in this context": "a map key is not allowed here",
    "did not find expected key": "expected a map key here",
    "did not find expected '-' indicator": "expected a list entry here",
    "did not find expected ',' or '}'": "expected `,` or `}` here",
    "did not find expected ',' or ']'": "expected `,` or `]` here",
    "did not find expected <document start>": "expected the start of a document here",
    "could not find expected ':'": "expected `:` after a key here",
    "found character that cannot start any token": "this character cannot start a value; quote it",
    "found a tab character that violates indentation": "a tab cannot indent",
    "found a tab character where an indentation space is expected": "a tab cannot indent",
    "found unexpected end of stream": "a quoted value is not closed",
    "found unexpected document indicator": "a quoted value is not closed before the document ends",
    "found unknown escape character": "unknown escape in a double-quoted value",
    "found undefined tag handle": "undefined tag handle",
    "control characters are not allowed": "control characters are not allowed",
}


class Mark(Protocol):
    """A place: 0-based line, column and index, in characters."""

    line: int
    column: int
    index: int


@dataclass(frozen=True, slots=True)
class Source:
    """What errors say about where they are: the file and the line at which this text begins."""

    file: str
    first_line: int = 1

    def fail(self, message: LiteralString, mark: Mark | None, *, hint: LiteralString = "") -> NoReturn:
        """Raises YamlError at a mark."""
        if mark is None:
            raise YamlError(message, file=self.file, hint=hint) from None
        raise YamlError(
            message, file=self.file, line=mark.line + self.first_line, column=mark.column + 1, hint=hint
        ) from None

    def exceed(self, message: LiteralString, mark: Mark | None, *, limit: int) -> NoReturn:
        """Raises LimitError at a mark."""
        line = self.first_line + (mark.line if mark is not None else 0)
        raise LimitError(message, file=self.file, line=line, limit=limit) from None


_Span: TypeAlias = "tuple[int, int]"


class Stream:
    """The events of one text.

    While iterating, `replayed` tells whether the event came out of an alias and `aliased` whether it begins what one names;
    `alias` is the alias itself at the first event of one that stands in the text.
    """

    def __init__(self, data: bytes, source: Source, limits: Limits, *, anchors_cross_documents: bool = False) -> None:
        """Raises LimitError for a text that is too large. `anchors_cross_documents` is go-yaml v3's way."""
        check_size(data, file=source.file, limits=limits)
        self.source = source
        self.replayed = False
        self.aliased = False
        self.alias: AliasEvent | None = None
        self._limits = limits
        self._cross = anchors_cross_documents
        self._data = data
        self._last: Mark | None = None
        self._log: list[Event | _Span] = []
        self._anchors: dict[str, _Span | None] = {}
        self._open: list[tuple[str, int, int]] = []

    def _raw(self) -> Iterator[Event]:
        try:
            parser = CParser(self._data)
        except (yaml.YAMLError, ValueError) as error:
            self._translate(error)
        try:
            while True:
                try:
                    event = cast("Event | None", parser.get_event())
                except (yaml.YAMLError, ValueError, MemoryError) as error:
                    self._translate(error)
                if event is None:
                    return
                self._last = cast("Mark", event.end_mark)
                yield event
                if isinstance(event, StreamEndEvent):
                    return
        finally:
            parser.dispose()

    def _translate(self, error: Exception) -> NoReturn:
        if isinstance(error, yaml.MarkedYAMLError):
            problem = _PROBLEMS.get(error.problem or "", "this is not YAML")
            self.source.fail(problem, cast("Mark | None", error.problem_mark or error.context_mark))
        if isinstance(error, yaml.reader.ReaderError):
            self.source.fail("a character that YAML does not allow, or bytes that are not UTF-8", self._last)
        self.source.fail("this is not YAML", self._last)

    def __iter__(self) -> Iterator[Event]:
        """Every event, an alias replaced by the events of what it names. Raises YamlError and LimitError."""
        depth = nodes = aliased = 0
        for event in self._raw():
            if isinstance(event, AliasEvent):
                nodes += 1
                for inner in self._replay(event):
                    if isinstance(inner, NodeEvent):
                        nodes += 1
                        aliased += 1
                        if isinstance(inner, CollectionStartEvent):
                            depth += 1
                            self._check_depth(depth, event)
                        if excessive_aliasing(nodes, aliased):
                            self.source.fail("aliases expand to far more than the file holds", event.start_mark)
                    elif isinstance(inner, CollectionEndEvent):
                        depth -= 1
                    yield inner
                self.replayed = self.aliased = False
                continue
            if isinstance(event, CollectionStartEvent):
                depth += 1
                nodes += 1
                self._check_depth(depth, event)
            elif isinstance(event, CollectionEndEvent):
                depth -= 1
            elif isinstance(event, ScalarEvent):
                nodes += 1
            elif isinstance(event, DocumentStartEvent):
                self._start_document(event)
                nodes, aliased = 1, 0
            self._record(event, depth)
            yield event

    def _check_depth(self, depth: int, event: Event) -> None:
        if depth > self._limits.depth:
            self.source.exceed("maps and lists are nested too deeply", event.start_mark, limit=self._limits.depth)

    def _start_document(self, event: DocumentStartEvent) -> None:
        if event.version is not None and event.version != (1, 1):
            self.source.fail("only %YAML 1.1 is understood", event.start_mark)
        if not self._cross:
            self._anchors.clear()
            self._log.clear()

    def _record(self, event: Event, depth: int) -> None:
        if isinstance(event, ScalarEvent | CollectionStartEvent) and event.anchor is not None:
            start = len(self._log)
            if isinstance(event, ScalarEvent):
                self._anchors[event.anchor] = (start, start + 1)
            else:
                self._anchors[event.anchor] = None
                self._open.append((event.anchor, start, depth))
            self._log.append(event)
        elif self._open:
            self._log.append(event)
        if self._open and isinstance(event, CollectionEndEvent) and self._open[-1][2] == depth + 1:
            anchor, start, _ = self._open.pop()
            if self._anchors.get(anchor) is None:
                self._anchors[anchor] = (start, len(self._log))

    def _replay(self, alias: AliasEvent) -> Iterator[Event]:
        span = self._anchors.get(alias.anchor)
        if span is None:
            self.source.fail("this alias names no finished anchor before it", alias.start_mark)
        if self._open:
            self._log.append(span)
        self.replayed = self.aliased = True
        self.alias = alias
        cursors = [span]
        while cursors:
            at, end = cursors.pop()
            if at == end:
                continue
            entry = self._log[at]
            cursors.append((at + 1, end))
            if isinstance(entry, tuple):
                cursors.append(entry)
                self.aliased = True
            else:
                yield entry
                self.aliased = False
                self.alias = None
