"""New values over the old ones in a file that was read line by line: encrypting, decrypting and setting change nothing else.

Only scalars and comments may differ, and one entry may come to the document's end, go from it or be rewritten there, as `sops` does.
Any other change, and any file that is not so plain, is for `attempts`, which would write the same text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

from agent.yaml import scalars
from agent.yaml.matching import match, same
from agent.yaml.nodes import Comment, Entry, Mapping, Sequence
from agent.yaml.read import lines

if TYPE_CHECKING:
    from agent.yaml.edit.rewriter import Rewriter
    from agent.yaml.nodes import Scalar, Value
    from agent.yaml.read.lines import Read
    from agent.yaml.write.fragments import Layout

Items: TypeAlias = "tuple[Entry | Comment, ...] | tuple[Value | Comment, ...]"

_WORD = re.compile(rf"{lines.CIPHERTEXT}|[A-Za-z0-9_/][A-Za-z0-9_./+=-]*+")
_NOTE = "[ -~]*+"
_MARKS = frozenset("'\"|#")
_DASHES = r"\ *+(?:- )*+"


class _RestructuredError(Exception):
    """More has changed than values."""


def substitute(read: Read, wanted: Mapping, *, indent: int, rewrite: str = "") -> tuple[str, bool] | None:
    """The new text, and whether it is sure to say `wanted`: else it has to be parsed. None where more than values changed.

    `indent` is that of an entry at the end, and `rewrite` the key of one that is rewritten there.
    """
    try:
        return _Substitution(read, indent).of(wanted, rewrite)
    except _RestructuredError:
        return None


class _Substitution:
    def __init__(self, read: Read, indent: int) -> None:
        self._text = read.text
        self._read = read
        self._indent = indent
        self._at = 0
        self._edits: list[tuple[int, int, str]] = []
        self._sure = True
        self._rewriter: Rewriter | None = None

    def of(self, wanted: Mapping, rewrite: str) -> tuple[str, bool]:
        """As `substitute`. Raises _RestructuredError."""
        old, new = self._read.document.items, wanted.items
        stay = min(len(old), len(new))
        if len(old) == len(new) and all(isinstance(each, Entry) and each.key == rewrite for each in (old[-1], new[-1])):
            stay -= 1
        filled = any(isinstance(each, Entry) for each in old[:stay])
        if not filled or len(old) - stay > 1 or len(new) - stay > 1 or not self._text.endswith("\n"):
            raise _RestructuredError
        if not all(isinstance(each, Entry) for each in (*old[stay:], *new[stay:])):
            raise _RestructuredError
        self._items(old[:stay], new[:stay])
        if stay < len(old) or stay < len(new):
            self._end(self._read.last if stay < len(old) else len(self._text), new[stay:])
        return self._applied(), self._sure

    def _items(self, old: Items, new: Items) -> None:
        if len(old) != len(new):
            raise _RestructuredError
        for one, other in zip(old, new, strict=True):
            if isinstance(one, Entry):
                if not isinstance(other, Entry) or type(one.key) is not type(other.key) or one.key != other.key:
                    raise _RestructuredError
                self._node(one.value, other.value)
            elif isinstance(other, Entry):
                raise _RestructuredError
            else:
                self._node(one, other)

    def _node(self, old: Value | Comment, new: Value | Comment) -> None:
        if not isinstance(old, str) and isinstance(old, Mapping | Sequence):
            if not isinstance(new, Mapping | Sequence) or type(old) is not type(new):
                raise _RestructuredError
            if isinstance(old, Sequence) and match(old.items, new.items) != [*range(len(new.items))]:
                raise _RestructuredError
            self._items(old.items, new.items)
            return
        start, end = self._read.leaves[self._at : self._at + 2]
        self._at += 2
        if isinstance(new, str) and _is_usual(new) and self._text[start] not in _MARKS and start < end:
            if new is not old:
                self._edits.append((start, end, new))
        elif not same(old, new):
            self._unusual(start, end, old, new)

    def _unusual(self, start: int, end: int, old: Value | Comment, new: Value | Comment) -> None:
        if isinstance(old, Comment) and isinstance(new, Comment):
            self._sure &= re.fullmatch(_NOTE, new.text) is not None
            self._edits.append((start, end, "#" + new.text))
        elif (
            start < 0 or isinstance(old, Comment | Mapping | Sequence) or isinstance(new, Mapping | Sequence | Comment)
        ):
            raise _RestructuredError
        else:
            self._sure = False
            self._rewrite(start, end, old, new)

    def _rewrite(self, start: int, end: int, old: Scalar, new: Scalar) -> None:
        """A scalar that may need quotes, or lines of its own."""
        # Only here, since few files have one.
        from agent.yaml.edit.items import Place
        from agent.yaml.edit.rewriter import Rewriter
        from agent.yaml.read.spans import Lines, scalar_node

        if self._rewriter is None:
            self._rewriter = Rewriter(self._text, Lines(self._text), self._layout(), frozenset(), self._indent)
        line = self._text.rfind("\n", 0, start) + 1
        dashes = re.compile(_DASHES).match(self._text, line, start)
        column = dashes.end() - line if dashes else 0
        # An item of a list stands behind its dash, and its list where that is.
        place = Place(column - 2 if line + column == start else column, start)
        self._rewriter.leaf(scalar_node(self._text, self._rewriter.lines, start, end), old, new, place)
        self._edits += self._rewriter.edits.drain()

    def _end(self, end: int, new: tuple[Entry | Comment, ...]) -> None:
        """The text's last line of what stays ends at `end`; what is new comes there."""
        last = self._leaf_above(self._at)
        tail = self._leaf_above(len(self._read.leaves))
        if not _is_leafless(self._text[last:end]) or not _is_leafless(self._text[tail:]):
            raise _RestructuredError
        if last and not self._text[self._text.rfind("\n", 0, last - 1) + 1 : last].strip():
            # A literal block with blank lines at its end, which may be the block's or not.
            raise _RestructuredError
        written = ""
        if new:
            # Only here, since decrypting does without.
            from agent.yaml.write.fragments import document_end

            written = "".join(f"{line}\n" for line in document_end(new, self._layout(), self._indent))
        self._edits.append((end, len(self._text), written))

    def _leaf_above(self, index: int) -> int:
        """Where the last leaf of those before `index` ends: a comment behind a value comes first, and a null may have no place."""
        return max([0, *self._read.leaves[max(index - 4, 0) : index]])

    def _layout(self) -> Layout:
        from agent.yaml.write.fragments import Layout

        step = self._read.step or self._read.body or self._indent
        return Layout(step, self._read.dash if self._read.dash >= 0 else step, nested=self._read.step)

    def _applied(self) -> str:
        out: list[str] = []
        at = 0
        for start, end, new in sorted(self._edits):
            out += (self._text[at:start], new)
            at = end
        out.append(self._text[at:])
        return "".join(out)


def _is_leafless(text: str) -> bool:
    """Whether what follows a leaf are lines of nulls, empty maps and empty lists: no comment, and none that is blank."""
    below = text.removeprefix("\n")
    return "#" not in below and (not below or below.endswith("\n")) and all(map(str.strip, below.split("\n")[:-1]))


def _is_usual(text: str) -> bool:
    """Whether a text means itself without quotes, for every reader."""
    if _WORD.fullmatch(text) is None or text in _OTHERS:
        return False
    return text[0] not in "0123456789" or isinstance(scalars.plain_v3(text), str)


_OTHERS = scalars.OLD_BOOLS | lines.OTHER_WORDS
