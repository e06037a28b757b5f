"""Clear nodes as plain data, for metadata and rules: comments dropped, times as text, `<<` merged as go-yaml v3 does."""

from __future__ import annotations

from typing import TypeAlias

from agent.values.errors import SopsFormatError
from agent.yaml.nodes import Mapping, Sequence, Timestamp, Value

Data: TypeAlias = "str | int | float | bool | dict[str, Data] | list[Data] | None"


def plain_map(node: Mapping, *, file: str) -> dict[str, Data]:
    """Raises SopsFormatError for a key that is not a string, and for `<<` of what is not a map."""
    merged: dict[str, Data] = {}
    fields: dict[str, Data] = {}
    for entry in node.entries():
        if not isinstance(entry.key, str):
            raise SopsFormatError("a key is not a string", file=file, line=entry.line)
        value = _plain(entry.value, file)
        if entry.key != "<<":
            fields[entry.key] = value
            continue
        # Of several maps the first wins, and what is written out wins over all.
        for part in reversed(value) if isinstance(value, list) else [value]:
            if not isinstance(part, dict):
                raise SopsFormatError("only a map can be merged", file=file, line=entry.line)
            merged |= part
    return merged | fields


def _plain(node: Value, file: str) -> Data:
    if isinstance(node, Mapping):
        return plain_map(node, file=file)
    if isinstance(node, Sequence):
        return [_plain(item, file) for item in node.values()]
    return node.text if isinstance(node, Timestamp) else node
