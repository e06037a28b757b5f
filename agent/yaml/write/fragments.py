"""Pieces of YAML to put into an existing file: scalars, flow collections and blocks, in that file's indents and line breaks.

`emit` writes whole files as sops does; here is what fits into a given place, and what any reader of YAML 1.1 or 1.2 takes.
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from typing import TYPE_CHECKING

from agent.values.dataclass import dataclass
from agent.values.errors import YamlError
from agent.yaml import numbers
from agent.yaml.limits import Limits
from agent.yaml.matching import same
from agent.yaml.nodes import Comment, Entry, Mapping, Sequence, Timestamp
from agent.yaml.read import yaml
from agent.yaml.scalars import Dialect, plain
from agent.yaml.write import styles
from agent.yaml.write import yaml as emit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.yaml.matching import Item
    from agent.yaml.nodes import Key, Scalar, Value

_CIPHERTEXT = r"ENC\[[A-Za-z0-9_]+(?:[:,][A-Za-z0-9_./+=-]+)+\]"
_FLOW_SAFE = r"[A-Za-z_/][A-Za-z0-9_./+@-]*"
_INVALID = "[\ud800-\udfff]"
_BEYOND = "([\U00010000-\U000effff])"
_UNSAFE_BREAKS = "\r\x85\u2028\u2029"


@dataclass(frozen=True, slots=True)
class Layout:
    """A file's habits: by how many columns a nested map and a list in a map are indented, and the line break.

    `nested` is the indent that the first nested map shows, 0 where there is none. In flow style: `quoted` where text is quoted as in JSON, `spread` the indent where items have lines of their own, `tight` where no
    space follows a colon or comma.
    """

    step: int
    dash: int
    newline: str = "\n"
    quoted: bool = False
    spread: str | None = None
    tight: bool = False
    nested: int = 0


def scalar(value: Scalar, *, quote: str = "", flow: bool = False, quoted: bool = False) -> str:
    """A scalar on one line. `quote` is kept for text that it can hold; `quoted` quotes all text."""
    if isinstance(value, str):
        return _json_text(value) if quoted and not _is_invalid(value) else _text(value, quote, flow=flow)
    if isinstance(value, float):
        return _real(value, quoted=quoted)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.text if isinstance(value, Timestamp) else str(value)


def _text(text: str, quote: str, *, flow: bool) -> str:
    if quote == "" and not flow and is_ciphertext(text):
        return text
    if _is_invalid(text):
        return "!!binary " + b2a_base64(text.encode("utf-8", "surrogateescape"), newline=False).decode()
    # Readers take what is beyond the first plane as it is, though sops escapes it.
    analysis = styles.analyze(text if text.isascii() else re.sub(_BEYOND, "\u00e9", text))
    if quote == "'" and analysis.single and not analysis.multiline:
        return "'" + text.replace("'", "''") + "'"
    if quote == "" and text != "<<" and styles.is_text(text, Dialect.V3):
        if analysis.plain and (not flow or re.fullmatch(_FLOW_SAFE, text)):
            return text
        if analysis.single and not analysis.multiline and not flow:
            return "'" + text.replace("'", "''") + "'"
    return "".join(
        part if number % 2 else styles.double_quoted(part)[1:-1] for number, part in enumerate(re.split(_BEYOND, text))
    ).join('""')


def _is_invalid(text: str) -> bool:
    """Whether it holds bytes that are not UTF-8."""
    return not text.isascii() and re.search(_INVALID, text) is not None


def is_ciphertext(text: str) -> bool:
    """Whether a text looks like a value that SOPS encrypted: as it is, and between quotes of any kind, it means itself."""
    return re.fullmatch(_CIPHERTEXT, text) is not None


def _json_text(text: str) -> str:
    # Only here, since most files quote otherwise.
    import json

    # What JSON leaves as it is and some readers of YAML take for a line break.
    return re.sub(
        "[\x7f-\x9f\u2028\u2029\ufeff]", lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False)
    )


def _real(value: float, *, quoted: bool) -> str:
    text = numbers.json_text(value) if quoted and numbers.is_finite(value) else numbers.float_text(value)
    if repr(plain(text, Dialect.V3)) == repr(value):
        return text
    # As Go prints it, a whole float is read again as an integer.
    return text + ".0"


def key(value: Key, below: Value, *, flow: bool = False, quoted: bool = False) -> str:
    """A key with its colon; `below` is what stands at it."""
    if value == "<<" and not quoted:
        parts = below.values() if isinstance(below, Sequence) else [below]
        return "<<:" if all(isinstance(part, Mapping) for part in parts) else '"<<":'
    return scalar(value, flow=flow, quoted=quoted) + ":"


def literal(text: str, column: int) -> tuple[str, list[str]] | None:
    """A text of several lines as a block scalar: its header and its lines, indented to `column`. None where it has to be quoted."""
    if "\n" not in text or text[0] in " \t\n" or any(char in text for char in _UNSAFE_BREAKS) or _is_invalid(text):
        return None
    if not styles.analyze(text).block:
        return None
    body = text.rstrip("\n")
    chomp = "-" if body == text else "" if len(text) == len(body) + 1 else "+"
    lines = body.split("\n") + [""] * max(len(text) - len(body) - 1, 0)
    return "|" + chomp, [" " * column + line if line else "" for line in lines]


def flow(value: Value, layout: Layout, base: str) -> str:
    """A value in flow style, on a line that is indented by `base`: on that line, unless comments or the layout spread it."""
    if not isinstance(value, Mapping | Sequence):
        return scalar(value, flow=True, quoted=layout.quoted)
    opening, closing = "{}" if isinstance(value, Mapping) else "[]"
    if not value.items:
        return opening + closing
    space = "" if layout.tight else " "
    broken = layout.newline + base + (" " * layout.step if layout.spread is None else layout.spread)
    inner = broken.removeprefix(layout.newline)
    parts: list[str] = []
    pending = "" if layout.spread is None else broken
    for item in value.items:
        if isinstance(item, Comment):
            parts.append(f"{pending.rstrip()}{broken}#{item.text}")
            pending = broken
            continue
        parts.append(pending)
        if isinstance(item, Entry):
            parts.append(key(item.key, item.value, flow=True, quoted=layout.quoted) + space)
        parts.append(flow(item.value if isinstance(item, Entry) else item, layout, inner))
        pending = "," + (space if layout.spread is None else broken)
    if layout.spread is not None or pending == broken:
        parts.append(layout.newline + base)
    return opening + "".join(parts) + closing


def block(value: Mapping | Sequence, column: int, layout: Layout) -> list[str]:
    """The lines of a map or list that is not empty, its keys or dashes at `column`."""
    indent = " " * column
    lines: list[str] = []
    inline: Comment | None = None
    for item in value.items:
        if inline is not None:
            lines.append(f"{indent}#{inline.text}")
            inline = None
        if isinstance(item, Comment):
            if item.inline:
                inline = item
            else:
                lines.append(f"{indent}#{item.text}")
            continue
        if isinstance(item, Entry):
            lead, below = indent + key(item.key, item.value), item.value
            new = _under_key(lead, below, column, layout)
        else:
            new = _under_dash(indent + "-", item, column, layout)
        lines += new
    if inline is not None:
        lines.append(f"{indent}#{inline.text}")
    return lines


def filled(value: Value) -> bool:
    """Whether a value is written as a block: a map or list that holds more than comments."""
    return isinstance(value, Mapping | Sequence) and any(not isinstance(item, Comment) for item in value.items)


def nested(value: Value, layout: Layout) -> int:
    """By how many columns a block is indented below its key.

    A comment at the end of a list that is not indented would be read as one behind it.
    """
    if isinstance(value, Sequence) and not (layout.dash == 0 and isinstance(value.items[-1], Comment)):
        return layout.dash
    return layout.step


def _under_key(lead: str, value: Value, column: int, layout: Layout) -> list[str]:
    if isinstance(value, Mapping | Sequence) and filled(value):
        return [lead, *block(value, column + nested(value, layout), layout)]
    return _leaf(lead, value, column, layout)


def _under_dash(lead: str, value: Value, column: int, layout: Layout) -> list[str]:
    if isinstance(value, Mapping | Sequence) and filled(value):
        first, *rest = block(value, column + 2, layout)
        return [f"{lead} {first.lstrip(' ')}", *rest]
    return _leaf(lead, value, column, layout)


def _leaf(lead: str, value: Value, column: int, layout: Layout) -> list[str]:
    if isinstance(value, Mapping | Sequence):
        return f"{lead} {flow(value, layout, ' ' * column)}".split(layout.newline)
    written = literal(value, column + layout.step) if isinstance(value, str) else None
    if written is None:
        return [f"{lead} {scalar(value)}"]
    header, lines = written
    return [f"{lead} {header}", *lines]


def document_end(items: Iterable[Item], layout: Layout, indent: int) -> list[str]:
    """The lines of items that end a document: a map among them that comes last is written as sops writes files."""
    document = Mapping(tuple(items))  # pyright: ignore[reportArgumentType]
    *others, last = document.items
    if not isinstance(last, Entry) or not isinstance(last.value, Mapping):
        return block(document, 0, layout)
    written = emit.emit([Mapping((last,))], indent=indent)
    try:
        read = yaml.parse(written, file="", limits=Limits(size=len(written)))
    except YamlError:
        read = []
    if [same(each, Mapping((last,))) for each in read] != [True]:
        return block(document, 0, layout)
    return [*block(Mapping(tuple(others)), 0, layout), *written.decode().removesuffix("\n").split("\n")]
