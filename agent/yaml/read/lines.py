"""The plainest YAML, read line by line: block maps and lists, scalars on one line, literal blocks, and comments between them.

Most files of secrets are written so, by sops too, and this takes a third of the time that libyaml's events take. Whatever else a file
holds (flow style, anchors, tags, escapes, several documents, anything doubtful) is not read here: then `read` gives None, and
`yaml.parse` asks libyaml. What is read here, libyaml reads alike.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent.values.dataclass import dataclass, field
from agent.yaml.nodes import Comment, Entry, Mapping, Sequence
from agent.yaml.scalars import plain_v3

if TYPE_CHECKING:
    from agent.yaml.limits import Limits
    from agent.yaml.nodes import Scalar, Value

CIPHERTEXT = r"ENC\[AES256_GCM,[A-Za-z0-9+/=,:]++\]"
CIPHERTEXT_BLOCK = CIPHERTEXT + r"\n+"  # compiled for files that have one
"""A ciphertext that is a block scalar: the line breaks behind it are of the scalar that it stands for."""

_KEY = r"[A-Za-z_][A-Za-z0-9_./-]{0,999}+"  # libyaml takes up to 1,024 characters
_USUAL = re.compile(rf"(\ *+)({_KEY}):(?:\ ({CIPHERTEXT}|[A-Za-z0-9_/][A-Za-z0-9_./+=-]*+)(?:\n|\Z)|\n)")
_LINE = re.compile(
    rf"""
    (?P<indent>\ *+)
    (?:
        (?P<dash>-\ (?![\ -]))?
        (?:(?P<key>{_KEY}):(?=[\ \n]|\Z))?
        (?:(?(key)\ |(?(dash)|(?!)))
            (?:
                '(?P<single>(?:[^'\n]++|'')*+)'
              | "(?P<double>[^"\\\n]*+)"
              | (?P<literal>\|[+-]?+)
              | (?P<empty>\{{\}}|\[\])
              | (?P<plain>(?:[A-Za-z0-9_./+$(~^=;\\]|-(?=[^\s-]))[^\n]*?)(?<!\ )
            )
            (?:\ ++\#(?P<inline>[^\n]*+))?
        )?
      | \#(?P<comment>[^\n]*+)
    )?
    (?:\n|\Z)
    """,
    re.VERBOSE,
)
_BODY = re.compile(r"(\ *+)([^\n]*+)(?:\n|\Z)")
_ODD = "[\0-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]"  # compiled for files that need it
_PLAIN_ASCII = bytes([10, *range(32, 127)])
OTHER_WORDS = frozenset(("null", "Null", "NULL", "true", "True", "TRUE", "false", "False", "FALSE"))


@dataclass(frozen=True, slots=True)
class Read:
    """A file's one document. `leaves` are start and end of each scalar and comment, in characters, in the order of the tree.

    A null that is not written has none, so it is (-1, -1). `last` is where the document's last entry begins. `step`, `dash` and `body`
    are how far the first nested map, list in a map and literal block are indented; 0, and -1 for `dash`, where there is none.
    """

    text: str = field(repr=False)
    document: Mapping = field(repr=False)
    leaves: list[int] = field(repr=False)
    last: int
    step: int
    dash: int
    body: int


class _Doubtful(Exception):  # noqa: N818  # not an error: libyaml is asked
    pass


class _Container:
    __slots__ = ("indent", "items", "key", "keys", "line")

    def __init__(self, indent: int, keys: set[str] | None) -> None:
        self.indent = indent
        self.items: list[Entry | Value | Comment] = []
        self.keys = keys
        self.key = ""
        """Of a map: the key whose map, list or null follows."""
        self.line = 0

    def finish(self) -> Mapping | Sequence:
        return Sequence(tuple(self.items)) if self.keys is None else Mapping(tuple(self.items))  # pyright: ignore[reportArgumentType]


def read(data: bytes, *, limits: Limits) -> Read | None:
    """A file of the plainest kind; None for any other, and for whatever might be wrong with it."""
    # A line holds at most a list's item that is a map, its key and its value.
    if len(data) > limits.size or data.count(b"\n") > limits.values // 3 or not data or data.isspace():
        return None
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    if data.translate(None, _PLAIN_ASCII) and (text.isascii() or re.search(_ODD, text)):
        return None
    try:
        return _Reader(text, limits.depth).read()
    except _Doubtful:
        return None


def documents(data: bytes, *, file: str, limits: Limits, in_place: bool = False) -> list[Mapping] | None:
    """A `Reader` of the plainest files."""
    del file, in_place
    found = read(data, limits=limits)
    return None if found is None else [found.document]


class _Reader:
    def __init__(self, text: str, depth: int) -> None:
        self._text = text
        self._depth = depth
        self._at: int = 4 if text.startswith("---\n") else 0
        self._line: int = 2 if self._at else 1
        self._stack: list[_Container] = []
        self._held: list[tuple[int, Comment]] = []
        self._waiting = False
        self._leaves: list[int] = []
        self._last = self._step = self._body = 0
        self._dash = -1

    def read(self) -> Read:
        text, size, usual, leaves = self._text, len(self._text), _USUAL.match, self._leaves
        # Where the lines before went, if one like them goes there too; the document's own entries are looked at one by one.
        at, line, depth, into = self._at, self._line, -1, None
        while at < size:
            found = usual(text, at)
            if found is None:
                self._at, self._line, into = at, line, None
                self._unusual()
                at, line = self._at, self._line
                continue
            indent, key, value = found.groups()
            if into is None or len(indent) != depth:
                self._at, self._line, depth = at, line, len(indent)
                into = self._container(depth, dashed=False)
            keys = into.keys
            if keys is None or key in keys or key in OTHER_WORDS:
                raise _Doubtful
            keys.add(key)
            if value:
                literal = value[0] == "E" or (value[0] > "9" and value not in OTHER_WORDS)
                into.items.append(Entry(key, value if literal else plain_v3(value), line))
                leaves += found.span(3)
            else:
                into.key, into.line, self._waiting = key, line, True
            at = found.end()
            line += 1
            if self._waiting or len(self._stack) == 1:
                into = None
        self._at, self._line = at, line
        if self._held and (len(self._stack) > 1 or self._waiting):
            raise _Doubtful
        root = self._close(0, dashed=False)
        if root.indent or root.keys is None:
            raise _Doubtful
        self._place_comments(root, 0)
        document = root.finish()
        assert isinstance(document, Mapping)
        return Read(text, document, leaves, self._last, self._step, self._dash, self._body)

    def _container(self, indent: int, *, dashed: bool) -> _Container:
        """The map or list that a line at `indent` belongs to, the comments before it in their place."""
        top = self._stack[-1] if self._stack else None
        if self._held and not self._waiting and top is not None and self._parted():
            same = top.keys is None and top.indent == indent
            if not same if dashed else top.keys is None:
                raise _Doubtful
        if top is None or self._waiting:
            top = self._open(top, indent, dashed=dashed)
        elif top.indent != indent or (top.keys is None) != dashed:
            top = self._close(indent, dashed=dashed)
        if self._held:
            self._place_comments(top, indent)
        if len(self._stack) == 1:
            self._last = self._at
        return top

    def _open(self, above: _Container | None, indent: int, *, dashed: bool) -> _Container:
        """What stands at the key before: a new map or list, or nothing."""
        if above is None:
            if indent or dashed:
                raise _Doubtful
        elif indent < above.indent or (indent == above.indent and not dashed):
            self._nothing(above)
            return self._close(indent, dashed=dashed)
        return self._push(indent, dashed=dashed)

    def _push(self, indent: int, *, dashed: bool) -> _Container:
        if len(self._stack) == self._depth:
            raise _Doubtful
        if self._waiting and dashed and self._dash < 0:
            self._dash = indent - self._stack[-1].indent
        elif self._waiting and not dashed and not self._step:
            self._step = indent - self._stack[-1].indent
        self._waiting = False
        new = _Container(indent, None if dashed else set())
        self._stack.append(new)
        return new

    def _nothing(self, above: _Container) -> None:
        above.items.append(Entry(above.key, None, above.line))
        self._leaves += (-1, -1)
        self._waiting = False

    def _close(self, indent: int, *, dashed: bool) -> _Container:
        """Leaves what is indented more deeply. The rest of a scalar over several lines is no line of any container here."""
        stack = self._stack
        if self._waiting:
            self._nothing(stack[-1])
        while len(stack) > 1 and (
            stack[-1].indent > indent or (stack[-1].indent == indent and stack[-1].keys is None and not dashed)
        ):
            done = stack.pop()
            above = stack[-1]
            above.items.append(done.finish() if above.keys is None else Entry(above.key, done.finish(), above.line))
        if not stack or stack[-1].indent != indent or (stack[-1].keys is None) != dashed:
            raise _Doubtful
        return stack[-1]

    def _place_comments(self, container: _Container, indent: int) -> None:
        for column, comment in self._held:
            if column != indent:
                raise _Doubtful
            container.items.append(comment)
            self._leaves += (comment.at, comment.at + 1 + len(comment.text))
        self._held.clear()

    def _parted(self) -> bool:
        """Whether the comments touch what is above them and a blank line follows: where lists are, that may be what they belong to."""
        text, first = self._text, self._held[0][1].at
        line = text.rfind("\n", 0, first)
        above = text[text.rfind("\n", 0, max(line, 0)) + 1 : max(line, 0)]
        return bool(above.strip()) and text.count("\n", first, self._at) > len(self._held)

    def _unusual(self) -> None:
        """A line with a dash, a quote, a comment, a block or nothing in it."""
        start = self._at
        found = _LINE.match(self._text, start)
        if found is None or self._text.startswith(("---", "..."), start):
            raise _Doubtful
        indent = found.end("indent")
        if found["comment"] is not None:
            self._held.append((indent - start, Comment(found["comment"], at=indent)))
        elif found.lastgroup == "dash":
            raise _Doubtful
        elif found["dash"] or found["key"]:
            container = self._container(indent - start, dashed=bool(found["dash"]))
            if found["dash"] and found["key"]:
                container = self._push(indent - start + 2, dashed=False)
            self._entry(container, found)
        if self._at == start:
            self._at = found.end()
            self._line += 1

    def _entry(self, container: _Container, found: re.Match[str]) -> None:
        key, line = found["key"], self._line
        if key:
            assert container.keys is not None
            if key in container.keys or key in OTHER_WORDS:
                raise _Doubtful
            container.keys.add(key)
            if found.lastgroup == "key":
                container.key, container.line, self._waiting = key, line, True
                return
        if found["inline"] is not None:
            if found["empty"] or found["literal"]:
                raise _Doubtful
            at = found.start("inline") - 1
            container.items.append(Comment(found["inline"], inline=True, at=at))
            self._leaves += (at, found.end("inline"))
        value = self._value(found, container.indent)
        container.items.append(Entry(key, value, line) if key else value)

    def _value(self, found: re.Match[str], indent: int) -> Value:
        if found["literal"]:
            return self._literal(found, indent)
        if found["empty"]:
            return Mapping() if found["empty"] == "{}" else Sequence()
        value: Scalar
        if found["single"] is not None:
            start, end = found.span("single")
            value, start, end = found["single"].replace("''", "'"), start - 1, end + 1
        elif found["double"] is not None:
            start, end = found.span("double")
            value, start, end = found["double"], start - 1, end + 1
        else:
            start, end = found.span("plain")
            if found["plain"][-1] == ":" or ": " in found["plain"]:
                raise _Doubtful
            value = plain_v3(found["plain"])
        self._leaves += (start, end)
        return value

    def _literal(self, found: re.Match[str], indent: int) -> str:
        """The lines below that are indented more deeply; the first one says how deeply."""
        start = at = found.end()
        lines: list[str] = []
        depth = 0
        while at < len(self._text) and (line := _BODY.match(self._text, at)) is not None:
            spaces, rest = line.groups()
            if not lines and not rest:
                raise _Doubtful
            depth = depth or len(spaces)
            if depth <= indent or (rest and len(spaces) < depth):
                break
            lines.append(line.group().rstrip("\n")[depth:])
            at = line.end()
        kept = len(lines)
        while kept and not lines[kept - 1]:
            kept -= 1
        if not kept or not self._text.endswith("\n", start, at):
            raise _Doubtful
        self._body = self._body or depth - indent
        self._at, self._line = at, self._line + 1 + len(lines)
        self._leaves += (found.start("literal"), at)
        chomp = found["literal"][1:]
        tail = {"": "\n", "-": "", "+": "\n" * (len(lines) - kept + 1)}[chomp]
        text = "\n".join(lines[:kept]) + tail
        return lines[0] if tail and lines[0][:4] == "ENC[" and re.fullmatch(CIPHERTEXT_BLOCK, text) else text
