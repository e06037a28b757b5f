"""One way through a file's values for encrypting, decrypting and reading sealed: order, paths, selection and pending comments.

As `walkBranch`, `walkSlice` and `shouldBeEncrypted` in github.com/getsops/sops `sops.go`. What a value is bound to (`aad`) is the keys
that lead to it, each followed by a colon; list indices do not count, and a comment is bound to its parent's keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from agent.values.dataclass import dataclass
from agent.values.errors import SopsKeyTypeError
from agent.values.tree import format_path
from agent.yaml.nodes import Comment, Entry, Mapping, Sequence, Timestamp

if TYPE_CHECKING:
    from agent.sops.format.selection import Selected
    from agent.values.tree import Path
    from agent.yaml.nodes import Value

Scalar = str | int | float | bool | Timestamp


@dataclass(slots=True)
class Place:
    """Where a leaf stands. `path` has list indices, and no place of its own for a comment.

    Not frozen, since each leaf has one: that would take twice as long.
    """

    aad: str
    path: Path
    encrypted: bool

    @property
    def field(self) -> str:
        return format_path(self.path)


class Visitor(Protocol):
    """What is done with each leaf but null, in file order."""

    def value(self, value: Scalar, place: Place) -> Scalar | Comment:
        """The new value. In a list, a Comment takes the item's place and is not counted."""
        ...

    def comment(self, comment: Comment, place: Place) -> Comment | str:
        """The new comment. In a list, a text becomes an item: how sops stores encrypted comments there."""
        ...


def rewrite(document: Mapping, selected: Selected, visitor: Visitor, *, file: str) -> Mapping:
    """The document with every leaf replaced. Raises SopsKeyTypeError for a key that is not a string."""
    return _Walk(selected, visitor, file).mapping(document, "", (), inside=False)


class _Walk:
    def __init__(self, selected: Selected, visitor: Visitor, file: str) -> None:
        self._selected = selected
        self._visitor = visitor
        self._file = file
        self._marks = 0
        """Of the pending comments of all levels: a file may have a hundred thousand of them before one key."""

    def _place(self, prefix: str, path: Path, *, inside: bool, own: bool = False) -> Place:
        """`own`: it is the place of a comment that is a mark itself."""
        marks = self._marks - (own and self._selected.positive)
        return Place(prefix or ":", path, self._selected.encrypts(inside, marked=marks > 0))

    def mapping(self, node: Mapping, prefix: str, path: Path, *, inside: bool) -> Mapping:
        """One map. `prefix` is the `aad` of the keys above, `inside`: one of them is selected."""
        around = self._marks
        items: list[Entry | Comment] = []
        for item in node.items:
            if not isinstance(item, Entry):
                mark = self._selected.marks(item.text)
                self._marks += mark
                new = self._visitor.comment(item, self._place(prefix, path, inside=inside, own=mark))
                items.append(new if isinstance(new, Comment) else Comment(new, item.inline))
                continue
            key = item.key
            if not isinstance(key, str):
                raise SopsKeyTypeError(
                    "a key is not a string",
                    hint="quote it; SOPS takes string keys only",
                    file=self._file,
                    line=item.line,
                    field=format_path(path),
                )
            under = self._selected.enters(inside, key)
            value = self._value(item.value, f"{prefix}{key}:", (*path, key), inside=under)
            self._marks = around
            items.append(Entry(key, value, item.line))
        self._marks = around
        return Mapping(tuple(items))

    def _value(self, value: Value, prefix: str, path: Path, *, inside: bool) -> Value:
        # Most are text, and to ask what a value is not takes longer than what it is.
        if not isinstance(value, str):
            if value is None:
                return None
            if isinstance(value, Mapping):
                return self.mapping(value, prefix, path, inside=inside)
            if isinstance(value, Sequence):
                return self._sequence(value, prefix, path, inside=inside)
        new = self._visitor.value(value, self._place(prefix, path, inside=inside))
        # No format has a place for a comment in a mapping's value, so an altered type label must not make one.
        return new if isinstance(new, str) or not isinstance(new, Comment) else new.text

    def _sequence(self, node: Sequence, prefix: str, path: Path, *, inside: bool) -> Sequence:
        around = self._marks
        items: list[Value | Comment] = []
        index = 0
        for item in node.items:
            if isinstance(item, Comment):
                mark = self._selected.marks(item.text)
                self._marks += mark
                place = self._place(prefix, path, inside=inside, own=mark)
                # An empty comment would come back from sops as an empty item.
                if item.text or not place.encrypted:
                    items.append(self._visitor.comment(item, place))
                continue
            if not isinstance(item, str) and (item is None or isinstance(item, Mapping | Sequence)):
                new: Value | Comment = self._value(item, prefix, (*path, index), inside=inside)
            else:
                place = self._place(prefix, (*path, index), inside=inside)
                new = self._visitor.value(item, place)
            index += not isinstance(new, Comment)
            items.append(new)
            self._marks = around
        self._marks = around
        return Sequence(tuple(items))
