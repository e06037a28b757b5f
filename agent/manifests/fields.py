"""Who owns which field of a live object: `metadata.managedFields` (FieldsV1, KEP-555) read as values.

Drift is judged by the values of owned fields: the live values at exactly the fields that our manager applied. It does not change when
others add fields, set the status or co-own a field at the same value.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.manifests.field_trees import children, union
from agent.manifests.lookup import Lookup
from agent.values.tree import get, get_object, get_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

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


def owned_values(live: Object, manager: str) -> Object:
    """The live values at the fields that `manager` owns by Apply, keyed by FieldsV1 path elements; empty where it owns none.

    The order of containers and environment variables is part of it. The same for a GET, a watch and an apply's answer.
    """
    listed = entries(live)
    own = union(*(get_object(entry, "fieldsV1") for entry in listed if is_apply_of(entry, manager)))
    others = union(*(get_object(entry, "fieldsV1") for entry in listed if not is_apply_of(entry, manager)))
    values = _owned_values(Lookup(live), live, own, others, "") if own else {}
    return values if isinstance(values, dict) else {}


def entries(live: Object) -> list[Object]:
    """`metadata.managedFields`; empty where there are none."""
    found = get(live, "metadata", "managedFields")
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def last_writer(live: Object, paths: Iterable[Path], *, besides: str) -> Writer | None:
    """Who wrote last at or below any of `paths`, other than `besides` by Apply.

    A removed field has no owner left: then it is the last writer of the object, the status aside. None where there is no other.
    """
    wanted = set(paths)
    lookup = Lookup(live)
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
        if _meets(lookup, live, get_object(entry, "fieldsV1"), wanted):
            at_paths.append(writer)
    return max(at_paths or anywhere, key=lambda writer: writer.time, default=None)


def is_apply_of(entry: Object, manager: str) -> bool:
    """Whether an entry of `managedFields` is of what `manager` applied."""
    return entry.get("manager") == manager and entry.get("operation") == "Apply" and not get_text(entry, "subresource")


def _owned_values(lookup: Lookup, value: Tree, node: Object, others: Object, field: str) -> Tree:
    below_us = children(node)
    if not below_us:
        # Others own fields below: then the map or list is granular, and it is only its presence that is ours.
        return {} if isinstance(value, dict | list) and children(others) else value
    values: Object = {}
    places: list[tuple[str | int, str]] = []
    for key in sorted(below_us):
        found = lookup.select(value, key)
        if found is not None:
            places.append((found[0], key))
            values[key] = _owned_values(lookup, found[1], get_object(node, key), get_object(others, key), key)
    if field in _ORDERED and isinstance(value, list):
        values["order"] = [key for _, key in sorted(places, key=lambda place: str(place[0]).zfill(6))]
    return values


def _meets(lookup: Lookup, value: Tree, node: Object, wanted: Collection[Path]) -> bool:
    """Whether a FieldsV1 node owns something live at, above or below one of these paths, list items by index."""
    below_it = children(node)
    if not below_it:
        return True
    ahead: defaultdict[str | int, set[Path]] = defaultdict(set)
    for path in wanted:
        if path:
            ahead[path[0]].add(path[1:])
    for key in below_it:
        found = lookup.select(value, key)
        if found is None:
            continue
        below = {()} if () in wanted else ahead.get(found[0])
        if below and _meets(lookup, found[1], get_object(node, key), below):
            return True
    return False
