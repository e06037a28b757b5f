"""Metadata in files that have no nesting: `age__list_0__map_enc` is the `enc` of the first of `age`; scalars are text.

As `stores/flatten.go` and `stores/stores.go` (ValToString) in github.com/getsops/sops.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent.values.dataclass import dataclass, field
from agent.values.errors import EmitError, LimitError, SopsFormatError
from agent.yaml import numbers
from agent.yaml.limits import Limits
from agent.yaml.nodes import Entry, Mapping, Sequence, Timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agent.yaml.nodes import Scalar, Value

_MAP, _LIST = "__map_", "__list_"
_STEP = re.compile(f"{_MAP}|{_LIST}")
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
_FRACTION = re.compile(r"[.,][0-9]+")


def scalar_text(value: Scalar) -> str:
    """A value where all is text: `true`, `1.0`, `1E+21`, times to the second; null is `<nil>`."""
    if isinstance(value, str):
        return value
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Timestamp):
        return _FRACTION.sub("", value.text)
    return numbers.general_text(value) if isinstance(value, float) else str(value)


def flatten(node: Mapping) -> list[tuple[str, Scalar]]:
    """Every scalar with its path, in order; empty maps and lists leave nothing. Raises EmitError for two of one path."""
    found: dict[str, Scalar] = {}
    for path, value in _leaves(node, ""):
        if path in found:
            raise EmitError("two fields of the metadata have one name in this type of file")
        found[path] = value
    return list(found.items())


def _leaves(value: Value, path: str) -> Iterator[tuple[str, Scalar]]:
    if isinstance(value, Mapping):
        for entry in value.entries():
            yield from _leaves(entry.value, f"{path}{_MAP}{entry.key}" if path else str(entry.key))
    elif isinstance(value, Sequence):
        for index, item in enumerate(value.values()):
            yield from _leaves(item, f"{path}{_LIST}{index}")
    else:
        yield path, value


@dataclass(slots=True)
class _Branch:
    """What stands at one path: a scalar, fields or items, of which only one may be."""

    scalars: list[str] = field(default_factory=list[str])
    fields: dict[str, _Branch] = field(default_factory=dict[str, "_Branch"])
    items: dict[int, _Branch] = field(default_factory=dict[int, "_Branch"])

    def node(self, file: str) -> Value:
        if len(self.scalars) + bool(self.fields) + bool(self.items) > 1:
            raise SopsFormatError("a field of the file's metadata appears twice", file=file)
        if self.scalars:
            return self.scalars[0]
        if self.items:
            if sorted(self.items) != list(range(len(self.items))):
                raise SopsFormatError("a list in the file's metadata has a gap", file=file)
            return Sequence(tuple(self.items[index].node(file) for index in range(len(self.items))))
        return Mapping(tuple(Entry(key, self.fields[key].node(file)) for key in sorted(self.fields)))


def unflatten(fields: Iterable[tuple[str, str]], *, file: str, limits: Limits | None = None) -> Mapping:
    """The nested entry, sorted by key. Raises SopsFormatError for paths that contradict one another, LimitError."""
    depth = (limits or Limits()).depth
    root = _Branch()
    for path, value in fields:
        at = root
        steps = list(_steps(path))
        if len(steps) > depth:
            raise LimitError("a field of the file's metadata is nested too deeply", file=file, limit=depth)
        for step in steps:
            at = (
                at.fields.setdefault(step, _Branch()) if isinstance(step, str) else at.items.setdefault(step, _Branch())
            )
        at.scalars.append(value)
    node = root.node(file)
    if not isinstance(node, Mapping):
        raise SopsFormatError("the sops entry is not one map", file=file)
    return node


def _steps(path: str) -> Iterator[str | int]:
    kind, start = _MAP, 0
    for found in [*_STEP.finditer(path), None]:
        part = path[start : found.start() if found else len(path)]
        yield part if kind == _MAP else int(part) if _INTEGER.fullmatch(part) else 0
        if found:
            kind, start = found.group(), found.end()


def plain_value(entry: Entry) -> Scalar:
    """The value of an entry of a flat file. Raises EmitError for a map or list."""
    if isinstance(entry.value, Mapping | Sequence):
        raise EmitError("a map or list cannot be written to this type of file", field=str(entry.key))
    return entry.value
