"""Files as somebody wrote them, read so that changes can be spliced in: YAML and JSON."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

from agent.values.dataclass import replace
from agent.yaml import builder, emit, json, sealed
from agent.yaml.fragments import Layout
from agent.yaml.limits import Limits
from agent.yaml.spans import BREAKS, DocumentSpan, Kind, Lines, Node, Recorder

if TYPE_CHECKING:
    from collections.abc import Sequence as List

    from agent.yaml.nodes import Mapping

_BREAK = re.compile(f"\r\n|[{BREAKS}]")
_BOM = "\ufeff"
_JSON_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[\]{},:]|[^\s\[\]{},:"]+', re.DOTALL)


class Text:
    """The characters of a file: without a byte order mark, and with a break at the end of the last line."""

    def __init__(self, data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        self.data = data
        self.readable = "\ufffd" not in text or text.encode() == data
        self.bom = text.startswith(_BOM)
        self.text = text.removeprefix(_BOM)
        first = _BREAK.search(self.text)
        self.newline = first.group() if first and first.group() in {"\n", "\r\n", "\r"} else "\n"
        self.complete = self.text == "" or self.text[-1] in BREAKS
        if not self.complete:
            self.text += self.newline
        self.lines = Lines(self.text)

    def encode(self, text: str, *, complete: bool) -> bytes:
        """A changed text as a file, its last line as complete as it was, or completed."""
        if not self.complete and not complete:
            text = text.removesuffix(self.newline)
        return ((_BOM if self.bom else "") + text).encode("utf-8", "surrogateescape")


class Original(Protocol):
    """A file that was read: its text, its trees, and the spans of their nodes."""

    file: str
    text: Text
    documents: list[Mapping]
    spans: list[DocumentSpan]
    scalars: list[Node]
    flow: bool
    """Whether a document itself can only be written in flow style."""

    def parse(self, data: bytes) -> list[Mapping]:
        """Read a changed file in the same way, however large it has become. Raises YamlError and LimitError."""
        ...

    def emit(self, documents: List[Mapping], indent: int) -> bytes:
        """The documents as sops writes them."""
        ...

    def layout(self, indent: int) -> Layout:
        """The file's habits; `indent` where it shows none."""
        ...


class YamlOriginal:
    """A YAML file, read by `sealed.parse`."""

    flow = False

    def __init__(self, data: bytes, *, file: str, limits: Limits | None = None) -> None:
        """Raises YamlError and LimitError."""
        self.file = file
        self.text = Text(data)
        self._limits = limits or Limits()
        self._recorder = Recorder(self.text.text, self.text.lines)
        self.documents = builder.build(data, file=file, limits=self._limits, watcher=self._recorder)
        self.spans = self._recorder.documents
        self.scalars = self._recorder.scalars

    def parse(self, data: bytes) -> list[Mapping]:
        """Read a changed file."""
        return sealed.parse(data, file=self.file, limits=_enough(self._limits, data))

    def emit(self, documents: List[Mapping], indent: int) -> bytes:
        """As sops writes it."""
        return emit.emit(documents, indent=indent)

    def layout(self, indent: int) -> Layout:
        """From the first nested map, the first list in a map and the top of a JSON-like file."""
        step = self._recorder.step or self._recorder.body or indent
        dash = self._recorder.dash if self._recorder.dash >= 0 else step
        quoted = any(_like_json(span, self.text.text) for span in self.spans)
        spread = _spread(self.spans, self.text) if quoted else None
        return Layout(step, dash, self.text.newline, quoted, spread, quoted and _tight(self.spans))


class JsonOriginal:
    """A JSON file, read by `json.parse`."""

    flow = True

    def __init__(self, data: bytes, *, file: str, limits: Limits | None = None) -> None:
        """Raises YamlError and LimitError."""
        self.file = file
        self.text = Text(data)
        self._limits = limits or Limits()
        self.documents = [json.parse(data, file=file, limits=limits)]
        self.scalars: list[Node] = []
        self.spans = [_json_spans(self.text.text)]

    def parse(self, data: bytes) -> list[Mapping]:
        """Read a changed file."""
        return [json.parse(data, file=self.file, limits=_enough(self._limits, data))]

    def emit(self, documents: List[Mapping], indent: int) -> bytes:
        """As sops writes it; `indent` 0 is a tab."""
        return json.emit(documents[0], indent=" " * indent or "\t")

    def layout(self, indent: int) -> Layout:
        """From the top of the file."""
        spread = _spread(self.spans, self.text)
        return Layout(indent, indent, self.text.newline, quoted=True, spread=spread, tight=_tight(self.spans))


def _enough(limits: Limits, data: bytes) -> Limits:
    return replace(limits, size=max(limits.size, len(data)))


def _like_json(span: DocumentSpan, text: str) -> bool:
    root = span.root
    return root is not None and root.flow and bool(root.children) and text.startswith('"', root.children[0].start)


def _spread(spans: List[DocumentSpan], text: Text) -> str | None:
    """The indent of keys that stand on lines of their own; None where they follow one another."""
    root = next((span.root for span in spans if span.root is not None and span.root.children), None)
    if root is None:
        return None
    first = root.children[0].start
    lead = text.text[text.lines.start(first) : first]
    return lead if not lead.strip() and text.lines.start(first) > root.start else None


def _tight(spans: List[DocumentSpan]) -> bool:
    """Whether no space follows the colon of the first key."""
    root = next((span.root for span in spans if span.root is not None and span.root.children), None)
    return root is not None and root.children[1].start - root.children[0].end == 1


def _json_spans(text: str) -> DocumentSpan:
    """The nodes of a JSON text that has been parsed, so that it is known to be well formed."""
    span = DocumentSpan(0, explicit=False)
    span.end = len(text)
    opened: list[Node] = []
    for match in _JSON_TOKENS.finditer(text):
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
