"""Manifests as kubectl reads them: documents split as apimachinery's YAMLReader does, each one go-yaml v2 behind sigs.k8s.io/yaml.

JSON is read by the same function, several objects one behind the other too. Numbers come out as the API server would see them after that
conversion: `1.0` and `1e3` are integers, as encoding/json prints them without a fraction.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NoReturn, TypeAlias, cast

from yaml.events import (
    CollectionEndEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    ScalarEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from agent.values.dataclass import dataclass
from agent.values.errors import YamlError
from agent.values.text import SPACE
from agent.yaml import guises, numbers, scalars
from agent.yaml.limits import Limits, check_text, long_key, long_path
from agent.yaml.read import json_stream
from agent.yaml.read.events import Source, Stream
from agent.yaml.scalars import Dialect, ScalarError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.values.tree import Tree

_SURROGATE = re.compile("[\ud800-\udfff]")
_JSON = re.compile(rb"(?:\xef\xbb\xbf)?\s*+\{")


@dataclass(frozen=True, slots=True)
class ManifestDocument:
    """One document that is not null: its tree, the line (1-based) at which its content begins, its place in the file (0-based)."""

    tree: Tree
    line: int
    index: int


@guises.seen_through
def parse(data: bytes, *, file: str, limits: Limits | None = None, strict: bool = True) -> list[ManifestDocument]:
    """The documents of a file. `strict` refuses duplicate keys; else the last one stands, as in kubectl.

    Raises YamlError with file, line and column, and LimitError.
    """
    limits = limits or Limits()
    check_text(data, file=file, limits=limits)
    found = (
        each
        for chunk, first_line in _split(data, file)
        for each in _objects(chunk, Source(file, first_line), limits, strict=strict)
    )
    return [ManifestDocument(tree, line, index) for index, (tree, line) in enumerate(found) if tree is not None]


def _objects(chunk: bytes, source: Source, limits: Limits, *, strict: bool) -> Iterator[tuple[Tree, int]]:
    """What stands between two `---`: JSON objects, then one document of YAML."""
    if _JSON.match(chunk) is None:
        yield _document(chunk, source, limits, strict=strict, alone=True)
        return
    stream = json_stream.read(chunk.decode("utf-8-sig", "surrogateescape"), limits, strict=strict)
    for each in stream.objects:
        yield each.tree, source.first_line + each.line
    if stream.rest.startswith((",", "]", "}")):
        raise YamlError(
            "a comma or bracket stands behind this JSON object",
            hint="objects follow one another without one, or are the items of a List",
            file=source.file,
            line=source.first_line + stream.line,
            column=stream.column + 1,
        )
    if stream.rest:
        rest = Source(source.file, source.first_line + stream.line)
        yield _document(stream.rest.encode("utf-8", "surrogateescape"), rest, limits, strict=strict, alone=True)


def _split(data: bytes, file: str) -> Iterator[tuple[bytes, int]]:
    buffer: list[bytes] = []
    first_line = 1
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    for number, raw in enumerate(lines, start=1):
        line = raw.removesuffix(b"\r")
        if line.startswith(b"---"):
            rest = line[3:].decode("utf-8", "replace").strip(SPACE)
            if rest and not rest.startswith("#"):
                raise YamlError(
                    "a document cannot begin on its `---` line",
                    file=file,
                    line=number,
                    hint="put `---` on a line of its own",
                )
            if buffer:
                yield b"\n".join([*buffer, b""]), first_line
                buffer, first_line = [], number + 1
                continue
        buffer.append(line)
    if buffer:
        yield b"\n".join([*buffer, b""]), first_line


_Typed: TypeAlias = "str | tuple[str, int | float | bool | None]"
_MERGE: _Typed = ("merge", None)


class _Map:
    """A map under construction. Keys that are not strings are distinguished by type until it is complete, as in Go.

    `length` has the characters of the key that it stands under, `key_length` those of its own key that waits for a value.
    """

    __slots__ = ("explicit", "key", "key_length", "length", "typed", "values")

    def __init__(self) -> None:
        self.length = 0
        self.key_length = 0
        self.values: dict[_Typed, Tree] = {}
        self.key: _Typed | None = None
        self.explicit: set[_Typed] = set()
        self.typed = False


class _List:
    """A list under construction; `merge` where it is the value of `<<` and takes maps only."""

    __slots__ = ("length", "merge", "values")

    def __init__(self, *, merge: bool) -> None:
        self.length = 0
        self.values: list[Tree] = []
        self.merge = merge


def _document(text: bytes, source: Source, limits: Limits, *, strict: bool, alone: bool = False) -> tuple[Tree, int]:
    """The first document of a text and its line; `alone`: anything behind a map or list is refused."""
    builder = _Builder(source, limits, strict=strict)
    stream = Stream(text, source, limits)
    take = builder.take
    events = iter(stream)
    started = False
    for event in events:
        kind = type(event)
        if kind is DocumentStartEvent:
            started = True
        elif kind is DocumentEndEvent:
            if alone and isinstance(builder.result, dict | list):
                _refuse_more(events, source, event)
            break
        elif started:
            take(event, aliased=stream.aliased)
    return builder.result, builder.line


def _refuse_more(events: Iterator[Event], source: Source, end: Event) -> None:
    """Go reads the first document only and passes over the rest, which then would be missed without a word."""
    try:
        more = next(events)
    except YamlError:
        more = end
    if not isinstance(more, StreamEndEvent):
        source.fail(
            "there is more text after the end of this document",
            more.start_mark,
            hint="begin each document with `---` on a line of its own",
        )


class _Builder:
    def __init__(self, source: Source, limits: Limits, *, strict: bool) -> None:
        self.result: Tree = None
        self.line = source.first_line
        self._source = source
        self._strict = strict
        self._limits = limits
        self._above = 0
        self._stack: list[_Map | _List] = []
        self._top: _Map | _List | None = None
        self._begun = False

    def take(self, event: Event, *, aliased: bool) -> None:
        """The next event of the document."""
        if not self._begun:
            self._begun = True
            self.line = event.start_mark.line + self._source.first_line
        if isinstance(event, ScalarEvent):
            self._scalar(event)
        elif isinstance(event, CollectionEndEvent):
            frame = self._stack.pop()
            self._above -= frame.length
            self._top = self._stack[-1] if self._stack else None
            self._put(frame.values if isinstance(frame, _List) else self._finish(frame, event))
        elif isinstance(event, MappingStartEvent | SequenceStartEvent):
            self._start(event, aliased=aliased)

    def _start(self, event: MappingStartEvent | SequenceStartEvent, *, aliased: bool) -> None:
        top = self._top
        merge = False
        if isinstance(top, _Map):
            if top.key is None:
                self._source.fail("a map or list cannot be a key", event.start_mark)
            merge = top.key is _MERGE
        if isinstance(event, MappingStartEvent):
            self._top = _Map()
        else:
            if (merge and aliased) or (isinstance(top, _List) and top.merge):
                self._fail_merge(event)
            self._top = _List(merge=merge)
        if isinstance(top, _Map):
            self._top.length = top.key_length
            self._above += top.key_length
        self._stack.append(self._top)

    def _fail_merge(self, event: Event) -> NoReturn:
        self._source.fail("`<<` takes a map or a list of maps", event.start_mark)

    def _scalar(self, event: ScalarEvent) -> None:
        top = self._top
        if isinstance(top, _Map):
            if top.key is None:
                top.key = self._key(event, top)
                return
            if top.key is _MERGE:
                self._fail_merge(event)
        elif top is not None and top.merge:
            self._fail_merge(event)
        value = self._resolve(event)
        if isinstance(value, float):
            if not numbers.is_finite(value):
                self._source.fail("infinity and NaN cannot be written in JSON; quote the value", event.start_mark)
            if value.is_integer() and numbers.INT64_MIN <= value <= numbers.INT64_MAX:
                value = int(value)
        self._put(value)

    def _resolve(self, event: ScalarEvent) -> str | int | float | bool | None:
        text: str = event.value
        if event.tag is None:
            return scalars.plain_v2(text) if event.implicit[0] else text
        try:
            value = scalars.tagged(event.tag, text, Dialect.V2)
        except ScalarError:
            self._source.fail("this value does not fit its tag", event.start_mark)
        # Bytes of !!binary that are no text become what encoding/json makes of them.
        return _SURROGATE.sub("\ufffd", value) if isinstance(value, str) else cast("float | None", value)

    def _key(self, event: ScalarEvent, frame: _Map) -> _Typed:
        frame.key_length = len(event.value)
        if frame.key_length > self._limits.key or self._above + frame.key_length > self._limits.path:
            self._refuse_long(event, frame.key_length)
        if event.value == "<<" and (event.implicit[0] or event.tag == "tag:yaml.org,2002:merge"):
            return _MERGE
        value = self._resolve(event)
        typed: _Typed
        if isinstance(value, str):
            typed = value
        elif value is None or (isinstance(value, int) and value > numbers.INT64_MAX):
            self._source.fail("this key cannot be written as text; quote it", event.start_mark)
        else:
            frame.typed = True
            typed = (type(value).__name__, value)
        if self._strict:
            if typed in frame.explicit:
                self._source.fail("this key appears twice in its map", event.start_mark, hint="remove one of the two")
            frame.explicit.add(typed)
        return typed

    def _refuse_long(self, event: ScalarEvent, length: int) -> NoReturn:
        file, line = self._source.file, event.start_mark.line + self._source.first_line
        if length > self._limits.key:
            raise long_key(file=file, line=line, limit=self._limits.key)
        raise long_path(file=file, line=line, limit=self._limits.path)

    def _put(self, value: Tree) -> None:
        frame = self._top
        if frame is None:
            self.result = value
            return
        if isinstance(frame, _List):
            frame.values.append(value)
            return
        key, frame.key = frame.key, None
        if key is _MERGE:
            # Earlier maps of a list win over later ones; a merge wins over keys before it and loses to keys after it.
            for part in reversed(value) if isinstance(value, list) else [value]:
                frame.values.update(cast("dict[_Typed, Tree]", part))
        elif key is not None:
            frame.values[key] = value

    def _finish(self, frame: _Map, event: Event) -> Tree:
        if not frame.typed:
            return cast("Tree", frame.values)
        values: dict[str, Tree] = {}
        for typed, value in frame.values.items():
            key = typed if isinstance(typed, str) else _key_text(typed[1])
            if self._strict and key in values:
                self._source.fail(
                    "two keys of this map are the same text", event.start_mark, hint="remove one of the two"
                )
            values[key] = value
        return values


def _key_text(value: float | bool | None) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return numbers.float32_text(value) if isinstance(value, float) else str(value)
