"""Fields as sets of paths: what an apply sends, who owns it, and `managedFields` as the API server shows it (FieldsV1)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from agent.manifests import builtin
from agent.values.ids import ObjectId
from agent.values.tree import get_object, get_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agent.values.tree import Object, Path, Tree

Elements: TypeAlias = tuple[str, ...]
"""A path as FieldsV1 has it: `f:` and a key, `k:` and the key fields of a list's item, or `.` for the item itself."""

ITEM: Final = "."

IDENTITY: Final = frozenset(
    {
        ("f:apiVersion",),
        ("f:kind",),
        ("f:metadata", "f:managedFields"),
        *(("f:metadata", f"f:{name}") for name in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")),
    }
)
"""What no manager owns."""


@dataclass(frozen=True, slots=True, order=True)
class Manager:
    """Who writes, as an entry of `managedFields` names it."""

    name: str
    operation: str = "Apply"
    subresource: str = ""


@dataclass(frozen=True, slots=True)
class Owned:
    """The paths of one manager, and when they changed last."""

    paths: frozenset[Elements]
    time: str = ""
    api_version: str = "v1"


_ATOMIC: Final = frozenset(
    {"selector", "nodeSelector", "labelSelector", "namespaceSelector", "podSelector", "secretKeyRef", "configMapKeyRef"}
)
"""Maps of built-in kinds that are one value."""
_SETS: Final = frozenset({("metadata", "finalizers")})
_WHOLE_ITEMS: Final = frozenset({("metadata", "ownerReferences")})


def identify(tree: Object) -> ObjectId:
    """Whose fields these are."""
    group, metadata = builtin.group_of(get_text(tree, "apiVersion")), get_object(tree, "metadata")
    return ObjectId(group, get_text(tree, "kind"), get_text(metadata, "namespace"), get_text(metadata, "name"))


def leaves(key: ObjectId, tree: Object) -> dict[Elements, object]:
    """Every field that an object sets, with its value; lists that merge by key item by item."""
    found = _leaves(key, tree, (), ())
    return {path: value for path, value in found if path not in IDENTITY}


def _leaves(key: ObjectId, value: Tree, at: Elements, plain: Path) -> Iterator[tuple[Elements, object]]:
    if isinstance(value, dict) and value and not (plain[-1:] and plain[-1] in _ATOMIC and key.group in builtin.GROUPS):
        for name, below in value.items():
            yield from _leaves(key, below, (*at, f"f:{name}"), (*plain, name))
    elif isinstance(value, list) and value:
        yield from _items(key, value, at, plain)
    elif value != [] or plain[0] != "metadata":
        yield at, value


def _items(key: ObjectId, items: list[Tree], at: Elements, plain: Path) -> Iterator[tuple[Elements, object]]:
    if plain in _SETS:
        yield from (((*at, f"v:{json.dumps(item)}"), item) for item in items)
        return
    keys = builtin.list_keys(key.group, key.kind, plain)
    if keys is None:
        yield at, items
        return
    for index, item in enumerate(items):
        assert isinstance(item, dict)
        of_item = dict(zip(keys, builtin.item_key(item, keys), strict=True))
        below = (*at, "k:" + json.dumps(of_item, separators=(",", ":"), sort_keys=True))
        if plain in _WHOLE_ITEMS:
            yield below, item
        else:
            yield (*below, ITEM), of_item
            yield from _leaves(key, item, below, (*plain, index))


def sets(tree: object, path: Elements, value: object) -> bool:
    """Whether a value at a path would change a tree: an empty map says no more than that there is one."""
    found = at(tree, path)
    return not isinstance(found, dict) if value == {} else found != value


def at(tree: object, path: Elements) -> object:
    """What stands at a path; None where nothing does."""
    for step in path:
        if step == ITEM:
            return json.loads(path[-2].removeprefix("k:")) if tree is not None else None
        tree = _step(tree, step)
    return tree


def _step(tree: object, step: str) -> object:
    if step[:2] in {"k:", "v:"}:
        return next((item for item in tree if _matches(item, step)), None) if isinstance(tree, list) else None
    return tree.get(step.removeprefix("f:")) if isinstance(tree, dict) else None


def _matches(item: object, step: str) -> bool:
    wanted = json.loads(step[2:])
    if step.startswith("v:"):
        return item == wanted
    return isinstance(item, dict) and builtin.item_key(item, tuple(wanted)) == tuple(wanted.values())


def with_value(tree: object, path: Elements, value: object) -> object:
    """`tree` with a value at a path: a map or an item that is missing is made."""
    if not path:
        return value
    step, *rest = path
    if step == ITEM:
        return tree
    if step[:2] in {"k:", "v:"}:
        items = list(tree) if isinstance(tree, list) else []
        place = next((index for index, item in enumerate(items) if _matches(item, step)), len(items))
        below = items[place] if place < len(items) else json.loads(step[2:])
        return [*items[:place], with_value(below, tuple(rest), value), *items[place + 1 :]]
    known = tree if isinstance(tree, dict) else {}
    name = step.removeprefix("f:")
    return {**known, name: with_value(known.get(name), tuple(rest), value)}


def without(tree: object, path: Elements) -> object:
    """`tree` without what stands at a path; a map that is empty then goes too."""
    step, *rest = path
    if step[:2] in {"k:", "v:"}:
        if not isinstance(tree, list):
            return tree
        if rest in ([], [ITEM]):
            return [item for item in tree if not _matches(item, step)]
        return [without(item, tuple(rest)) if _matches(item, step) else item for item in tree]
    name = step.removeprefix("f:")
    if not isinstance(tree, dict) or name not in tree:
        return tree
    if not rest:
        return {key: value for key, value in tree.items() if key != name}
    below = without(tree[name], tuple(rest))
    kept = {key: value for key, value in tree.items() if key != name}
    return kept if below in ({}, []) else {**tree, name: below}


def is_kept(path: Elements, others: Iterable[Elements]) -> bool:
    """Whether any of `others` still owns what stands at a path; a map or an item is owned as long as anything in it is."""
    whole = path[:-1] if path[-1] == ITEM else path
    return any(other[: len(whole)] == whole for other in others)


def shown(path: Elements) -> str:
    """A path as the API server's messages have it, without the leading dot: `spec.containers[name="web"].image`."""
    text = ""
    for step in path:
        if step.startswith("k:"):
            wanted = json.loads(step.removeprefix("k:"))
            text += "[" + ",".join(f"{name}={json.dumps(value)}" for name, value in wanted.items()) + "]"
        elif step != ITEM:
            text += f".{step.removeprefix('f:')}"
    return text.removeprefix(".")


def entry(manager: Manager, owned: Owned) -> Object:
    """One entry of `managedFields`."""
    fields: Object = {}
    for path in sorted(owned.paths):
        node = fields
        for step in path:
            below = node.setdefault(step, {})
            assert isinstance(below, dict)
            node = below
    given: Object = {
        "manager": manager.name,
        "operation": manager.operation,
        "apiVersion": owned.api_version,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }
    if owned.time:
        given["time"] = owned.time
    if manager.subresource:
        given["subresource"] = manager.subresource
    return given


def entries(listed: object) -> dict[Manager, Owned]:
    """`managedFields` as a client sends it."""
    found: dict[Manager, Owned] = {}
    for each in listed if isinstance(listed, list) else []:
        manager = Manager(get_text(each, "manager"), get_text(each, "operation"), get_text(each, "subresource"))
        paths = frozenset(_paths(get_object(each, "fieldsV1"), ()))
        found[manager] = Owned(paths, get_text(each, "time"), get_text(each, "apiVersion"))
    return found


def _paths(node: Object, at: Elements) -> Iterator[Elements]:
    if not node:
        yield at
    for step, below in node.items():
        assert isinstance(below, dict)
        yield from _paths(below, (*at, step))
