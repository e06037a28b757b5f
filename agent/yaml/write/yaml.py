"""The bytes that sops 3.13.3 writes: go-yaml v3's emitter for block style with comments (emitterc.go, encode.go).

Comments are kept in the emitter's own five slots, since what sops writes follows from how one overwrites another.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent.values.errors import EmitError
from agent.yaml.nodes import Comment, Entry, Mapping, Sequence, Value
from agent.yaml.write import styles
from agent.yaml.write.styles import Form

if TYPE_CHECKING:
    from collections.abc import Iterable

_BREAKS = "\n\u2028\u2029"
_COMMENT_BREAKS = "([\n\r\x85\u2028\u2029])"


def emit(documents: Iterable[Mapping], *, indent: int = 4) -> bytes:
    """A file of these documents, in UTF-8, with `---` between them. Raises EmitError for a comment that no YAML can hold."""
    writer = _Writer(indent)
    for number, document in enumerate(documents):
        writer.document(document, first=not number)
    return writer.finish()


def emit_value(value: Value, *, indent: int = 4) -> bytes:
    """One value as a document: what `decrypt --extract` prints of a map or list. Raises EmitError as `emit` does."""
    writer = _Writer(indent)
    writer.document(value, first=True)
    return writer.finish()


def _joined(comments: list[str]) -> str:
    return "\n".join(f"#{text}" for text in comments)


class _Node:
    """A map or list with its comments turned into go-yaml's heads, lines and feet (sops's appendTreeBranch, appendSequence)."""

    __slots__ = ("foot", "head", "line", "pairs", "tails")

    def __init__(self, value: Mapping | Sequence) -> None:
        self.head = self.line = self.foot = ""
        self.pairs: list[tuple[str, str, Entry | Value]] = []
        heads: list[str] = []
        inlines: list[str] = []
        for item in value.items:
            if isinstance(item, Comment):
                (inlines if item.inline else heads).append(item.text)
                continue
            if not self.pairs and heads:
                self.head, heads = _joined(heads), []
            self.pairs.append((_joined(heads), _joined(inlines), item))
            heads, inlines = [], []
        rest = _joined([*heads, *inlines])
        self.tails = rest if self.pairs else ""
        if not self.pairs:
            self.head = rest


class _Writer:
    def __init__(self, best_indent: int) -> None:
        self._out: list[str] = []
        self._best = best_indent if 2 <= best_indent <= 9 else 2
        self._indent = -1
        self._column = 0
        self._whitespace = self._indention = True
        self._foot_indent = -1
        self._head = self._line = self._foot = self._tail = self._key_line = ""

    def document(self, value: Value, *, first: bool) -> None:
        """One document with its comments, behind `---` where it is not the first."""
        if not first:
            self._write_indent()
            self._indicator("---", space=True)
            self._write_indent()
        if isinstance(value, Mapping | Sequence):
            node = _Node(value)
            self._load(node.head)
            self._process_head()
            self._process_line()
            self._process_foot()
            self._collection(value, node, in_sequence=False)
        else:
            self._scalar(styles.form(value), in_sequence=False)
        self._foot_indent = 0
        self._process_foot()
        self._foot_indent = -1
        self._write_indent()

    def finish(self) -> bytes:
        return "".join(self._out).encode()

    # Collections

    def _load(self, head: str = "", line: str = "", foot: str = "", tail: str = "") -> None:
        self._head = head or self._head
        self._line = line or self._line
        self._foot = foot or self._foot
        self._tail = tail or self._tail

    def _deeper(self, *, in_sequence: bool, flow: bool = False) -> int:
        before = self._indent
        if before < 0:
            self._indent = self._best if flow else 0
        elif in_sequence:
            self._indent = before + 2
        else:
            self._indent = self._best * ((before + self._best) // self._best)
        return before

    def _collection(self, value: Mapping | Sequence, node: _Node, *, in_sequence: bool) -> None:
        if not node.pairs:
            self._empty(value, node)
        elif isinstance(value, Mapping):
            self._mapping(node, in_sequence=in_sequence)
        else:
            self._sequence(node, in_sequence=in_sequence)

    def _empty(self, value: Mapping | Sequence, node: _Node) -> None:
        opening, closing = ("{", "}") if isinstance(value, Mapping) else ("[", "]")
        self._indicator(opening, space=True, whitespace=True)
        before = self._deeper(in_sequence=False, flow=True)
        self._load(line=node.line, foot=node.foot)
        if isinstance(value, Mapping):
            self._process_head()
        self._indent = before
        if self._column == 0 and isinstance(value, Sequence):
            self._write_indent()
        self._indicator(closing)
        self._process_line()
        self._process_foot()

    def _mapping(self, node: _Node, *, in_sequence: bool) -> None:
        before = self._deeper(in_sequence=in_sequence)
        for head, line, item in node.pairs:
            assert isinstance(item, Entry)
            self._load(head)
            self._process_head()
            self._write_indent()
            if self._line:
                self._key_line, self._line = self._line, ""
            self._key(item)
            child = _Node(item.value) if isinstance(item.value, Mapping | Sequence) else None
            if child is None:
                self._load(line=line)
                if self._key_line and not self._line:
                    self._line, self._key_line = self._key_line, ""
                self._scalar(styles.form(item.value), in_sequence=False)  # pyright: ignore[reportArgumentType]
            else:
                child.line = line
                self._load(child.head)
                if self._key_line:
                    self._line, self._key_line = self._key_line, self._line
                    self._process_line()
                    self._line, self._key_line = self._key_line, self._line
            self._process_line()
            self._process_foot()
            if child is not None:
                self._collection(item.value, child, in_sequence=False)  # pyright: ignore[reportArgumentType]
        self._load(line=node.line, foot=node.foot, tail=node.tails)
        self._process_head()
        self._indent = before

    def _key(self, entry: Entry) -> None:
        form = styles.form(entry.key)
        if entry.key == "<<" and not _merges(entry.value):
            # sops writes every `<<` as a merge key; above what cannot be merged, no parser can read the file.
            form = Form("<<", '"')
        multiline = styles.analyze(form.text).multiline
        if not multiline and len(form.tag) + len(form.text.encode("utf-8", "surrogatepass")) <= 128:
            self._scalar(form, in_sequence=False, simple_key=True)
            self._indicator(":")
            return
        self._indicator("?", space=True, indention=True)
        self._scalar(form, in_sequence=False)
        self._write_indent()
        self._indicator(":", space=True, indention=True)

    def _sequence(self, node: _Node, *, in_sequence: bool) -> None:
        before = self._deeper(in_sequence=in_sequence)
        for number, (head, line, item) in enumerate(node.pairs):
            foot = node.tails if number == len(node.pairs) - 1 else ""
            assert not isinstance(item, Entry)
            child = _Node(item) if isinstance(item, Mapping | Sequence) else None
            if child is None:
                self._load(head, line, foot)
            else:
                child.line, child.foot = line, foot
                self._load("\n".join(part for part in (head, child.head) if part))
            self._process_head()
            self._write_indent()
            self._indicator("-", space=True, indention=True)
            if child is None:
                self._scalar(styles.form(item), in_sequence=True)  # pyright: ignore[reportArgumentType]
            self._process_line()
            self._process_foot()
            if child is not None:
                self._collection(item, child, in_sequence=True)  # pyright: ignore[reportArgumentType]
        self._load(line=node.line, foot=node.foot)
        self._indent = before

    # Scalars

    def _scalar(self, form: Form, *, in_sequence: bool, simple_key: bool = False) -> None:
        if form.tag:
            self._indicator(form.tag, space=True)
        before = self._deeper(in_sequence=in_sequence, flow=True)
        style = _style(form, simple_key=simple_key)
        if style == "|" and form.text[0] in f" {_BREAKS}" and self._indent - max(before, 0) != self._best:
            # Inside a list sops writes an indentation indicator that does not fit, and no parser can read the file.
            style = '"'
        if style == "plain":
            if form.text:
                self._indicator(form.text, space=True)
            self._indention = False
        elif style == "'":
            self._indicator("'", space=True)
            self._lines(form.text.replace("'", "''"))
            self._indicator("'")
        elif style == '"':
            self._indicator(styles.double_quoted(form.text), space=True)
        else:
            self._literal(form.text)
        self._indent = before

    def _literal(self, text: str) -> None:
        hint = str(self._best) if text[0] == " " or text[0] in _BREAKS else ""
        chomp = ""
        if text[-1] not in _BREAKS:
            chomp = "-"
        elif len(text) == 1 or text[-2] in _BREAKS:
            chomp = "+"
        self._indicator(f"|{hint}{chomp}", space=True)
        if self._line:
            self._process_line()
        else:
            self._break()
        self._whitespace = True
        self._lines(text, breaks=True)

    def _lines(self, text: str, *, breaks: bool = False) -> None:
        """Raw text; every line but an empty one is indented where it follows a break."""
        at = 0
        while at < len(text):
            end = min((found for mark in _BREAKS if (found := text.find(mark, at)) >= 0), default=len(text))
            if end > at:
                if breaks:
                    self._write_indent()
                self._put(text[at:end])
                self._indention = breaks = False
            if end < len(text):
                self._break(text[end])
                breaks = True
            at = end + 1

    # Output

    def _put(self, text: str) -> None:
        self._out.append(text)
        self._column += len(text)

    def _break(self, mark: str = "\n") -> None:
        self._out.append(mark)
        self._column = 0
        self._indention = True

    def _write_indent(self) -> None:
        indent = max(self._indent, 0)
        if not self._indention or self._column > indent or (self._column == indent and not self._whitespace):
            self._break()
        if self._foot_indent == indent:
            self._break()
        if self._column < indent:
            self._put(" " * (indent - self._column))
        self._whitespace = True
        self._foot_indent = -1

    def _indicator(self, text: str, *, space: bool = False, whitespace: bool = False, indention: bool = False) -> None:
        if space and not self._whitespace:
            self._put(" ")
        self._put(text)
        self._whitespace = whitespace
        self._indention = self._indention and indention

    def _process_head(self) -> None:
        if self._tail:
            self._write_indent()
            self._comment(self._tail)
            self._tail = ""
            self._foot_indent = max(self._indent, 0)
        if self._head:
            self._write_indent()
            self._comment(self._head)
            self._head = ""

    def _process_line(self) -> None:
        if self._line:
            if not self._whitespace:
                self._put(" ")
            self._comment(self._line)
            self._line = ""

    def _process_foot(self) -> None:
        if self._foot:
            self._write_indent()
            self._comment(self._foot)
            self._foot = ""
            self._foot_indent = max(self._indent, 0)

    def _comment(self, text: str) -> None:
        if not styles.readable(text):
            # sops writes it, and then no parser can read the file.
            raise EmitError(
                "a comment has bytes that are not UTF-8, or characters that YAML does not allow",
                hint="correct the comment, or name another --output-type",
            )
        lines = re.split(_COMMENT_BREAKS, text)
        for number in range(0, len(lines), 2):
            line = lines[number]
            if line:
                if number:
                    self._write_indent()
                # What follows a line break, such as a carriage return in a `.env` file, is a comment too.
                self._put(line if line[0] == "#" else f"# {line}")
            if number + 1 < len(lines):
                self._break(lines[number + 1])
            elif line:
                self._break()
        self._whitespace = True


def _merges(value: Value) -> bool:
    parts = value.values() if isinstance(value, Sequence) else [value]
    return all(isinstance(part, Mapping) for part in parts)


def _style(form: Form, *, simple_key: bool) -> str:
    """yaml_emitter_select_scalar_style, for block context."""
    analysis = styles.analyze(form.text)
    style = form.style
    if simple_key and analysis.multiline:
        style = '"'
    if style == "plain" and (not analysis.plain or (not form.text and simple_key)):
        style = "'"
    if style == "'" and not analysis.single:
        style = '"'
    if style == "|" and (not analysis.block or simple_key):
        style = '"'
    return style
