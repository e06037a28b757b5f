"""Files as their authors wrote them, read so that changes can be spliced in."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from agent.values.dataclass import replace
from agent.values.errors import YamlError
from agent.yaml.limits import Limits, check_text
from agent.yaml.matching import same_documents
from agent.yaml.read import lines
from agent.yaml.scalars import BREAKS

if TYPE_CHECKING:
    from collections.abc import Sequence as List

    from agent.yaml.nodes import Mapping
    from agent.yaml.read.recording import Recorder
    from agent.yaml.read.spans import DocumentSpan, Lines, Node
    from agent.yaml.write.fragments import Layout

_BREAK = f"\r\n|[{BREAKS}]"
_BOM = "\ufeff"


class Text:
    """The characters of a file: without a byte order mark, and with a break at the end of the last line."""

    def __init__(self, data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        self.data = data
        self.readable = "\ufffd" not in text or text.encode() == data
        self.bom = text.startswith(_BOM)
        self.text = text.removeprefix(_BOM)
        self.newline = "\n"
        if "\r" in self.text or not self.text.isascii():
            first = re.search(_BREAK, self.text)
            self.newline = first.group() if first and first.group() in {"\r\n", "\r"} else "\n"
        self.complete = self.text == "" or self.text[-1] in BREAKS
        if not self.complete:
            self.text += self.newline

    @cached_property
    def lines(self) -> Lines:
        """Where its lines begin and end."""
        # Only here, since most changes do without.
        from agent.yaml.read.spans import Lines

        return Lines(self.text)

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
    flow: bool
    """Whether a document itself can only be written in flow style."""

    @property
    def spans(self) -> list[DocumentSpan]:
        """Where each document's nodes stand."""
        ...

    @property
    def scalars(self) -> list[Node]:
        """The scalars of all documents, in file order."""
        ...

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
    """A YAML file. `read` is its text line by line where that is plain enough; the spans are looked for where they are needed."""

    flow = False

    def __init__(self, data: bytes, *, file: str, limits: Limits | None = None) -> None:
        """Raises YamlError and LimitError."""
        self.file = file
        self.text = Text(data)
        self._limits = limits or Limits()
        self.read = lines.read(data, limits=self._limits)
        self.documents = self._recorded[0] if self.read is None else [self.read.document]

    @cached_property
    def _recorded(self) -> tuple[list[Mapping], Recorder]:
        # Only here, since most files do without libyaml, which takes its time to load.
        from agent.yaml.read import builder
        from agent.yaml.read.recording import Recorder

        # Their lines alone would take gigabytes of a file that is nothing else.
        check_text(self.text.data, file=self.file, limits=self._limits)
        recorder = Recorder(self.text.text, self.text.lines)
        documents = builder.build(self.text.data, file=self.file, limits=self._limits, watcher=recorder, in_place=True)
        return documents, recorder

    @property
    def spans(self) -> list[DocumentSpan]:
        """Where each document's nodes stand."""
        return self._recorded[1].documents

    @property
    def scalars(self) -> list[Node]:
        """The scalars of all documents, in file order."""
        return self._recorded[1].scalars

    def parse(self, data: bytes) -> list[Mapping]:
        """Read a changed file."""
        from agent.yaml.read import yaml

        return yaml.parse(data, file=self.file, limits=enough(self._limits, data), in_place=True)

    def emit(self, documents: List[Mapping], indent: int) -> bytes:
        """As sops writes it."""
        from agent.yaml.write import yaml

        return yaml.emit(documents, indent=indent)

    def layout(self, indent: int) -> Layout:
        """From the first nested map, the first list in a map and the top of a JSON-like file."""
        from agent.yaml.write.fragments import Layout

        recorder = self._recorded[1]
        step = recorder.step or recorder.body or indent
        dash = recorder.dash if recorder.dash >= 0 else step
        quoted = any(_like_json(span, self.text.text) for span in self.spans)
        around = spread(self.spans, self.text) if quoted else None
        return Layout(step, dash, self.text.newline, quoted, around, quoted and tight(self.spans), nested=recorder.step)


def says(original: Original, data: bytes, wanted: List[Mapping]) -> bool:
    """Whether a changed file reads as it should."""
    try:
        return same_documents(original.parse(data), wanted)
    except YamlError:
        return False


def enough(limits: Limits, data: bytes) -> Limits:
    """Limits that a file which was already read stays within."""
    return replace(limits, size=max(limits.size, len(data)))


def _like_json(span: DocumentSpan, text: str) -> bool:
    root = span.root
    return root is not None and root.flow and bool(root.children) and text.startswith('"', root.children[0].start)


def spread(spans: List[DocumentSpan], text: Text) -> str | None:
    """The indent of keys that stand on lines of their own; None where they follow one another."""
    root = next((span.root for span in spans if span.root is not None and span.root.children), None)
    if root is None:
        return None
    first = root.children[0].start
    lead = text.text[text.lines.start(first) : first]
    return lead if not lead.strip() and text.lines.start(first) > root.start else None


def tight(spans: List[DocumentSpan]) -> bool:
    """Whether no space follows the colon of the first key."""
    root = next((span.root for span in spans if span.root is not None and span.root.children), None)
    return root is not None and root.children[1].start - root.children[0].end == 1
