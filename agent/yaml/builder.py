"""The tree of a SOPS file from the events of libyaml, for every YAML file that there is; `agent.yaml.sealed` reads the plainest without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    ScalarEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from agent.values.dataclass import replace
from agent.yaml import scalars
from agent.yaml.comments import Found, Gaps
from agent.yaml.events import Source, Stream
from agent.yaml.nodes import Comment, Entry, Key, Mapping, Scalar, Sequence, Value
from agent.yaml.scalars import Dialect, ScalarError

if TYPE_CHECKING:
    from agent.yaml.limits import Limits


class Watcher(Protocol):
    """Who sees the events that stand in the text, an alias as itself, while a file is parsed."""

    def take(self, event: Event) -> None:
        """The next event."""
        ...


def build(data: bytes, *, file: str, limits: Limits, watcher: Watcher | None = None) -> list[Mapping]:
    """As `sealed.parse`, with somebody who watches."""
    source = Source(file)
    builder = _Builder(source, Gaps(data))
    stream = Stream(data, source, limits, anchors_cross_documents=True)
    for event in stream:
        if stream.alias is not None:
            builder.take_alias(stream.alias)
            if watcher is not None:
                watcher.take(stream.alias)
        if watcher is not None and not stream.replayed:
            watcher.take(event)
        builder.take(event, replayed=stream.replayed)
    return builder.documents


class _Frame:
    """A map or list under construction."""

    __slots__ = ("after", "block", "column", "items", "key", "keyed", "line", "mapping", "merge", "seen")

    def __init__(self, event: CollectionStartEvent) -> None:
        self.mapping = isinstance(event, MappingStartEvent)
        self.block = not event.flow_style
        self.column: int = event.start_mark.column
        self.items: list[Entry | Value | Comment] = []
        self.after: list[Comment] = []
        self.keyed = False
        self.key: Key = None
        self.merge = False
        self.line = 0
        self.seen: set[str] = set()

    def finish(self) -> Mapping | Sequence:
        if self.mapping:
            return Mapping(tuple(cast("list[Entry | Comment]", self.items)))
        return Sequence(tuple(cast("list[Value | Comment]", self.items)))


class _Builder:
    def __init__(self, source: Source, gaps: Gaps) -> None:
        self.documents: list[Mapping] = []
        self._source = source
        self._gaps = gaps
        self._stack: list[_Frame] = []
        self._held: list[Found] = []
        self._root: Value | None = None

    def take(self, event: Event, *, replayed: bool) -> None:
        """The next event of the file."""
        if not replayed:
            self._comments(event)
        if isinstance(event, ScalarEvent):
            self._scalar(event, replayed=replayed)
        elif isinstance(event, CollectionStartEvent):
            self._start(event)
        elif isinstance(event, CollectionEndEvent):
            frame = self._stack.pop()
            self._put(frame.finish())
            if not frame.block and not replayed:
                self._behind_flow(event)
        elif isinstance(event, DocumentEndEvent):
            self._end_document()

    def take_alias(self, alias: AliasEvent) -> None:
        """An alias stands here; what it names comes as replayed events."""
        self._comments(alias)
        frame = self._stack[-1] if self._stack else None
        if frame is not None and frame.mapping and not frame.keyed:
            self._gaps.reach(alias.end_mark.index)
            return
        inline = self._gaps.behind(alias.end_mark.index)
        if inline is not None and frame is not None:
            frame.items.append(inline)

    # Values

    def _start(self, event: CollectionStartEvent) -> None:
        frame = self._stack[-1] if self._stack else None
        if frame is not None:
            if frame.mapping and not frame.keyed:
                self._source.fail("a map or list cannot be a key", event.start_mark)
            self._check_merge(event)
        elif isinstance(event, SequenceStartEvent):
            self._source.fail("the top level of a SOPS file is a map", event.start_mark)
        self._stack.append(_Frame(event))

    def _scalar(self, event: ScalarEvent, *, replayed: bool) -> None:
        frame = self._stack[-1] if self._stack else None
        value = self._resolve(event)
        if frame is None:
            if value is not None:
                self._source.fail("the top level of a SOPS file is a map", event.start_mark)
            self._gaps.reach(event.end_mark.index)
            return
        if frame.mapping and not frame.keyed:
            text = cast("str", event.value)
            if text in frame.seen:
                self._source.fail("this key stands twice in its map", event.start_mark, hint="remove one of the two")
            frame.seen.add(text)
            frame.keyed, frame.key, frame.line = True, value, event.start_mark.line + self._source.first_line
            frame.merge = text == "<<" and (event.implicit[0] or event.tag == "tag:yaml.org,2002:merge")
            if not replayed:
                self._gaps.reach(event.end_mark.index)
            return
        self._check_merge(event)
        if not replayed:
            block = event.style in {"|", ">"}
            start, end = event.start_mark.index, event.end_mark.index
            inline = self._gaps.header(start, end) if block else self._gaps.behind(end)
            if inline is not None:
                # Behind a key without a value it is no line comment of Go's.
                frame.items.append(inline if start != end else replace(inline, inline=False))
        self._put(value)

    def _resolve(self, event: ScalarEvent) -> Scalar:
        text, tag = cast("str", event.value), event.tag
        if tag is None or tag == "!":
            return text if event.style else scalars.plain(text, Dialect.V3)
        try:
            return scalars.tagged(tag, text, Dialect.V3)
        except ScalarError:
            self._source.fail("this value does not fit its tag", event.start_mark)

    def _check_merge(self, event: Event) -> None:
        frame = self._stack[-1]
        if frame.mapping:
            if frame.merge and isinstance(event, ScalarEvent):
                self._source.fail("`<<` takes a map or a list of maps", event.start_mark)
        elif len(self._stack) > 1 and self._stack[-2].merge and not isinstance(event, MappingStartEvent):
            self._source.fail("`<<` takes a map or a list of maps", event.start_mark)

    def _put(self, value: Value) -> None:
        if not self._stack:
            self._root = value
            return
        frame = self._stack[-1]
        if frame.mapping:
            frame.items.append(Entry(frame.key, value, frame.line))
            frame.keyed = frame.merge = False
        else:
            frame.items.append(value)
        if frame.after:
            frame.items += frame.after
            frame.after.clear()

    def _end_document(self) -> None:
        root = self._root if isinstance(self._root, Mapping) else Mapping()
        self._root = None
        held = tuple(found.comment for found in self._held)
        self._held = []
        self.documents.append(Mapping((*root.items, *held)) if held else root)

    # Comments

    def _comments(self, event: Event) -> None:
        found = self._gaps.before(event.start_mark.index)
        if isinstance(event, CollectionStartEvent | DocumentStartEvent):
            self._gaps.reach(event.end_mark.index if event.start_mark.index != event.end_mark.index else 0)
        if not found and not self._held:
            return
        if isinstance(event, DocumentStartEvent):
            # What precedes the first document belongs to it; between two, to the one that ended.
            self._held += found
        elif isinstance(event, StreamEndEvent):
            self._append_to_last(found)
        elif isinstance(event, CollectionEndEvent):
            self._close(found, event)
        elif isinstance(event, CollectionStartEvent):
            self._open(found)
        elif isinstance(event, ScalarEvent | AliasEvent) and self._stack:
            frame = self._stack[-1]
            frame.items += [each.comment for each in (*self._held, *found)]
            self._held = []
        else:
            self._held += found

    def _open(self, found: list[Found]) -> None:
        frame = self._stack[-1] if self._stack else None
        if frame is not None and not frame.mapping:
            frame.items += [held.comment for held in self._held]
            self._held = []
        for each in found:
            if frame is None:
                self._held.append(each)
            elif frame.mapping:
                # Behind `key:` it goes before the key; on lines of its own it heads what follows.
                if each.alone:
                    self._held.append(each)
                else:
                    frame.items.append(each.comment)
            elif each.before_dash:
                frame.items.append(each.comment)
            else:
                self._held.append(each)

    def _close(self, found: list[Found], event: Event) -> None:
        frame = self._stack[-1]
        comments = [*self._held, *found]
        self._held = []
        if not frame.block:
            frame.items += [each.comment for each in comments]
            return
        column, dashed = event.start_mark.column, self._gaps.dash_at(event.start_mark.index)
        homes = self._homes(dashed=dashed)
        for each in comments:
            # As deep as it is indented, but never outside what goes on behind it.
            reach = max(each.column, column)
            home = next((home for home in reversed(homes) if home.column <= reach), homes[0])
            at = self._stack.index(home)
            goes_on = dashed and home.column == column
            while not goes_on and not self._stack[at].mapping and self._stack[at] is not frame:
                # A list's last comment belongs to its last item: sops writes it there, or it would come out further down.
                at += 1
            home = self._stack[at]
            (home.items if home is frame else home.after).append(each.comment)

    def _homes(self, *, dashed: bool) -> list[_Frame]:
        """The open block maps and lists; a list that is not indented ends where no `-` follows."""
        blocks = [each for each in self._stack if each.block]
        return [
            each
            for number, each in enumerate(blocks)
            if each.mapping or dashed or not number or each.column > blocks[number - 1].column
        ]

    def _behind_flow(self, event: CollectionEndEvent) -> None:
        found = self._gaps.behind(event.end_mark.index)
        if found is None:
            return
        comment = replace(found, inline=False)
        if not self._stack:
            self._root = Mapping((comment, *cast("Mapping", self._root).items))
            return
        frame = self._stack[-1]
        if not frame.mapping:
            frame.items.insert(-1, found)
            return
        entry = cast("Entry", frame.items[-1])
        value = cast("Mapping | Sequence", entry.value)
        inside = type(value)((comment, *value.items))  # pyright: ignore[reportArgumentType]
        frame.items[-1] = Entry(entry.key, inside, entry.line)

    def _append_to_last(self, found: list[Found]) -> None:
        if self.documents and found:
            last = self.documents[-1]
            self.documents[-1] = Mapping((*last.items, *(each.comment for each in found)))
