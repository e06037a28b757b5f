"""One place of a document, by the path that a user writes: `["data"]["list"][0]`.

As `parseTreePath`, `Truncate`, `set` and `unset` in github.com/getsops/sops, for scripts that count on them: a place that is not there is
made, a number beyond the end of a list adds to it, a scalar in the way is replaced, and the comments of a list count as items.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, LiteralString, NoReturn

from agent.values.errors import (
    AgentError,
    ExtractPathError,
    InputError,
    LimitError,
    MisfitError,
    NoSuchPlaceError,
    PlaceShapeError,
    SetFormatError,
)
from agent.yaml import numbers
from agent.yaml.limits import Limits
from agent.yaml.nodes import Comment, Entry, Mapping, Sequence

if TYPE_CHECKING:
    from collections.abc import Sequence as Many

    from agent.values.tree import Path
    from agent.yaml.nodes import Value

_INDEX = r"[+-]?[0-9]{1,18}"
_MOST_EXACT = 1 << 53
"""The largest integer up to which every one is a float64."""


def parse(text: str, *, refusal: type[AgentError] = ExtractPathError) -> Path:
    """The keys and numbers of a path. Raises `refusal`."""
    steps: list[str | int] = []
    for part in text.split("["):
        if not part:
            continue
        if not part.endswith("]"):
            raise _not_a_path(text, refusal)
        step = part[:-1]
        if step[:1] in {'"', "'"} and len(step) > 1:
            steps.append(step[1:-1])
        elif re.fullmatch(_INDEX, step):
            steps.append(int(step))
        else:
            raise _not_a_path(text, MisfitError if step in {"", '"', "'"} else refusal)
    return tuple(steps)


def _not_a_path(text: str, refusal: type[AgentError]) -> AgentError:
    return refusal("not a path", hint="""write it as '["key"][0]'""", path=text)


def parse_value(text: str) -> Value:
    """What JSON says: a number is a float, as sops has it, but an integer within an object, or where a float would round it.

    Raises SetFormatError, also for a number that SOPS does not hold. An array is refused, since sops refuses it: its items are set one by one.
    """
    # Only here, since a file may be looked up without.
    from agent.yaml.read import json

    try:
        # A value of its own is what is one in an object: one member, and nothing behind it.
        wrapped = json.parse(b'{"value":%s}' % text.encode("utf-8", "surrogateescape"), file="value")
    except InputError:
        _not_a_value("the value is not JSON")
    values = [entry.value for entry in wrapped.entries()]
    if len(values) != 1:
        _not_a_value("the value is not JSON")
    if isinstance(values[0], Sequence):
        _not_a_value("the value is a list")
    [value] = values
    if _is_rounded(value):
        raise SetFormatError("a number has more digits than SOPS keeps", hint="""quote it to make it text: '"text"'""")
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _MOST_EXACT:
        return float(value)
    return value


def _is_rounded(value: Value) -> bool:
    if isinstance(value, Mapping):
        return any(_is_rounded(entry.value) for entry in value.entries())
    if isinstance(value, Sequence):
        return any(map(_is_rounded, value.values()))
    return isinstance(value, numbers.Rounded)


def _not_a_value(message: LiteralString) -> NoReturn:
    raise SetFormatError(
        message, hint="""text stands in quotes, '"text"'; the items of a list are set one by one, at [0], [1], …"""
    ) from None


def find(document: Mapping, path: Path) -> Value | Comment:
    """What stands at a place. Raises NoSuchPlaceError, PlaceShapeError."""
    at: Value | Comment = document
    for step in path:
        if isinstance(at, Mapping) and isinstance(step, str):
            entry = next((entry for entry in at.entries() if entry.key == step), None)
            if entry is None:
                raise NoSuchPlaceError("the document has no such key", key=step)
            at = entry.value
        elif isinstance(at, Sequence) and isinstance(step, int):
            at = at.items[_within(at, step)]
        else:
            raise _misfit("the document has no such place", step, panics=isinstance(step, str))
    return at


def put(document: Mapping, path: Path, value: Value) -> Mapping:
    """The document with a value at a place; the very same nodes where nothing changed. Raises PlaceShapeError, LimitError."""
    if not path:
        raise MisfitError("a path names at least one key")
    limit = Limits().depth
    if len(path) + _depth(value) > limit:
        raise LimitError("maps and lists would be nested too deeply", hint="shorten the path", limit=limit)
    new = _put(document, path, value)
    assert isinstance(new, Mapping)
    return new


def _depth(value: Value) -> int:
    """Of maps and lists; JSON has kept them within bounds."""
    if isinstance(value, Mapping):
        return 1 + max((_depth(entry.value) for entry in value.entries()), default=0)
    if isinstance(value, Sequence):
        return 1 + max((_depth(item) for item in value.values()), default=0)
    return 0


def _put(at: Value | Comment, path: Path, value: Value) -> Value:
    step, *rest = path
    if isinstance(at, Mapping):
        return _put_entry(at, step, tuple(rest), value)
    if not isinstance(at, Sequence):
        return _made(path, value)
    if not isinstance(step, int) or step < 0:
        raise _misfit("a place in a list is a number", step, panics=True)
    if step >= len(at.items):
        # What is added for a longer path leaves the number out: a list in the list is not meant.
        return Sequence((*at.items, _made(tuple(rest), value)))
    old = at.items[step]
    new = _put(old, tuple(rest), value) if rest else value
    return at if same(old, new) else Sequence((*at.items[:step], new, *at.items[step + 1 :]))


def _put_entry(at: Mapping, step: str | int, rest: Path, value: Value) -> Mapping:
    for index, entry in enumerate(at.items):
        if isinstance(entry, Entry) and entry.key == step:
            new = _put(entry.value, rest, value) if rest else value
            if same(entry.value, new):
                return at
            return Mapping((*at.items[:index], Entry(entry.key, new, entry.line), *at.items[index + 1 :]))
    # A number names no key of a map, and sops leaves the map as it is.
    return Mapping((*at.items, Entry(step, _made(rest, value)))) if isinstance(step, str) else at


def _made(path: Path, value: Value) -> Value:
    for step in reversed(path):
        value = Mapping((Entry(step, value),)) if isinstance(step, str) else Sequence((value,))
    return value


def take(document: Mapping, path: Path) -> Mapping:
    """The document without what stands at a place. Raises NoSuchPlaceError, PlaceShapeError."""
    if not path:
        raise MisfitError("a path names at least one key")
    new = _take(document, path)
    assert isinstance(new, Mapping)
    return new


def _take(at: Value | Comment, path: Path) -> Mapping | Sequence:
    step, *rest = path
    if isinstance(at, Mapping):
        for index, entry in enumerate(at.items):
            if isinstance(entry, Entry) and entry.key == step:
                kept = (Entry(entry.key, _take(entry.value, tuple(rest)), entry.line),) if rest else ()
                return Mapping((*at.items[:index], *kept, *at.items[index + 1 :]))
        raise NoSuchPlaceError("the document has no such key", key=step)
    if isinstance(at, Sequence):
        if not isinstance(step, int):
            raise _misfit("a place in a list is a number", step, panics=True)
        index = _within(at, step)
        return Sequence(
            (*at.items[:index], *([_take(at.items[index], tuple(rest))] if rest else []), *at.items[index + 1 :])
        )
    raise _misfit("the document has no such place", step)


def _within(at: Sequence, index: int) -> int:
    if index < 0:
        raise _misfit("a place in a list counts from 0", index, panics=True)
    if index >= len(at.items):
        raise NoSuchPlaceError("the list has no such item", index=index)
    return index


def _misfit(message: LiteralString, step: str | int, *, panics: bool = False) -> PlaceShapeError:
    return (MisfitError if panics else PlaceShapeError)(message, step=step)


def same(one: Value | Comment, other: Value | Comment) -> bool:
    """Whether two values are equal to sops: types count (`1` is not `1.0`), NaN equals nothing."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return len(one.items) == len(other.items) and all(
            _same_item(*items) for items in zip(one.items, other.items, strict=True)
        )
    if isinstance(one, Sequence) and isinstance(other, Sequence):
        return _all_same(one.items, other.items)
    if isinstance(one, Comment) and isinstance(other, Comment):
        return one.text == other.text
    return type(one) is type(other) and one == other


def _same_item(one: Entry | Comment, other: Entry | Comment) -> bool:
    if isinstance(one, Entry) and isinstance(other, Entry):
        return same(one.key, other.key) and same(one.value, other.value)
    return isinstance(one, Comment) and isinstance(other, Comment) and same(one, other)


def _all_same(ones: Many[Value | Comment], others: Many[Value | Comment]) -> bool:
    return len(ones) == len(others) and all(same(*pair) for pair in zip(ones, others, strict=True))
