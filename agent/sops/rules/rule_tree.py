"""`.sops.yaml` by libyaml's events, for the files that are not read line by line: with anchors, `<<`, flow style or folded text."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from yaml.events import (
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentEndEvent,
    MappingStartEvent,
    ScalarEvent,
)

from agent.sops.rules.written import Written
from agent.values.dataclass import dataclass
from agent.yaml import scalars
from agent.yaml.limits import Limits
from agent.yaml.read.events import Source, Stream
from agent.yaml.scalars import Dialect, ScalarError

if TYPE_CHECKING:
    from agent.sops.rules.written import Node

_MERGE_TAG = "tag:yaml.org,2002:merge"


def first_document(data: bytes, *, file: str) -> Node | None:
    """What the first document holds; None of a file without one. Raises YamlError, LimitError."""
    return _first_document(Stream(data, Source(file), Limits(), anchors_cross_documents=True))


@dataclass(slots=True)
class _Frame:
    """A map or list under construction; `merges` are the maps that `<<` brings in."""

    node: dict[str, Node] | list[Node]
    merges: list[dict[str, Node]]
    key: str | None = None
    merging: bool = False

    def finish(self) -> Node:
        """What stands in the map wins over what is merged, and an earlier merged map over a later one."""
        if isinstance(self.node, dict):
            for merged in self.merges:
                self.node = merged | self.node
        return self.node


def _first_document(stream: Stream) -> Node | None:
    stack: list[_Frame] = []
    root: Node | None = None
    for event in stream:
        frame = stack[-1] if stack else None
        if isinstance(event, DocumentEndEvent):
            break
        if isinstance(event, CollectionStartEvent):
            if frame is not None and isinstance(frame.node, dict) and frame.key is None:
                stream.source.fail("a map or list cannot be a key", event.start_mark)
            stack.append(_Frame({} if isinstance(event, MappingStartEvent) else [], []))
        elif isinstance(event, ScalarEvent):
            root = _take(frame, event, stream.source) or root
        elif isinstance(event, CollectionEndEvent):
            done = stack.pop().finish()
            if stack:
                _put(stack[-1], done, stream.source)
            else:
                root = done
    return root


def _take(frame: _Frame | None, event: ScalarEvent, source: Source) -> Written | None:
    """A scalar to its place; given back where it is the whole document."""
    scalar = _scalar(event, source)
    if frame is None:
        return scalar
    if isinstance(frame.node, dict) and frame.key is None:
        _key(frame, scalar, event, source)
    else:
        _put(frame, scalar, source)
    return None


def _scalar(event: ScalarEvent, source: Source) -> Written:
    text, tag, line = cast("str", event.value), event.tag, event.start_mark.line + 1
    if tag is None or tag == "!":
        return Written(text if event.style else scalars.plain(text, Dialect.V3), text, line)
    try:
        value = scalars.tagged(tag, text, Dialect.V3)
    except ScalarError:
        source.fail("this value does not fit its tag", event.start_mark)
    return Written(value, value if isinstance(value, str) else text, line)


def _key(frame: _Frame, key: Written, event: ScalarEvent, source: Source) -> None:
    assert isinstance(frame.node, dict)
    frame.merging = key.text == "<<" and (event.implicit[0] or event.tag == _MERGE_TAG)
    if key.text in frame.node:
        source.fail("this key appears twice in its map", event.start_mark, hint="remove one of the two")
    frame.key = key.text


def _put(frame: _Frame, node: Node, source: Source) -> None:
    if isinstance(frame.node, list):
        frame.node.append(node)
    elif frame.merging:
        maps = node if isinstance(node, list) else [node]
        if not all(isinstance(each, dict) for each in maps):
            source.fail("`<<` takes a map or a list of maps", None)
        frame.merges += [each for each in maps if isinstance(each, dict)]
    else:
        assert frame.key is not None
        frame.node[frame.key] = node
    frame.key = None
    frame.merging = False
