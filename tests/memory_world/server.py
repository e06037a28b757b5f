"""An API server in memory: versions, preconditions, server-side apply with managed fields, and a log that watches read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.manifests import live as wrapping
from agent.values.errors import FieldConflictError, NotFoundError, ObjectInvalidError, StaleObjectError
from agent.values.tree import get, get_object, get_text
from memory_world import field_sets
from memory_world.field_sets import Manager, Owned

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping

    from agent.manifests.kinds import Resource
    from agent.values.ids import ObjectId
    from agent.values.tree import Object, Path
    from memory_world.field_sets import Elements

REMOVED = object()
"""As the value of an update: the field goes."""

_WRITTEN = ("labels", "annotations", "finalizers", "ownerReferences")
"""Metadata that clients write: what a PUT leaves out goes."""

_IMMUTABLE: Mapping[tuple[str, str], Path] = {
    ("apps", "Deployment"): ("spec", "selector"),
    ("batch", "Job"): ("spec", "template"),
    ("", "PersistentVolumeClaim"): ("spec",),
}


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the log. `tree` is None where the object was deleted, `before` where it was made."""

    key: ObjectId
    before: Object | None
    tree: Object | None


@dataclass(slots=True)
class _Stored:
    tree: Object
    owned: dict[Manager, Owned]


