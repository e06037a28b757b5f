"""What a document means to Kubernetes: `sops -d FILE | kubectl apply -f -`.

sops prints with go-yaml v3 what kubectl then reads with go-yaml v2, so a time is its text, a float that is a whole number is an
integer, and `<<` merges (v2: where it stands, over what came before).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.values.errors import SopsFormatError
from agent.values.tree import format_path
from agent.yaml import numbers
from agent.yaml.nodes import Comment, Mapping, Sequence, Timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping as Lookup

    from agent.values.secret import Sealed
    from agent.values.tree import Object, Path, Tree
    from agent.yaml.nodes import Value

_MERGE = "<<"


def scalar(value: str | float | bool | Timestamp) -> str | int | float | bool | None:
    """The value as kubectl sends it; None for a number that JSON cannot hold."""
    if isinstance(value, Timestamp):
        return value.text
    if isinstance(value, float):
        if not numbers.is_finite(value):
            return None
        return int(value) if value.is_integer() and abs(value) < 1 << 63 else value
    return value


def tree(document: Mapping, sealed: Lookup[Path, Sealed], *, file: str) -> Object:
    """A document with what stands in `sealed` in its places.

    Raises SopsFormatError for infinities, for `<<` of what is not a map, and for a key that stands twice, which JSON's parser keeps.
    """
    return _Meaning(sealed, file).mapping(document, ())


class _Meaning:
    def __init__(self, sealed: Lookup[Path, Sealed], file: str) -> None:
        self._sealed = sealed
        self._file = file

    def mapping(self, node: Mapping, path: Path) -> Object:
        """One map, its `<<` merged where it stands."""
        fields: Object = {}
        written: set[str] = set()
        for entry in node.entries():
            key = str(entry.key)
            if key in written:
                raise SopsFormatError(
                    "a key appears twice", file=self._file, line=entry.line, field=format_path((*path, key))
                )
            written.add(key)
            value = self._value(entry.value, (*path, key))
            if key == _MERGE:
                self._merge(fields, value, entry.line)
            else:
                fields[key] = value
        return fields

    def _merge(self, fields: Object, value: Tree, line: int) -> None:
        # Of several maps the first wins, so it goes last.
        for part in reversed(value) if isinstance(value, list) else [value]:
            if not isinstance(part, dict):
                raise SopsFormatError("only a map can be merged", file=self._file, line=line, field=_MERGE)
            fields.update(part)

    def _value(self, value: Value, path: Path) -> Tree:
        if isinstance(value, Mapping):
            return self.mapping(value, path)
        if isinstance(value, Sequence):
            items = (item for item in value.items if not isinstance(item, Comment))
            return [self._value(item, (*path, index)) for index, item in enumerate(items)]
        if path in self._sealed:
            return self._sealed[path]
        if value is None:
            return None
        found = scalar(value)
        if found is None:
            raise SopsFormatError("JSON has no such number", file=self._file, field=format_path(path))
        return found
