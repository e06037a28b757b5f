"""An API server in memory: versions, preconditions, server-side apply with managed fields, and a log that watches read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.values.errors import NotFoundError, StaleObjectError
from agent.values.tree import get_object, get_text

if TYPE_CHECKING:
    import asyncio

    from agent.manifests.kinds import Resource
    from agent.values.ids import ObjectId
    from agent.values.tree import Object, Path

_IDENTITY = {
    ("apiVersion",),
    ("kind",),
    *(("metadata", name) for name in ("name", "namespace", "uid", "resourceVersion")),
}


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the log. `tree` is None where the object was deleted, `before` where it was made."""

    key: ObjectId
    before: Object | None
    tree: Object | None


@dataclass(slots=True)
class _Stored:
    """`owned` maps a manager and its operation to the paths that it owns."""

    tree: Object
    owned: dict[tuple[str, str], frozenset[Path]]


@dataclass(slots=True)
class Server:
    """Every object of the cluster, and what became of each in order."""

    objects: dict[ObjectId, _Stored] = field(default_factory=dict)
    log: list[Change] = field(default_factory=list)
    waiting: list[asyncio.Future[None]] = field(default_factory=list)
    version: int = 100
    digest: int = 0

    def get(self, key: ObjectId) -> Object | None:
        found = self.objects.get(key)
        return found.tree if found else None

    def of_kind(self, resource: Resource) -> list[Object]:
        kind = (resource.group, resource.kind)
        return [found.tree for key, found in self.objects.items() if (key.group, key.kind) == kind]

    def apply(self, key: ObjectId, desired: Object, manager: str, *, guarded: bool = True) -> Object:
        """Server-side apply with force. `guarded` False: preconditions are ignored."""
        metadata = get_object(desired, "metadata")
        live = self.get(key)
        if guarded:
            _check(live, get_text(metadata, "uid"), get_text(metadata, "resourceVersion"), creates=True)
        values = dict(_leaves(desired, ()))
        return self._write(key, live, values, (manager, "Apply"))

    def update(self, key: ObjectId, values: dict[Path, object], manager: str) -> Object:
        """What somebody else sets in an object that is there."""
        live = self.get(key)
        if live is None:
            raise NotFoundError("there is no such object", object=key)
        return self._write(key, live, values, (manager, "Update"))

    def put(self, key: ObjectId, tree: Object) -> Object:
        """Store an object as it is, fields owned by nobody."""
        self.objects.setdefault(key, _Stored({}, {}))
        return self._store(key, self.get(key) or None, tree)

    def delete(self, key: ObjectId, uid: str = "", version: str = "") -> bool:
        """Whether there was one."""
        live = self.get(key)
        if live is None:
            return False
        _check(live, uid, version, creates=False)
        del self.objects[key]
        self.version += 1
        self._note(Change(key, live, None))
        return True

    def restore(self, other: Server) -> None:
        """Begin with what stands in another one."""
        self.objects = {key: _Stored(found.tree, found.owned) for key, found in other.objects.items()}
        self.version = other.version

    def _write(self, key: ObjectId, live: Object | None, values: dict[Path, object], writer: tuple[str, str]) -> Object:
        known = self.objects.setdefault(key, _Stored({}, {}))
        owned = {manager: set(paths) for manager, paths in known.owned.items()}
        mine = owned.setdefault(writer, set())
        tree = live or {
            "apiVersion": values[("apiVersion",)],
            "kind": key.kind,
            "metadata": {"name": key.name, "namespace": key.namespace, "uid": f"uid-{self.version}"},
        }
        others = {manager: paths for manager, paths in owned.items() if manager != writer}
        if writer[1] == "Apply":
            for path in mine - values.keys():
                if not any(path in paths for paths in others.values()):
                    tree = _without(tree, path)
            mine.clear()
        for path, value in values.items():
            if path not in _IDENTITY:
                if _at(tree, path) != value:
                    for paths in others.values():
                        paths.discard(path)
                    tree = _with(tree, path, value)
                mine.add(path)
        known.owned = {manager: frozenset(paths) for manager, paths in owned.items() if paths}
        fields = [_entry(manager, paths) for manager, paths in sorted(known.owned.items())]
        tree = {**tree, "metadata": {**get_object(tree, "metadata"), "managedFields": fields}}
        return live if live == tree else self._store(key, live, tree)

    def _store(self, key: ObjectId, live: Object | None, tree: Object) -> Object:
        self.version += 1
        tree = {**tree, "metadata": {**get_object(tree, "metadata"), "resourceVersion": str(self.version)}}
        self.objects[key].tree = tree
        self._note(Change(key, live, tree))
        return tree

    def _note(self, change: Change) -> None:
        self.log.append(change)
        self.digest = hash((self.digest, self.version, change.key.name, _text(change.tree)))
        waiting, self.waiting = self.waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)


def _check(live: Object | None, uid: str, version: str, *, creates: bool) -> None:
    metadata = get_object(live or {}, "metadata")
    if live is None and not (creates and not uid):
        raise StaleObjectError("there is no such object any more")
    if live is not None and (uid or version):
        if uid and get_text(metadata, "uid") != uid:
            raise StaleObjectError("the object is another one")
        if version and get_text(metadata, "resourceVersion") != version:
            raise StaleObjectError("the object changed in between")


def _text(tree: Object | None) -> str:
    return "" if tree is None else repr({key: value for key, value in tree.items() if key != "metadata"})


def _leaves(value: Object, at: Path) -> list[tuple[Path, object]]:
    found: list[tuple[Path, object]] = []
    for key, below in value.items():
        found += _leaves(below, (*at, key)) if isinstance(below, dict) and below else [((*at, key), below)]
    return found


def _at(tree: object, path: Path) -> object:
    for step in path:
        if not isinstance(tree, dict) or step not in tree:
            return None
        tree = tree[step]
    return tree


def _with(tree: Object, path: Path, value: object) -> Object:
    step, *rest = path
    below = tree.get(step)
    return {**tree, step: _with(below if isinstance(below, dict) else {}, tuple(rest), value) if rest else value}


def _without(tree: Object, path: Path) -> Object:
    step, *rest = path
    below = tree.get(step)
    if not rest or not isinstance(below, dict):
        return {key: value for key, value in tree.items() if key != step}
    return {**tree, step: _without(below, tuple(rest))}


def _entry(writer: tuple[str, str], paths: frozenset[Path]) -> Object:
    fields: Object = {}
    for path in sorted(paths):
        node = fields
        for step in path:
            node = node.setdefault(f"f:{step}", {})
    return {
        "manager": writer[0],
        "operation": writer[1],
        "apiVersion": "v1",
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }
