"""Who owns which field of a live object: `metadata.managedFields` (FieldsV1, KEP-555) read as values.

The projection is what drift is judged by: the live values at exactly the fields that our manager applied. It does not change when
others add fields, set the status or co-own a field at the same value.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from agent.manifests.builtin import item_key
from agent.manifests.field_trees import SELF, children, union
from agent.values.secret import Secret
from agent.values.tree import get, get_object, get_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agent.manifests.field_trees import Elements
    from agent.values.tree import Object, Path, Tree

_ORDERED = frozenset({"f:containers", "f:initContainers", "f:env"})
"""Lists whose order has a meaning of its own, though their items merge by key."""


@dataclass(frozen=True, slots=True)
class Writer:
    """A field manager as an object names it: untrusted text. `operation` is Apply or Update, `time` RFC 3339 or empty."""

    manager: str
    operation: str
    time: str
    subresource: str = ""


class _Missing:
    """Nothing stands at a path."""


_MISSING = _Missing()


def project(live: Object, manager: str) -> Object:
    """The live values at the fields that `manager` owns by Apply, keyed by FieldsV1 path elements; empty where it owns none.

    The order of containers and environment variables is part of it. The same for a GET, a watch and an apply's answer.
    """
    own: Object = {}
    others: list[Object] = []
    for entry in entries(live):
        if is_apply_of(entry, manager):
            own = union(own, get_object(entry, "fieldsV1"))
        else:
            others.append(get_object(entry, "fieldsV1"))
    if not own:
        return {}
    projected = _project(live, own, others, "")
    return projected if isinstance(projected, dict) else {}


def entries(live: Object) -> list[Object]:
    """`metadata.managedFields`; empty where there are none."""
    found = get(live, "metadata", "managedFields")
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def last_writer(live: Object, paths: Iterable[Path], *, besides: str) -> Writer | None:
    """Who wrote last at or below any of `paths`, other than `besides` by Apply.

    A removed field has no owner left: then it is whoever wrote last at all, the status aside. None where nobody else did.
    """
    wanted = list(paths)
    at_paths: list[Writer] = []
    anywhere: list[Writer] = []
    for entry in entries(live):
        if is_apply_of(entry, besides) or get_text(entry, "subresource") == "status" or not get_text(entry, "manager"):
            continue
        writer = Writer(
            get_text(entry, "manager"),
            get_text(entry, "operation"),
            get_text(entry, "time"),
            get_text(entry, "subresource"),
        )
        anywhere.append(writer)
        owned = _paths(live, get_object(entry, "fieldsV1"), ())
        if any(_overlap(path, other) for path in owned for other in wanted):
            at_paths.append(writer)
    return max(at_paths or anywhere, key=lambda writer: writer.time, default=None)


def place(tree: Object, at: Elements) -> Path | None:
    """Where path elements lead in an object, list items by index; None where nothing stands there."""
    path: list[str | int] = []
    value: Tree = tree
    for element in at:
        found = _at(value, element)
        if isinstance(found, _Missing):
            return None
        path.append(found[0])
        value = found[1]
    return tuple(path)


def is_apply_of(entry: Object, manager: str) -> bool:
    """Whether an entry of `managedFields` is of what `manager` applied."""
    return entry.get("manager") == manager and entry.get("operation") == "Apply" and not get_text(entry, "subresource")


def _project(value: Tree, node: Object, others: list[Object], field: str) -> Tree:
    below_us = children(node)
    if not below_us:
        # Others own fields below: then the map or list is granular, and it is only its presence that is ours.
        shared = isinstance(value, dict | list) and any(set(other) - {SELF} for other in others)
        return {} if shared else value
    projected: Object = {}
    for key in sorted(below_us):
        below = node[key]
        found = _at(value, key)
        if isinstance(found, _Missing) or not isinstance(below, dict):
            continue
        below_others = [get_object(other, key) for other in others]
        projected[key] = _project(found[1], below, below_others, key)
    if field in _ORDERED and isinstance(value, list):
        places = [(found[0], key) for key in projected if not isinstance(found := _at(value, key), _Missing)]
        projected["order"] = [key for _, key in sorted(places, key=lambda place: str(place[0]).zfill(6))]
    return projected


def _paths(value: Tree, node: Object, at: Path) -> Iterator[Path]:
    """The live paths, list items by index, that a FieldsV1 node owns."""
    below_it = children(node)
    if not below_it:
        yield at
    for key in below_it:
        below, found = node[key], _at(value, key)
        if not isinstance(found, _Missing) and isinstance(below, dict):
            yield from _paths(found[1], below, (*at, found[0]))


def _at(value: Tree, element: str) -> tuple[str | int, Tree] | _Missing:
    """The step and the value that a FieldsV1 path element selects."""
    mark, _, rest = element.partition(":")
    if isinstance(value, dict):
        return (rest, value[rest]) if mark == "f" and rest in value else _MISSING
    if not isinstance(value, list):
        return _MISSING
    if mark == "i":
        return (int(rest), value[int(rest)]) if rest.isdecimal() and int(rest) < len(value) else _MISSING
    wanted = _parsed(rest)
    if mark == "v":
        for index, item in enumerate(value):
            if _same(item, wanted):
                return index, item
    if mark == "k" and isinstance(wanted, dict):
        for index, item in enumerate(value):
            if isinstance(item, dict) and all(
                _same(found, one) for found, one in zip(item_key(item, tuple(wanted)), wanted.values(), strict=True)
            ):
                return index, item
    return _MISSING


_KEPT = 256
"""Characters of a key that is remembered: one that has more is a whole value of a list, and seldom comes again."""


def _parsed(text: str) -> Tree:
    return _known(text) if len(text) <= _KEPT else _read(text)


@lru_cache(maxsize=4096)
def _known(text: str) -> Tree:
    return _read(text)


def _read(text: str) -> Tree:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _same(live: Tree, wanted: Tree) -> bool:
    if isinstance(live, Secret):
        # Equality of Secrets is constant-time and shows nothing: a sealed list is matched without being opened.
        return isinstance(wanted, str | int | float) and live == Secret(wanted, "key")
    return live == wanted and isinstance(live, bool) == isinstance(wanted, bool)


def _overlap(one: Path, other: Path) -> bool:
    short = min(len(one), len(other))
    return one[:short] == other[:short]