@dataclass(slots=True)
class Server:
    """Every object of the cluster, and what became of each in order.

    `admission` is asked before an object is created or changed and raises what refuses it; `controllers` are called after each change.
    """

    objects: dict[ObjectId, _Stored] = field(default_factory=dict)
    log: list[Change] = field(default_factory=list)
    waiting: list[asyncio.Future[None]] = field(default_factory=list)
    admission: list[Callable[[ObjectId, Object], None]] = field(default_factory=list)
    controllers: list[Callable[[Server, Change], None]] = field(default_factory=list)
    time: str = ""
    version: int = 100
    digest: int = 0

    def get(self, key: ObjectId) -> Object | None:
        found = self.objects.get(key)
        return found.tree if found else None

    def of_kind(self, resource: Resource, namespace: str = "") -> list[Object]:
        kind = (resource.group, resource.kind)
        return [
            found.tree
            for key, found in self.objects.items()
            if (key.group, key.kind) == kind and namespace in {"", key.namespace}
        ]

    def apply(
        self,
        key: ObjectId,
        desired: Object,
        manager: str,
        *,
        guarded: bool = True,
        force: bool = True,
        dry_run: bool = False,
    ) -> Object:
        """Server-side apply. `guarded` False: preconditions are ignored."""
        metadata = get_object(desired, "metadata")
        live = self.get(key)
        if guarded:
            _check(live, get_text(metadata, "uid"), get_text(metadata, "resourceVersion"), creates=True)
        me = Manager(manager)
        values = field_sets.leaves(key, wrapping.wrap(desired))
        owned = dict(self.objects[key].owned) if live is not None else {}
        tree = live or self._made(key, desired)
        others = {each: of.paths for each, of in owned.items() if each != me}
        taken = {
            path: whose
            for path, value in values.items()
            if field_sets.sets(tree, path, value)
            and (whose := [each for each, paths in others.items() if path in paths])
        }
        if taken and not force:
            raise FieldConflictError(
                "another manager owns a field",
                fields=", ".join(field_sets.shown(path) for path in taken),
                managers=", ".join(dict.fromkeys(each.name for whose in taken.values() for each in whose)),
            )
        before = owned[me].paths if me in owned else frozenset[field_sets.Elements]()
        for path in sorted(before - values.keys(), key=lambda path: (path[-1] != field_sets.ITEM, path)):
            if not any(field_sets.is_kept(path, paths) for paths in others.values()):
                tree = field_sets.without(tree, path)
        tree, owned = self._set(tree, owned, me, values, get_text(desired, "apiVersion"), frozenset(values))
        return self._write(key, live, tree, owned, dry_run=dry_run)

    def update(self, key: ObjectId, values: Mapping[Path, object], manager: str, *, subresource: str = "") -> Object:
        """What another client sets in an object that is there, or removes from it. Paths are of keys of maps."""
        live = self.get(key)
        if live is None:
            raise NotFoundError("no such object", object=key)
        tree, owned, me = live, dict(self.objects[key].owned), Manager(manager, "Update", subresource)
        changed: dict[Elements, object] = {}
        for path, value in values.items():
            at = tuple(f"f:{step}" for step in path)
            if value is REMOVED:
                tree = field_sets.without(tree, at)
                owned = {each: _without_below(of, at) for each, of in owned.items()}
            else:
                given = _as_leaves(key, path, value)
                changed |= {below: leaf for below, leaf in given.items() if field_sets.sets(tree, below, leaf)}
        mine = owned[me].paths if me in owned else frozenset[field_sets.Elements]()
        tree, owned = self._set(tree, owned, me, changed, get_text(live, "apiVersion"), mine | changed.keys())
        return self._write(key, live, tree, owned)

    def try_create(self, key: ObjectId, desired: Object) -> None:
        """A dry run of creating an object, whether or not one of its name stands."""
        for admit in self.admission:
            admit(key, wrapping.wrap(desired))

    def put(self, key: ObjectId, tree: Object) -> Object:
        """Store an object as it is, with fields that have no owner."""
        self.objects.setdefault(key, _Stored({}, {}))
        return self._store(key, self.get(key) or None, wrapping.wrap(tree))

    def create(self, tree: Object, manager: str, operation: str = "Update") -> Object:
        """What another tool makes: every field is its own."""
        api_version, key = get_text(tree, "apiVersion"), field_sets.identify(tree)
        values = field_sets.leaves(key, wrapping.wrap(tree))
        made, owned = self._set(
            self._made(key, tree), {}, Manager(manager, operation), values, api_version, frozenset(values)
        )
        return self._write(key, None, made, owned)

    def patch(self, key: ObjectId, operations: list[Object], manager: str, *, dry_run: bool = False) -> Object:
        """RFC 6902: `test`, `add`, `replace`, `remove`; resourceVersion is a precondition."""
        live = self.get(key)
        if live is None:
            raise NotFoundError("no such object", object=key)
        tree: object = live
        for operation in operations:
            path = tuple(
                "f:" + step.replace("~1", "/").replace("~0", "~") for step in str(operation["path"]).split("/")[1:]
            )
            found, value = field_sets.at(tree, path), operation.get("value")
            if operation["op"] == "test" and found != value:
                raise StaleObjectError("a test of the patch failed: the object changed in the meantime")
            if operation["op"] in {"replace", "remove"} and found is None:
                raise StaleObjectError("a test of the patch failed: the object changed in the meantime")
            if operation["op"] == "remove":
                tree = field_sets.without(tree, path)
            elif operation["op"] != "test":
                tree = field_sets.with_value(tree, path, value)
        assert isinstance(tree, dict)
        _check(live, get_text(tree, "metadata", "uid"), get_text(tree, "metadata", "resourceVersion"), creates=False)
        owned = field_sets.entries(get(tree, "metadata", "managedFields"))
        return self._change(key, live, tree, owned, manager, dry_run=dry_run)

    def replace(self, tree: Object, manager: str) -> Object:
        """PUT, as `kubectl edit` and `kubectl replace` send it: what of the object differs becomes the manager's."""
        key = field_sets.identify(tree)
        live = self.get(key)
        if live is None:
            raise NotFoundError("no such object", object=key)
        kept = {**get_object(live, "metadata"), **dict.fromkeys(_WRITTEN)}
        metadata = {
            name: value for name, value in {**kept, **get_object(tree, "metadata")}.items() if value is not None
        }
        wrapped = wrapping.wrap({**tree, "metadata": metadata})
        return self._change(key, live, wrapped, dict(self.objects[key].owned), manager)

    def _change(
        self,
        key: ObjectId,
        live: Object,
        tree: Object,
        owned: dict[Manager, Owned],
        manager: str,
        *,
        dry_run: bool = False,
    ) -> Object:
        before, after = field_sets.leaves(key, live), field_sets.leaves(key, tree)
        gone = before.keys() - after.keys()
        owned = {each: Owned(of.paths - gone, of.time, of.api_version) for each, of in owned.items()}
        changed = {path: value for path, value in after.items() if path not in before or before[path] != value}
        if changed:
            me = Manager(manager, "Update")
            mine = owned[me].paths if me in owned else frozenset[field_sets.Elements]()
            tree, owned = self._set(tree, owned, me, changed, get_text(live, "apiVersion"), mine | changed.keys())
        return self._write(key, live, tree, owned, dry_run=dry_run)

    def delete(self, key: ObjectId, uid: str = "", version: str = "", *, orphan: bool = False) -> bool:
        """Whether there was one. What a finalizer keeps is marked and stays; what the object owned goes too, unless it is orphaned."""
        live = self.get(key)
        if live is None:
            return False
        _check(live, uid, version, creates=False)
        if get(live, "metadata", "finalizers"):
            if get(live, "metadata", "deletionTimestamp") is None:
                self._store(key, live, field_sets.with_value(live, ("f:metadata", "f:deletionTimestamp"), "now"))
            return True
        self._remove(key, live, orphan=orphan)
        return True

    def restore(self, other: Server) -> None:
        """Begin with what stands in another one."""
        self.objects = {key: _Stored(found.tree, found.owned) for key, found in other.objects.items()}
        self.version = other.version

    def _made(self, key: ObjectId, given: Object) -> Object:
        metadata: Object = {"name": key.name, "uid": f"uid-{self.version}"}
        if key.namespace:
            metadata["namespace"] = key.namespace
        return {"apiVersion": given["apiVersion"], "kind": key.kind, "metadata": metadata}

    def _set(
        self,
        tree: object,
        owned: dict[Manager, Owned],
        me: Manager,
        values: Mapping[Elements, object],
        api_version: str,
        mine: frozenset[Elements],
    ) -> tuple[Object, dict[Manager, Owned]]:
        """Set values: another owner of one that changes loses it. `mine` is what the writer owns afterwards."""
        changed = [path for path, value in values.items() if field_sets.sets(tree, path, value)]
        for path in changed:
            tree = field_sets.with_value(tree, path, values[path])
        known = owned.get(me)
        lost = {path for path in changed if path[-1] != field_sets.ITEM and values[path] != {}}
        left = {each: Owned(of.paths - lost, of.time, of.api_version) for each, of in owned.items() if each != me}
        fresh = known is None or changed or known.paths != mine
        left[me] = Owned(mine, self.time if fresh or known is None else known.time, api_version)
        assert isinstance(tree, dict)
        return tree, left

    def _write(
        self, key: ObjectId, live: Object | None, tree: object, owned: dict[Manager, Owned], *, dry_run: bool = False
    ) -> Object:
        assert isinstance(tree, dict)
        owned = {manager: of for manager, of in owned.items() if of.paths}
        fields = [field_sets.entry(manager, of) for manager, of in sorted(owned.items())]
        tree = {**tree, "metadata": {**get_object(tree, "metadata"), "managedFields": fields}}
        if live is not None:
            _check_immutable(key, live, tree)
        for admit in self.admission:
            admit(key, tree)
        if live == tree or dry_run:
            return tree if live is None or live != tree else live
        if get(tree, "metadata", "deletionTimestamp") is not None and not get(tree, "metadata", "finalizers"):
            self._remove(key, tree, orphan=False)
            return tree
        self.objects.setdefault(key, _Stored({}, {})).owned = owned
        return self._store(key, live, tree)

    def _store(self, key: ObjectId, live: Object | None, tree: object) -> Object:
        assert isinstance(tree, dict)
        self.version += 1
        stored: Object = {**tree, "metadata": {**get_object(tree, "metadata"), "resourceVersion": str(self.version)}}
        self.objects[key].tree = stored
        self._note(Change(key, live, stored))
        return stored

    def _remove(self, key: ObjectId, live: Object, *, orphan: bool) -> None:
        del self.objects[key]
        self.version += 1
        self._note(Change(key, live, None))
        self._collect(get_text(live, "metadata", "uid"), orphan=orphan)

    def _collect(self, uid: str, *, orphan: bool) -> None:
        for key, found in list(self.objects.items()):
            references = get(found.tree, "metadata", "ownerReferences")
            owners = references if isinstance(references, list) else []
            left = [each for each in owners if get_text(each, "uid") != uid]
            if len(left) == len(owners):
                continue
            if orphan or left:
                self.put(
                    key, {**found.tree, "metadata": {**get_object(found.tree, "metadata"), "ownerReferences": left}}
                )
            else:
                self.delete(key)

    def _note(self, change: Change) -> None:
        self.log.append(change)
        self.digest = hash((self.digest, self.version, change.key.name, _text(change.tree)))
        self.wake()
        for controller in self.controllers:
            controller(self, change)

    def wake(self) -> None:
        """Let every watch look."""
        waiting, self.waiting = self.waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)


