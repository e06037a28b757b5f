"""The ordered tree of a SOPS file: maps and lists whose items may be comments, as sops's stores hold it (TreeBranch, Comment)."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from agent.values.dataclass import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Timestamp:
    """A point in time as Go prints it in RFC3339Nano: what sops encrypts, hashes and writes."""

    text: str


@dataclass(frozen=True, slots=True)
class Comment:
    """One line of comment: the text after `#`. `inline` where it stood behind a value.

    `at` is the place of its `#` in the file, in characters (-1 where it came from no file); it is not compared.
    """

    text: str
    inline: bool = False
    at: int = field(default=-1, compare=False)


Scalar: TypeAlias = str | int | float | bool | Timestamp | None
"""A str may hold bytes that are not UTF-8 as surrogate escapes, an int lies in [-2^63, 2^64)."""
Key: TypeAlias = Scalar


@dataclass(frozen=True, slots=True)
class Entry:
    """A key and its value; `line` (1-based, 0 where it came from no file) is not compared."""

    key: Key
    value: Value
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Mapping:
    """Entries in file order with the comments among them."""

    items: tuple[Entry | Comment, ...] = ()

    def entries(self) -> Iterator[Entry]:
        """The items that are no comments."""
        return (item for item in self.items if isinstance(item, Entry))

    def get(self, key: Key) -> Value:
        """The value at a key; None where there is none."""
        return next((entry.value for entry in self.entries() if entry.key == key), None)


@dataclass(frozen=True, slots=True)
class Sequence:
    """Values in file order with the comments among them."""

    items: tuple[Value | Comment, ...] = ()

    def values(self) -> Iterator[Value]:
        """The items that are no comments."""
        return (item for item in self.items if not isinstance(item, Comment))


Value: TypeAlias = Scalar | Mapping | Sequence
