"""The text of `.sops.yaml` → fields, each read as the type that sops gives it.

Go's decoder takes a scalar for text as it is written (a fingerprint of digits alone is no number), leaves `null` out of lists, merges
`<<` and reads the first document only; so does this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString, NoReturn

from agent.sops.rules.written import Written
from agent.values.dataclass import dataclass
from agent.values.errors import LimitError, SopsRulesError, YamlError
from agent.yaml import guises
from agent.yaml.limits import Limits
from agent.yaml.nodes import Comment, Entry, Mapping, Sequence
from agent.yaml.read import lines
from agent.yaml.scalars import OLD_BOOLS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.sops.rules.written import Node
    from agent.yaml.nodes import Value
    from agent.yaml.read.lines import Read

_TRUE_WORDS = frozenset(("y", "Y", "yes", "Yes", "YES", "on", "On", "ON"))


@dataclass(frozen=True, slots=True)
class Fields:
    """A map of the file. Absent fields and null ones are empty; the wrong type raises SopsRulesError with file and field."""

    file: str
    nodes: dict[str, Node]

    def text(self, name: str) -> str:
        """A scalar as it is written."""
        node = self._get(name)
        return "" if node is None else self._text(node, name)

    def texts(self, name: str) -> list[str]:
        """A list of scalars."""
        return [self._text(node, name) for node in self._list(name)]

    def text_map(self, name: str) -> tuple[tuple[str, str], ...]:
        """Names with scalars, by name."""
        node = self._get(name)
        if node is None:
            return ()
        if not isinstance(node, dict):
            self._fail("this field is a map", name, node)
        return tuple((key, self._text(node[key], name)) for key in sorted(node))

    def maps(self, name: str) -> list[Fields] | None:
        """A list of maps; None where the field is absent or null, which is not the same as an empty list."""
        if self._get(name) is None:
            return None
        found: list[Fields] = []
        for node in self._list(name):
            if not isinstance(node, dict):
                self._fail("this field is a list of maps", name, node)
            found.append(Fields(self.file, node))
        return found

    def map(self, name: str) -> Fields:
        node = self._get(name)
        if node is None:
            return Fields(self.file, {})
        if not isinstance(node, dict):
            self._fail("this field is a map", name, node)
        return Fields(self.file, node)

    def number(self, name: str, default: int = 0) -> int:
        node = self._get(name)
        if node is None:
            return default
        if not isinstance(node, Written) or isinstance(node.value, bool) or not isinstance(node.value, int | float):
            self._fail("this field is a number", name, node)
        try:
            return int(node.value)
        except (ValueError, OverflowError):
            self._fail("this field is a number", name, node)

    def flag(self, name: str) -> bool:
        node = self._get(name)
        if node is None:
            return False
        if isinstance(node, Written):
            if isinstance(node.value, bool):
                return node.value
            if isinstance(node.value, str) and node.value in OLD_BOOLS:
                return node.value in _TRUE_WORDS
        return self._fail("this field is true or false", name, node)

    def names(self, name: str) -> str:
        """Keys, one text with commas or a list, as one text with commas. A number is not taken for text here."""
        node = self._get(name)
        if node is None:
            return ""
        if isinstance(node, Written) and isinstance(node.value, str):
            return ",".join(part.strip() for part in node.value.split(",") if part.strip())
        if not isinstance(node, list):
            self._fail("keys are a list of texts, or one text with commas", name, node)
        parts: list[str] = []
        for item in node:
            if not isinstance(item, Written) or not isinstance(item.value, str):
                self._fail("a key in this list is not text", name, item, hint="put it in quotes")
            parts.append(item.value)
        return ",".join(parts)

    def _get(self, name: str) -> Node | None:
        node = self.nodes.get(name)
        return None if isinstance(node, Written) and node.value is None else node

    def _list(self, name: str) -> Iterator[Node]:
        node = self._get(name)
        if node is None:
            return
        if not isinstance(node, list):
            self._fail("this field is a list", name, node)
        yield from (item for item in node if not (isinstance(item, Written) and item.value is None))

    def _text(self, node: Node, name: str) -> str:
        if not isinstance(node, Written) or node.value is None:
            self._fail("this field is text", name, node)
        return node.text

    def _fail(self, message: LiteralString, name: str, node: Node, *, hint: LiteralString = "") -> NoReturn:
        line = _line(node)
        facts = {"line": line} if line else {}
        raise SopsRulesError(message, hint=hint, file=self.file, **facts, field=name) from None


def parse(data: bytes, *, file: str) -> Fields:
    """The map of the first document; an empty file has none. Raises SopsRulesError for what is not YAML, or no map."""
    try:
        root = _root(data, file)
    except (YamlError, LimitError) as error:
        # sops counts whatever is wrong with its configuration as one kind of failure.
        raise SopsRulesError(error.message, hint=error.hint).with_facts(**error.facts) from None  # pyright: ignore[reportArgumentType]  # a literal already
    if root is None or (isinstance(root, Written) and root.value is None):
        return Fields(file, {})
    if not isinstance(root, dict):
        raise SopsRulesError("the file is not a map", hint="it begins with creation_rules:", file=file)
    return Fields(file, root)


@guises.seen_through
def _root(data: bytes, file: str) -> Node | None:
    read = lines.read(data, limits=Limits())
    if read is not None:
        return _Plain(read).node(read.document, 1)
    # Only here, since most files do without libyaml, which takes its time to load.
    from agent.sops.rules import rule_tree

    return rule_tree.first_document(data, file=file)


class _Plain:
    """A file that was read line by line: what stands in it is given back as it is written."""

    def __init__(self, read: Read) -> None:
        self._text = read.text
        self._leaves = iter(read.leaves)
        self._at, self._line = 0, 1

    def node(self, value: Value, line: int) -> Node:
        """`line` is that of a null which is not written."""
        match value:
            case Mapping():
                nodes: dict[str, Node] = {}
                for item in value.items:
                    if isinstance(item, Entry):
                        nodes[str(item.key)] = self.node(item.value, item.line)
                    else:
                        self._span()
                return nodes
            case Sequence():
                items: list[Node] = []
                for item in value.items:
                    if isinstance(item, Comment):
                        self._span()
                    else:
                        items.append(self.node(item, line))
                return items
            case _:
                start, end = self._span()
                written = self._text[start:end] if start >= 0 else ""
                line = self._line_of(start) if start >= 0 else line
                return Written(value, value if isinstance(value, str) else written, line)

    def _line_of(self, start: int) -> int:
        """Counted from the place asked for before."""
        self._line += self._text.count("\n", self._at, start) - self._text.count("\n", start, self._at)
        self._at = start
        return self._line

    def _span(self) -> tuple[int, int]:
        """Of the next scalar or comment; -1 and -1 of a null that is not written."""
        return next(self._leaves), next(self._leaves)


def _line(node: Node) -> int:
    """The line of its first scalar that has one; 0 where none has."""
    while not isinstance(node, Written):
        inside = list(node.values()) if isinstance(node, dict) else node
        if not inside:
            return 0
        node = inside[0]
    return node.line
