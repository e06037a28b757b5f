"""A JSON file as its author wrote it, read so that changes can be spliced in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent.yaml.edit.originals import Text, enough, spread, tight
from agent.yaml.limits import Limits
from agent.yaml.read import json
from agent.yaml.read.spans import DocumentSpan, Kind, Node
from agent.yaml.write import json as json_text
from agent.yaml.write.fragments import Layout

if TYPE_CHECKING:
    from collections.abc import Sequence as List

    from agent.yaml.nodes import Mapping

_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[\]{},:]|[^\s\[\]{},:"]+', re.DOTALL)


class JsonOriginal:
    """A JSON file, read by `json.documents`."""

    flow = True

    def __init__(self, data: bytes, *, file: str, limits: Limits | None = None) -> None:
        """Raises YamlError and LimitError."""
        self.file = file
        self.text = Text(data)
        self._limits = limits or Limits()
        self.documents = json.documents(data, file=file, limits=self._limits)
        self.scalars: list[Node] = []
        self.spans = [_json_spans(self.text.text)]

    def parse(self, data: bytes) -> list[Mapping]:
        """Read a changed file."""
        return json.documents(data, file=self.file, limits=enough(self._limits, data))

    def emit(self, documents: List[Mapping], indent: int) -> bytes:
        """As sops writes it; `indent` 0 is a tab."""
        return json_text.emit(documents[0], indent=" " * indent or "\t")

    def layout(self, indent: int) -> Layout:
        """From the top of the file."""
        around = spread(self.spans, self.text)
        return Layout(indent, indent, self.text.newline, quoted=True, spread=around, tight=tight(self.spans))


def _json_spans(text: str) -> DocumentSpan:
    """The nodes of a JSON text that has been parsed, so that it is known to be well formed."""
    span = DocumentSpan(0, explicit=False)
    span.end = len(text)
    opened: list[Node] = []
    for match in _TOKENS.finditer(text):
        token = match.group()
        if token in ",:":
            continue
        if token in "]}":
            opened.pop().end = match.end()
            continue
        kind = Kind.MAPPING if token == "{" else Kind.SEQUENCE if token == "[" else Kind.SCALAR
        node = Node(kind, match.start(), match.end())
        node.flow = kind is not Kind.SCALAR
        node.quote = '"' if token[0] == '"' else ""
        if opened:
            opened[-1].children.append(node)
        else:
            span.root = node
        if node.flow:
            opened.append(node)
    return span
