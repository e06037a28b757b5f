"""JSON objects one behind the other, with nothing or blank space between them: how kubectl reads what begins with a brace.

As apimachinery's YAMLOrJSONDecoder: what is no JSON is left to YAML, from where it begins.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NoReturn, cast

from agent.values.dataclass import dataclass
from agent.yaml import numbers
from agent.yaml.read.json import STRING

if TYPE_CHECKING:
    from agent.values.tree import Tree
    from agent.yaml.limits import Limits

_BLANK = r"[ \t\r\n]*+"
_BEGIN = re.compile(rf"{_BLANK}(?=\{{)")
_NEXT = re.compile(rf"{_BLANK}(?:null{_BLANK})*+(?=\{{)")
_END = re.compile(rf"{_BLANK}(?:(?:null{_BLANK})*+\Z)?")
_STRUCTURE = re.compile(rf"{STRING}|[\[\]{{}},]", re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Found:
    """An object, and the line (0-based) at which it begins."""

    tree: Tree
    line: int


@dataclass(frozen=True, slots=True)
class Stream:
    """The objects that a text begins with; `rest` is what follows them, and `line` and `column` (0-based) where that begins."""

    objects: tuple[Found, ...]
    rest: str
    line: int
    column: int


def read(text: str, limits: Limits, *, strict: bool) -> Stream:
    """All objects up to the first thing that is none; a null behind one of them says nothing, as to kubectl.

    What has a key twice is none either, with `strict`, nor what is not UTF-8 or has keys above the limits, nor is anything where the text
    exceeds another limit: YAML, which reads the rest, says what is wrong and where.
    """
    found: list[Found] = []
    end = line = 0
    decoder = json.JSONDecoder(
        object_pairs_hook=_strict if strict else None,
        parse_int=_integer,
        parse_float=_real,
        parse_constant=_constant,
    )
    clean = _clean if "\\u" in text else _same
    within = _BEGIN.match(text) is not None and not _exceeds(text, limits)
    while within and (begin := (_NEXT if found else _BEGIN).match(text, end)):
        at = begin.end()
        try:
            tree, after = cast("tuple[Tree, int]", decoder.raw_decode(text, at))
            tree = clean(tree)
        except (ValueError, RecursionError):
            break
        if _SURROGATE.search(text, at, after) or _has_long_keys(tree, limits):
            break
        line += text.count("\n", end, at)
        found.append(Found(tree, line))
        line += text.count("\n", at, after)
        end = after
    blank = _END.match(text, end) if found else None
    start = blank.end() if blank is not None else 0
    column = start - text.rfind("\n", 0, start) - 1
    return Stream(tuple(found), text[start:], line + text.count("\n", end, start), column)


def _exceeds(text: str, limits: Limits) -> bool:
    """Whether the text nests too deeply, or may hold too many values: each comma and each bracket brings two at the most."""
    depth = values = 0
    for match in _STRUCTURE.finditer(text):
        mark = match.group()
        if mark[0] == '"':
            continue
        if mark in "]}":
            depth -= 1
            continue
        values += 2
        if mark != ",":
            depth += 1
        if depth > limits.depth or values > limits.values:
            return True
    return False


def _has_long_keys(root: Tree, limits: Limits) -> bool:
    waiting: list[tuple[Tree, int]] = [(root, 0)]
    while waiting:
        node, above = waiting.pop()
        if isinstance(node, dict):
            for key, value in node.items():
                if len(key) > limits.key or above + len(key) > limits.path:
                    return True
                if isinstance(value, dict | list):
                    waiting.append((value, above + len(key)))
        elif isinstance(node, list):
            waiting.extend((item, above) for item in node if isinstance(item, dict | list))
    return False


def _strict(pairs: list[tuple[str, Tree]]) -> dict[str, Tree]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError
    return made


def _integer(text: str) -> int | float:
    value = numbers.parse_int(text, 10)
    return _real(text) if value is None else value


def _real(text: str) -> int | float:
    value = float(text)
    if value.is_integer() and numbers.INT64_MIN <= value <= numbers.INT64_MAX:
        return int(value)
    if value in {float("inf"), float("-inf")}:
        raise ValueError
    return value


def _constant(_: str) -> NoReturn:
    raise ValueError


def _same(tree: Tree) -> Tree:
    return tree


def _clean(tree: Tree) -> Tree:
    """Halves of surrogate pairs are U+FFFD to encoding/json."""
    if isinstance(tree, str):
        return tree if tree.isascii() else _SURROGATE.sub("\ufffd", tree)
    if isinstance(tree, dict):
        return {_SURROGATE.sub("\ufffd", key): _clean(value) for key, value in tree.items()}
    return [_clean(item) for item in tree] if isinstance(tree, list) else tree
