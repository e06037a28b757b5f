"""Fields as `managedFields` names them (FieldsV1, KEP-555), and what of an object they lead to.

An element is `f:` and a key, `k:` and the fields that identify a list's item, `v:` and an item of a set, or `.` for an item as such. It is
how an object as Git writes it and as it stands in the cluster are spoken of alike: an index means another item in each.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from agent.manifests import builtin
from agent.manifests.field_trees import DEEPEST, SELF
from agent.manifests.fields import entries, is_apply_of
from agent.manifests.lookup import Lookup
from agent.values.tree import get_object

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from agent.manifests.field_trees import Elements
    from agent.values.tree import Object, Tree

REPLICAS: Final[Elements] = ("f:spec", "f:replicas")


def of_item(item: Object, keys: tuple[str, ...]) -> str:
    """The element of a list's item, as the API server writes it."""
    named = dict(zip(keys, builtin.item_key(item, keys), strict=True))
    return "k:" + json.dumps(named, separators=(",", ":"), sort_keys=True, ensure_ascii=False, default=str)


def leaves(node: Object) -> Iterator[Elements]:
    """The fields of a FieldsV1 node. All that is `DEEPEST` in it is one."""
    waiting: list[tuple[Elements, Object]] = [((), node)]
    while waiting:
        at, fields = waiting.pop()
        for element, below in fields.items():
            if isinstance(below, dict) and below and len(at) + 1 < DEEPEST:
                waiting.append(((*at, element), below))
            else:
                yield (*at, element)


def node(fields: Collection[Elements]) -> Object:
    """The FieldsV1 node of some fields."""
    tree: Object = {}
    for path in sorted(fields):
        at = tree
        for element in path:
            below = at.setdefault(element, {})
            assert isinstance(below, dict)
            at = below
    return tree


def owned(entry: Object) -> frozenset[Elements]:
    """The fields of an entry of `managedFields`."""
    return frozenset(leaves(get_object(entry, "fieldsV1")))


def applied_by(live: Object, manager: str) -> frozenset[Elements]:
    """The fields that a manager applied."""
    return frozenset(path for entry in entries(live) if is_apply_of(entry, manager) for path in owned(entry))


def stands(tree: Object, path: Elements) -> bool:
    """Whether an object has a field, whatever it holds."""
    return standing(tree)(path)


def standing(tree: Object) -> Callable[[Elements], bool]:
    """As `stands`, of many fields: each list is looked through once for all of them."""
    lookup = Lookup(tree)
    return lambda path: lookup.place(path[: path.index(SELF)] if SELF in path else path) is not None


def without(tree: Object, fields: Collection[Elements]) -> Object:
    """An object without some of its fields, and without maps and lists that are empty for that.

    What identifies an item stays as long as anything else of it does, or as its `.` is not among the fields.
    """
    left = _without(tree, fields)
    assert isinstance(left, dict)
    return left


def with_values(tree: Object, live: Object, fields: Iterable[Elements]) -> Object:
    """An object with the values that a live one has at some of its fields."""
    for path in sorted(fields):
        tree = get_object({"": _with(tree, live, path)}, "")
    return tree


def _with(tree: Tree, live: Tree, path: Elements) -> Tree:
    if not path or path[0] == SELF:
        return live if not path else tree
    if isinstance(live, dict):
        key = path[0].removeprefix("f:")
        known = tree if isinstance(tree, dict) else {}
        return {**known, key: _with(known.get(key), live[key], path[1:])} if key in live else tree
    selects = _selecting(path[0])
    found = next(filter(selects, live), None) if isinstance(live, list) else None
    if not isinstance(found, dict):
        return tree
    identity: Object = {key: found[key] for key in _identity(path[0]) if key in found}
    items = tree if isinstance(tree, list) else []
    place = next((index for index, item in enumerate(items) if selects(item)), len(items))
    before = items[place] if place < len(items) else identity
    return [*items[:place], _with(before, found, path[1:]), *items[place + 1 :]]


def _without(tree: Tree, fields: Collection[Elements]) -> Tree:
    if isinstance(tree, dict):
        kept: Object = {}
        for key, value in tree.items():
            below = {path[1:] for path in fields if path[0] == f"f:{key}"}
            left = _without(value, below) if below and () not in below else value
            if () not in below and (not below or left not in ({}, [])):
                kept[key] = left
        return kept
    if not isinstance(tree, list):
        return tree
    items: list[Tree] = []
    selecting = {element: _selecting(element) for element in {path[0] for path in fields}}
    for item in tree:
        selected = {element for element, selects in selecting.items() if selects(item)}
        below = {path[1:] for path in fields if path[0] in selected}
        identity = _identity(min(selected, default=""))
        left = _without(item, {path for path in below if path and path[0].removeprefix("f:") not in identity})
        bare = isinstance(left, dict) and left.keys() <= identity
        if () not in below and not (bare and (SELF,) in below):
            items.append(left)
    return items


def _identity(element: str) -> frozenset[str]:
    """The keys that identify the items which an element selects."""
    wanted: Tree = json.loads(element[2:]) if element.startswith("k:") else None
    return frozenset(wanted if isinstance(wanted, dict) else ())


def _selecting(element: str) -> Callable[[Tree], bool]:
    """Whether an item of a list is the one that an element names, which is read once for all of them."""
    mark, _, rest = element.partition(":")
    try:
        wanted: Tree = json.loads(rest)
    except ValueError:
        return lambda _: False
    if mark == "v":
        return lambda item: item == wanted
    if not isinstance(wanted, dict):
        return lambda _: False
    keys, values = tuple(wanted), tuple(wanted.values())
    return lambda item: isinstance(item, dict) and builtin.item_key(item, keys) == values
