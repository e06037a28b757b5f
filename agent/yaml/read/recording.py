"""The spans of a YAML file's nodes, from the marks of libyaml's events."""

from __future__ import annotations

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

from agent.yaml.read.spans import DocumentSpan, Kind, Lines, Node, block_end, properties_end

if TYPE_CHECKING:
    from yaml.events import Event


class Recorder:
    """Watches how the tree of `text` is built (`builder.build`).

    `step`, `dash` and `body` are how far the first nested map, list in a map and block scalar are indented; 0, and -1 for `dash`, where
    there is none. The map that sops adds to each document has a layout of its own: it counts where there is no other.
    """

    def __init__(self, text: str, lines: Lines) -> None:
        self.documents: list[DocumentSpan] = []
        self.scalars: list[Node] = []
        self._step = self._added = 0
        self.dash = -1
        self.body = 0
        self._text = text
        self._lines = lines
        self._open: list[Node] = []

    @property
    def step(self) -> int:
        return self._step or self._added

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
                node.end = block_end(self._text, self._lines, node.content, end)
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
            if mapping and self._is_added():
                self._added = self._added or indent
            elif mapping:
                self._step = self._step or indent
            elif self.dash < 0:
                self.dash = indent
        self._put(node)
        self._open.append(node)

    def _is_added(self) -> bool:
        """Whether a map that begins is the document's entry `sops`; it may also be a key itself."""
        children = self._open[-1].children
        if len(self._open) > 1 or len(children) % 2 == 0:
            return False
        return self._text[children[-1].content : children[-1].end].strip("'\"") == "sops"

    def _finish(self, node: Node, end: int) -> None:
        if not node.flow or (node.kind is Kind.MAPPING and not self._text.startswith("{", node.content)):
            end = node.children[-1].end if node.children else node.content
        node.end = end
