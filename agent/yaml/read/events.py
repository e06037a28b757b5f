"""libyaml's event stream with aliases expanded, limits kept and errors translated.

PyYAML's `load` and `compose` are never used: the first decides types that differ from Go's, the second recurses in C and ends the
process on deep nesting. What libyaml says about an error may quote the input; only its line and column are kept.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, LiteralString, NoReturn, Protocol, TypeAlias, cast

import yaml
from yaml._yaml import CParser
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    NodeEvent,
    ScalarEvent,
)

from agent.values.dataclass import dataclass
from agent.values.errors import LimitError, YamlError
from agent.values.text import UTF8_MARK
from agent.yaml.limits import Limits, check_text, check_utf8, excessive_aliasing
from agent.yaml.read.colons import Colons

if TYPE_CHECKING:
    from collections.abc import Iterator

_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
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


def _events(data: bytes) -> Iterator[Event]:
    parser: CParser | None = None
    try:
        parser = CParser(data)
        while (event := parser.get_event()) is not None:
            yield event
    finally:
        if parser is not None:
            parser.dispose()


class Stream:
    """The events of one text.

    While iterating, `replayed` says whether the event came out of an alias and `aliased` whether it begins what one names;
    `alias` is the alias itself at the first event of one that stands in the text.
    """

    def __init__(self, data: bytes, source: Source, limits: Limits, *, anchors_cross_documents: bool = False) -> None:
        """Raises LimitError for a text that is too large. `anchors_cross_documents` is go-yaml v3's way."""
        check_text(data, file=source.file, limits=limits)
        self.source = source
        self.replayed = False
        self.aliased = False
        self.alias: AliasEvent | None = None
        self._limits = limits
        self._left = limits.values
        self._text_left = limits.size - len(data)
        self._depth = self._nodes = self._aliased = 0
        self._cross = anchors_cross_documents
        self._data = data
        self._text = data.decode("utf-8-sig", "replace") if b"\\/" in data else ""
        self._asks = b"?" in data
        self._flow = 0
        self._last: Event | None = None
        self._log: list[Event | _Span] = []
        self._anchors: dict[str, _Span | None] = {}
        self._open: list[tuple[str, int, int]] = []

    def _raw(self) -> Iterator[Event]:
        colons = Colons(self._data)
        given = 0
        while True:
            try:
                for event in islice(_events(colons.data), given, None):
                    given += 1
                    self._last = colons.shown(event)
                    yield event
            except (yaml.YAMLError, ValueError, MemoryError) as error:
                if not colons.hide(error):
                    self._translate(error)
            else:
                return

    def _at(self, mark: Mark) -> str:
        """The character at a place, and none where the file is not UTF-8 alone."""
        lines = self._data.removeprefix(UTF8_MARK).splitlines()
        line = lines[mark.line].decode("utf-8", "replace") if mark.line < len(lines) else ""
        return line[mark.column : mark.column + 1]

    def _translate(self, error: Exception) -> NoReturn:
        if isinstance(error, yaml.MarkedYAMLError):
            mark = cast("Mark | None", error.problem_mark or error.context_mark)
            if mark is not None and self._at(mark) == "\t":
                self.source.fail("a tab cannot indent", mark, hint="YAML takes spaces there: expand -t 2 makes them")
            self.source.fail(_PROBLEMS.get(error.problem or "", "this is not YAML"), mark)
        last = cast("Mark", self._last.end_mark) if self._last is not None else None
        if isinstance(error, yaml.reader.ReaderError):
            check_utf8(self._data, file=self.source.file)
            self._refuse_characters()
        self.source.fail("this is not YAML", last)

    def _refuse_characters(self) -> NoReturn:
        """Raises YamlError at the first one that YAML does not allow."""
        try:
            text = self._data.decode()
        except UnicodeDecodeError as error:
            line = self._data.count(b"\n", 0, error.start) + self.source.first_line
            raise YamlError(
                "bytes that are not UTF-8",
                hint="save the file in UTF-8; what is no text is encrypted whole: --input-type binary",
                file=self.source.file,
                line=line,
            ) from None
        found = yaml.reader.Reader.NON_PRINTABLE.search(text.removeprefix("\ufeff"))
        line = text.count("\n", 0, found.start() if found else 0) + self.source.first_line
        raise YamlError(
            "a control character, which YAML does not allow",
            hint="remove it, or write it as an escape in double quotes",
            file=self.source.file,
            line=line,
        )

    def __iter__(self) -> Iterator[Event]:
        """Every event, an alias replaced by the events of what it names. Raises YamlError and LimitError."""
        aliases = b"*" in self._data
        for event in self._raw():
            kind = type(event)
            if kind is AliasEvent:
                self._nodes += 1
                yield from self._expanded(cast("AliasEvent", event))
                continue
            if kind is not ScalarEvent:
                if kind is DocumentStartEvent:
                    self._start_document(cast("DocumentStartEvent", event))
                self._nest(event, event)
            else:
                self._nodes += 1
                self._left -= 1
                if self._left < 0:
                    self._exceed_values(event)
                if self._text:
                    self._refuse_escaped_slash(cast("ScalarEvent", event))
            if self._asks:
                self._refuse_question_mark(event)
            if aliases:
                self._record(event)
            yield event

    def _expanded(self, alias: AliasEvent) -> Iterator[Event]:
        for event in self._replay(alias):
            if isinstance(event, NodeEvent):
                self._aliased += 1
            if isinstance(event, ScalarEvent):
                self._nodes += 1
                self._left -= 1
                if self._left < 0:
                    self._exceed_values(alias)
                self._text_left -= len(event.value)
                if self._text_left < 0:
                    limit = self._limits.size
                    self.source.exceed("aliases make the file larger than the limit", alias.start_mark, limit=limit)
            self._nest(event, alias)
            if excessive_aliasing(self._nodes, self._aliased):
                self.source.fail("aliases expand to far more than the file holds", alias.start_mark)
            yield event
        self.replayed = self.aliased = False

    def _nest(self, event: Event, place: Event) -> None:
        if isinstance(event, CollectionStartEvent):
            self._nodes += 1
            self._left -= 1
            if self._left < 0:
                self._exceed_values(place)
            self._depth += 1
            if self._depth > self._limits.depth:
                limit = self._limits.depth
                self.source.exceed("maps and lists are nested too deeply", place.start_mark, limit=limit)
        elif isinstance(event, CollectionEndEvent):
            self._depth -= 1

    def _exceed_values(self, place: Event) -> NoReturn:
        self.source.exceed("the file holds more values than the limit", place.start_mark, limit=self._limits.values)

    def _refuse_escaped_slash(self, event: ScalarEvent) -> None:
        if event.style == '"':
            written = self._text[event.start_mark.index : event.end_mark.index]
            if "/" in _ESCAPE.findall(written):
                self.source.fail(r"the escape `\/` is not understood; write `/`", event.start_mark)

    def _refuse_question_mark(self, event: Event) -> None:
        """`[a?b]` is text to libyaml alone: go-yaml ends the text at the mark, and refuses the file."""
        if isinstance(event, CollectionStartEvent):
            self._flow += bool(event.flow_style)
        elif isinstance(event, CollectionEndEvent):
            self._flow -= self._flow > 0  # all that is in flow style is
        elif self._flow and isinstance(event, ScalarEvent) and not event.style and "?" in event.value:
            self.source.fail(
                "a question mark in brackets or braces is not understood outside quotes",
                event.start_mark,
                hint="quote the text",
            )

    def _start_document(self, event: DocumentStartEvent) -> None:
        if event.version is not None and event.version != (1, 1):
            self.source.fail("only %YAML 1.1 is understood", event.start_mark)
        self._nodes, self._aliased = 1, 0
        if not self._cross:
            self._anchors.clear()
            self._log.clear()

    def _record(self, event: Event) -> None:
        if isinstance(event, ScalarEvent | CollectionStartEvent) and event.anchor is not None:
            start = len(self._log)
            if isinstance(event, ScalarEvent):
                self._anchors[event.anchor] = (start, start + 1)
            else:
                self._anchors[event.anchor] = None
                self._open.append((event.anchor, start, self._depth))
            self._log.append(event)
        elif self._open:
            self._log.append(event)
        if self._open and isinstance(event, CollectionEndEvent) and self._open[-1][2] == self._depth + 1:
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
