"""Sets of fields as `managedFields` writes them (FieldsV1, KEP-555): trees of path elements, in which `.` is a node itself.

`f:` is a key of a map, `k:` an item of a list by its key fields, `v:` one by its value, `i:` one by its index.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

from agent.values.text import excerpt
from agent.values.tree import get_object

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agent.values.tree import Object

Elements: TypeAlias = tuple[str, ...]
Apart: TypeAlias = Callable[[Elements, bool], bool]
"""Whether a path, with all below it, is set apart; the second argument says whether the other set has it too."""
Divides: TypeAlias = Callable[[Elements], bool]
"""Whether the fields of a list's item are parts each, though the other set lacks it."""
SELF = "."
DEEPEST = 40
"""Path elements; manifests have some twenty. A user may write sets of a thousand, with as many fields down there as an object has room for."""


class Kind(Enum):
    """How a part of a set stands to another one."""

    SHARED = "shared"
    """In both."""
    BEYOND = "beyond"
    """In the first alone."""
    APART = "apart"
    """Looked at no further."""


@dataclass(frozen=True, slots=True)
class Part:
    """One field of a set, or an item of a list with all that the set has `below` it."""

    at: Elements
    below: Object
    kind: Kind

    def __str__(self) -> str:
        return show(self.at)


def children(node: Object) -> list[str]:
    """What a node has besides itself."""
    return [key for key in node if key != SELF]


def union(*trees: Object) -> Object:
    """What any of them has, each looked at once."""
    below: dict[str, list[Object]] = {}
    for tree in trees:
        for key, value in tree.items():
            if isinstance(value, dict):
                below.setdefault(key, []).append(value)
    return {key: found[0] if len(found) == 1 else union(*found) for key, found in below.items()}


def compare(one: Object, other: Object, apart: Apart, divides: Divides) -> Iterator[Part]:
    """The parts of `one`, by how they stand to `other`.

    An item of a list that `other` lacks is one part, with all that is in it, unless it `divides`. An item that neither set has belongs to another
    manager, and so does what `one` has in it. A map counts by its fields: that it exists says nothing. What is `DEEPEST` is one part.
    """
    open_: list[tuple[Object, Object, Elements, Iterator[str]]] = [(one, other, (), iter(children(one)))]
    while open_:
        node, beside, at, keys = open_[-1]
        for key in keys:
            value, place, known = node[key], (*at, key), key in beside
            below = value if isinstance(value, dict) else {}
            fields = children(below) if below else ()
            if apart(place, known) or (not known and key.startswith("k:") and SELF not in below):
                yield Part(place, below, Kind.APART)
            elif not known and key.startswith("k:") and not divides(place):
                yield Part(place, below, Kind.BEYOND)
            elif fields and len(place) < DEEPEST:
                open_.append((below, get_object(beside, key), place, iter(fields)))
                break
            else:
                yield Part(place, below, Kind.SHARED if known or (below and not fields) else Kind.BEYOND)
        else:
            open_.pop()


def only(parts: Iterable[Part], whole: Object) -> Object:
    """Of a set, these parts of it, and the maps and items that they stand in."""
    kept: Object = {}
    nodes: dict[Elements, Object] = {}
    for part in parts:
        node, source = nodes.get(part.at[:-1], kept), whole
        for step in part.at[:-1] if node is kept else ():
            source = get_object(source, step)
            below = node.setdefault(step, {SELF: {}} if SELF in source else {})
            assert isinstance(below, dict)
            node = below
        nodes[part.at[:-1]] = node
        node[part.at[-1]] = part.below
    return kept


def show(at: Elements) -> str:
    """As the API server's messages write a path: `spec.ports[port=83,protocol="TCP"]`. Items by value show no value. Untrusted, and cut."""
    text = ""
    for step in at:
        mark, _, rest = step.partition(":")
        if step == SELF:
            continue
        if mark == "f":
            text += f".{rest}" if not any(each in rest for each in '.[]"') else f'["{rest}"]'
        else:
            text += f"[{_item(mark, rest)}]"
    return excerpt(text.removeprefix("."))


def _item(mark: str, text: str) -> str:
    if mark == "i":
        return text
    try:
        found: object = json.loads(text) if mark == "k" else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, Mapping):
        return ""
    return ",".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in found.items())  # pyright: ignore[reportUnknownVariableType]
