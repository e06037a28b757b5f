"""The tree of a SOPS file from the events of libyaml, for every YAML file that there is; `lines` reads the plainest without."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, LiteralString, Protocol, cast

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
    StreamStartEvent,
)

from agent.values.dataclass import replace
from agent.yaml import guises, scalars
from agent.yaml.nodes import Comment, Entry, Key, Mapping, Scalar, Sequence, Value
from agent.yaml.read.comments import VALUE, Gaps, unplaced
from agent.yaml.read.events import Source, Stream
from agent.yaml.read.lines import CIPHERTEXT_BLOCK
from agent.yaml.read.pending import Pending
from agent.yaml.read.spans import properties_end
from agent.yaml.scalars import Dialect, ScalarError

if TYPE_CHECKING:
    from agent.yaml.limits import Limits
    from agent.yaml.read.comments import Run


_WHOLE: LiteralString = "write `key: value` with a space, or encrypt the file whole: --input-type binary"


class Watcher(Protocol):
    """Who sees the events that stand in the text, an alias as itself, while a file is parsed."""

    def take(self, event: Event) -> None:
        """The next event."""
        ...


@guises.seen_through
def build(
    data: bytes, *, file: str, limits: Limits, watcher: Watcher | None = None, in_place: bool = False
) -> list[Mapping]:
    """As `yaml.parse`, with an observer.

    `in_place`: of a text that stays as it is. Comments below `---` and behind a dash without a value are those of what follows and of
    that item, though sops has them in the document before and behind the list; below the last entry of a map at the end of the file they
    stand as they will before the entry `sops`.
    """
    source = Source(file)
    builder = _Builder(source, Gaps(data), in_place=in_place)
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
    """A map or list under construction.

    `head` is what stands above it, `after` what goes behind its next entry. `copy` is what the alias names that it is read of again.
    """

    __slots__ = (
        "after", "anchor", "block", "column", "copy", "head", "items", "key", "keyed", "line", "mapping", "merge", "seen"
    )  # fmt: skip

    def __init__(self, event: CollectionStartEvent, column: int) -> None:
        self.mapping = isinstance(event, MappingStartEvent)
        self.block = not event.flow_style
        self.column = column
        self.anchor: str | None = event.anchor
        self.copy: Mapping | Sequence | None = None
        self.head: list[Comment] = []
        self.items: list[Entry | Value | Comment] = []
        self.after: list[Comment] = []
        self.keyed = False
        self.key: Key = None
        self.merge = False
        self.line = 0
        self.seen: set[str] = set()

    def finish(self, above: list[Comment]) -> Mapping | Sequence:
        items = [*above, *self.items] if above else self.items
        if self.mapping:
            return Mapping(tuple(cast("list[Entry | Comment]", items)))
        return Sequence(tuple(cast("list[Value | Comment]", items)))


class _Builder:
    def __init__(self, source: Source, gaps: Gaps, *, in_place: bool) -> None:
        self.documents: list[Mapping] = []
        self._source = source
        self._gaps = gaps
        self._in_place = in_place
        self._pending = Pending()
        self._last: Event | None = None
        self._above = ""
        self._parted = True
        self._stack: list[_Frame] = []
        self._root: Value | None = None
        self._anchors: dict[str, _Frame | Mapping | Sequence] = {}
        self._copy: Mapping | Sequence | None = None

    def take(self, event: Event, *, replayed: bool) -> None:
        """The next event of the file."""
        if not replayed and self._gaps.text:
            if self._pending or self._gaps.commented(event.end_mark.index):
                self._gap(event)
            self._last = event
        if isinstance(event, ScalarEvent):
            self._scalar(event, replayed=replayed)
        elif isinstance(event, CollectionStartEvent):
            self._start(event, replayed=replayed)
        elif isinstance(event, CollectionEndEvent):
            self._end(event, replayed=replayed)
        elif isinstance(event, DocumentEndEvent):
            self._end_document(event)
        elif isinstance(event, StreamEndEvent):
            self._append_to_last(self._pending.take().all)

    def take_alias(self, alias: AliasEvent) -> None:
        """An alias stands here; what it names comes as replayed events."""
        if not self._gaps.text:
            return
        named = self._anchors.get(cast("str", alias.anchor))
        self._copy = None if isinstance(named, _Frame | None) else unplaced(named)
        if self._pending or self._gaps.commented(alias.end_mark.index):
            self._gap(alias)
        self._last = alias
        frame = self._stack[-1] if self._stack else None
        if frame is None:
            return
        if frame.mapping and not frame.keyed:
            self._above_key(frame)
        else:
            frame.after += self._above_value(frame)
            inline = self._gaps.behind(alias.end_mark.index)
            if inline is not None:
                frame.items.append(inline)

    # Values

    def _start(self, event: CollectionStartEvent, *, replayed: bool) -> None:
        frame = self._stack[-1] if self._stack else None
        if frame is not None:
            if frame.mapping and not frame.keyed:
                self._source.fail("a map or list cannot be a key", event.start_mark)
            self._check_merge(event)
        elif isinstance(event, SequenceStartEvent):
            self._source.fail("the top level of a SOPS file is a map, and not a list", event.start_mark, hint=_WHOLE)
        begun = _Frame(event, event.start_mark.column)
        if not begun.block:
            begun.column = frame.column if frame is not None else 0
        if replayed:
            begun.copy, self._copy = self._copy, None
        elif self._gaps.text:
            self._above_collection(frame, begun, event)
            if begun.anchor is not None:
                self._anchors[begun.anchor] = begun
        self._stack.append(begun)

    def _end(self, event: CollectionEndEvent, *, replayed: bool) -> None:
        frame = self._stack.pop()
        around = self._stack[-1] if self._stack else None
        if replayed or not self._gaps.text:
            self._put(frame.copy if frame.copy is not None else frame.finish([]))
            return
        line: list[Comment] = []
        below: list[Comment] = []
        frame.items += frame.after
        if frame.block:
            if frame.mapping:
                frame.items += self._pending.take().all
        else:
            held = self._pending.take()
            behind = self._gaps.behind(event.end_mark.index)
            line = [*held.line, behind] if behind is not None else held.line
            below = [*held.head, *held.foot]
        if around is not None and not around.mapping:
            around.items += (replace(each, inline=True) for each in line)
            line = []
        value = frame.finish([*frame.head, *(replace(each, inline=False) for each in line)])
        if frame.anchor is not None and self._anchors.get(frame.anchor) is frame:
            self._anchors[frame.anchor] = value
        self._put(value, below)

    def _scalar(self, event: ScalarEvent, *, replayed: bool) -> None:
        frame = self._stack[-1] if self._stack else None
        value = self._resolve(event)
        if frame is None:
            if value is not None:
                self._source.fail(
                    "the top level of a SOPS file is a map, and not a text", event.start_mark, hint=_WHOLE
                )
            return
        placed = not replayed and bool(self._gaps.text)
        if placed and event.anchor is not None:
            _ = self._anchors.pop(event.anchor, None)
        if frame.mapping and not frame.keyed:
            text = cast("str", event.value)
            if text in frame.seen:
                self._source.fail("this key appears twice in its map", event.start_mark, hint="remove one of the two")
            frame.seen.add(text)
            if placed:
                self._above_key(frame)
            frame.keyed, frame.key, frame.line = True, value, event.start_mark.line + self._source.first_line
            frame.merge = text == "<<" and (event.implicit[0] or event.tag == "tag:yaml.org,2002:merge")
            return
        self._check_merge(event)
        self._put(value, self._around_scalar(frame, event) if placed else None)

    def _resolve(self, event: ScalarEvent) -> Scalar:
        text, tag = cast("str", event.value), event.tag
        if event.style in {"|", ">"} and text[:4] == "ENC[" and re.fullmatch(CIPHERTEXT_BLOCK, text):
            text = text.rstrip("\n")
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

    def _put(self, value: Value, below: list[Comment] | None = None) -> None:
        if not self._stack:
            self._root = value
            self._pending.below_document(below or [])
            return
        frame = self._stack[-1]
        if frame.mapping:
            frame.items.append(Entry(frame.key, value, frame.line))
            frame.keyed = frame.merge = False
        else:
            frame.items.append(value)
            frame.items += frame.after
            frame.after.clear()
        if below:
            frame.items += below

    def _end_document(self, event: DocumentEndEvent) -> None:
        root = self._root if isinstance(self._root, Mapping) else Mapping()
        self._root = None
        self._parted = bool(event.explicit)
        below = self._pending.take().all
        self.documents.append(Mapping((*root.items, *below)) if below else root)

    # Comments

    def _gap(self, event: Event) -> None:
        """What lies between the event before and this one."""
        gaps, pending = self._gaps, self._pending
        frame = self._stack[-1] if self._stack else None
        self._above = self._left()
        if not pending:
            # Below a list's last item it would go into the list.
            gaps.followed = self._in_place and frame is not None and frame.mapping
        pending.gap()
        indent, flow = (frame.column, not frame.block) if frame is not None else (0, False)
        for piece in gaps.before(self._content(event), self._above, indent, flow=flow):
            if not isinstance(piece, str):
                pending.see(piece)
                if piece.above:
                    self._below_last(piece)
            elif piece == "-":
                pending.dash()
        if not isinstance(event, CollectionEndEvent) or frame is None or not frame.block:
            pending.reach()
        elif frame.mapping or frame.column > self._stack[-2].column:
            # A list that is no deeper than its key has no end of its own.
            pending.end(frame.column, gaps.column(event.start_mark.index))

    def _left(self) -> str:
        """What stands above the gap, which begins behind the event before."""
        event = self._last
        if event is None or (isinstance(event, CollectionStartEvent | StreamStartEvent) and not _flows(event)):
            return ""
        start, end = event.start_mark.index, event.end_mark.index
        self._gaps.reach(end)
        if isinstance(event, DocumentEndEvent):
            return ""
        if isinstance(event, DocumentStartEvent):
            # What is below a `---` at the very start is the head of what follows.
            return "---" if event.explicit and end > len("---") and not self._in_place else ""
        if isinstance(event, ScalarEvent) and start == end:
            return self._gaps.text[start - 1 : start]
        return VALUE

    def _content(self, event: Event) -> int:
        """Where an event begins, or what is behind its tag and anchor does."""
        start: int = event.start_mark.index
        if isinstance(event, ScalarEvent | CollectionStartEvent) and _has_properties(event):
            return properties_end(self._gaps.text, start, event.end_mark.index)
        return start

    def _below_last(self, run: Run) -> None:
        """What is below the event before, or behind its colon or comma."""
        frame = self._stack[-1] if self._stack else None
        if frame is None:
            if self._above == "---" and not self._parted:
                # sops gives what touches a `---` to the document before it.
                self._append_to_last(run.comments)
            else:
                self._pending.below_document(run.comments)
        elif run.line and not frame.block and frame.items and not frame.keyed:
            frame.items[-1:-1] = [replace(each, inline=True) for each in run.comments]
        else:
            frame.items += run.comments

    def _above_key(self, frame: _Frame) -> None:
        if frame.after:
            frame.items += frame.after
            frame.after.clear()
        held = self._pending.take()
        if not held:
            return
        if frame.block and len(frame.seen) > 1:
            frame.items += held.foot
        else:
            frame.after += held.foot
        frame.items += held.head
        frame.items += held.line

    def _above_value(self, frame: _Frame) -> list[Comment]:
        held = self._pending.take()
        if held:
            frame.items += held.head
            frame.items += (replace(each, inline=True) for each in held.line)
        return held.foot

    def _around_scalar(self, frame: _Frame, event: ScalarEvent) -> list[Comment]:
        """Puts what is above a value and behind it, and gives what is below."""
        start, end = event.start_mark.index, event.end_mark.index
        if start == end:
            # Behind a key without a value it is no line comment of Go's, and what is behind a dash is the next one's.
            unowned = self._gaps.text[start - 1 : start] == "-" and not self._in_place
            inline = None if unowned else self._gaps.behind(end)
            if inline is not None:
                frame.items.append(replace(inline, inline=False))
            return []
        below = self._above_value(frame)
        inline = self._gaps.header(start, end) if event.style in {"|", ">"} else self._gaps.behind(end)
        if inline is not None:
            frame.items.append(inline)
        return below

    def _above_collection(self, around: _Frame | None, begun: _Frame, event: CollectionStartEvent) -> None:
        inside: list[Comment] = []
        if begun.block:
            # What a tag or an anchor parts from it belongs to its first entry or item.
            head = [] if _has_properties(event) else self._pending.take_above_dash()
        else:
            held = self._pending.take()
            head, inside = held.head, [*held.line, *held.foot]
            behind = self._gaps.behind(event.end_mark.index)
            if behind is not None:
                inside.insert(len(held.line), replace(behind, inline=False))
        if around is not None and not around.mapping:
            around.items += head
        else:
            begun.head = head
        begun.items += inside
        if begun.block and _has_properties(event):
            begun.column = self._gaps.column(self._content(event))

    def _append_to_last(self, comments: list[Comment]) -> None:
        if self.documents and comments:
            last = self.documents[-1]
            self.documents[-1] = Mapping((*last.items, *comments))


def _has_properties(event: ScalarEvent | CollectionStartEvent) -> bool:
    return event.anchor is not None or event.tag is not None


def _flows(event: Event) -> bool:
    return isinstance(event, CollectionStartEvent) and bool(event.flow_style)
