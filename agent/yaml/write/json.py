"""JSON as sops's JSON store writes it (encoding/json)."""

from __future__ import annotations

import re

from agent.values.errors import EmitError
from agent.yaml import numbers
from agent.yaml.nodes import Comment, Mapping, Sequence, Timestamp, Value

_ESCAPED = re.compile('[\0-\x1f"\\\\<>&\u2028\u2029\ud800-\udfff]')
_SHORT = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_SURROGATE = re.compile("[\ud800-\udfff]")


def emit(document: Mapping, *, indent: str = "\t") -> bytes:
    """A file of this object, with a final newline. Comments are left out. Raises EmitError for what JSON has no form for."""
    return emit_value(document, indent=indent) + b"\n"


def emit_value(value: Value, *, indent: str = "\t") -> bytes:
    """One value, without a final newline. Raises EmitError for a key that is no string, infinity and NaN."""
    parts: list[str] = []
    _write(value, "\n", indent, parts)
    return "".join(parts).encode()


def _write(value: Value, line: str, indent: str, parts: list[str]) -> None:
    deeper = line + indent
    if isinstance(value, Mapping):
        entries = [item for item in value.items if not isinstance(item, Comment)]
        for number, entry in enumerate(entries):
            if not isinstance(entry.key, str):
                raise EmitError("a key that is not a string cannot be written in JSON")
            parts.append(f"{',' if number else '{'}{deeper}{_quote(entry.key)}: ")
            _write(entry.value, deeper, indent, parts)
        parts.append(f"{line}}}" if entries else "{}")
    elif isinstance(value, Sequence):
        items = [item for item in value.items if not isinstance(item, Comment)]
        for number, item in enumerate(items):
            parts.append(f"{',' if number else '['}{deeper}")
            _write(item, deeper, indent, parts)
        parts.append(f"{line}]" if items else "[]")
    else:
        parts.append(_scalar(value))


def _scalar(value: str | float | bool | Timestamp | None) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _quote(value)
    if isinstance(value, Timestamp):
        return _quote(value.text)
    if isinstance(value, float):
        if not numbers.is_finite(value):
            raise EmitError("infinity and NaN cannot be written in JSON")
        # sops writes `-0`, which is read back as an integer without a sign: the MAC would not fit.
        return "-0.0" if repr(value) == "-0.0" else numbers.json_text(value)
    return str(value)


def _quote(text: str) -> str:
    return f'"{_ESCAPED.sub(_escape, text)}"'


def _escape(match: re.Match[str]) -> str:
    char = match.group()
    if char in _SHORT:
        return _SHORT[char]
    return f"\\u{0xFFFD if _SURROGATE.match(char) else ord(char):04x}"