def _as_leaves(key: ObjectId, path: Path, value: object) -> dict[Elements, object]:
    nested: object = value
    for step in reversed(path):
        nested = {str(step): nested}
    assert isinstance(nested, dict)
    api_version = f"{key.group}/v1" if key.group else "v1"
    return field_sets.leaves(key, wrapping.wrap({**nested, "apiVersion": api_version, "kind": key.kind}))


def _without_below(owned: Owned, at: Elements) -> Owned:
    return Owned(frozenset(path for path in owned.paths if path[: len(at)] != at), owned.time, owned.api_version)


def _check(live: Object | None, uid: str, version: str, *, creates: bool) -> None:
    metadata = get_object(live or {}, "metadata")
    if live is None and not (creates and not uid):
        raise StaleObjectError("the object no longer exists")
    if live is not None and (uid or version):
        if uid and get_text(metadata, "uid") != uid:
            raise StaleObjectError("the object is another one")
        if version and get_text(metadata, "resourceVersion") != version:
            raise StaleObjectError("the object changed in the meantime")


def _check_immutable(key: ObjectId, live: Object, tree: Object) -> None:
    found = _IMMUTABLE.get((key.group, key.kind))
    frozen = [found] if found else []
    if (key.group, key.kind) in {("", "ConfigMap"), ("", "Secret")} and live.get("immutable") is True:
        frozen = [("immutable",), ("data",)]
    for path in frozen:
        if get(live, *path) != get(tree, *path):
            raise ObjectInvalidError("field has an invalid value", object=key, field=".".join(map(str, path)))


def _text(tree: Object | None) -> str:
    return "" if tree is None else repr({key: value for key, value in tree.items() if key != "metadata"})
