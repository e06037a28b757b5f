"""What would change: two objects compared field by field. Secrets are compared and never shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NotRequired, TypedDict

from agent.manifests import builtin, live
from agent.values.fingerprint import shown
from agent.values.secret import Sealed, Secret
from agent.values.tree import format_path, get_text, map_leaves

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agent.values.fingerprint import Fingerprinter
    from agent.values.ids import ObjectId
    from agent.values.tree import Leaf, Object, Path, Tree

_SERVER_METADATA = frozenset(
    {"creationTimestamp", "deletionTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"}
)


@dataclass(frozen=True, slots=True)
class Change:
    """One field. `before` or `after` None: nothing stands there. List items are named by index, the new one where there is one."""

    path: Path
    before: Tree
    after: Tree


class Line(TypedDict):
    """A change as people and programs see it: secrets as fingerprints, None for nothing. `manager` is who added what is taken out."""

    path: str
    before: Tree
    after: Tree
    manager: NotRequired[str]


def compare(before: Object | None, after: Object | None) -> Iterator[Change]:
    """What leads from one object to the other, in the order of `after`; None is an object that is not there.

    Changes are found as they are asked for: who wants the first few leaves the rest uncompared. What only the server writes (status, managedFields, versions) is left out. Lists that merge by key are compared by key. Data of a
    `v1/Secret` is sealed before it is looked at.
    """
    one, other = _compared(before), _compared(after)
    tree = other if other is not None else one
    if tree is not None:
        group, kind = builtin.group_of(get_text(tree, "apiVersion")), get_text(tree, "kind")
        yield from _Comparison(group, kind).values(one, other, ())


def describe(
    changes: Iterable[Change], fingerprinter: Fingerprinter, application: str, object_id: ObjectId
) -> list[Line]:
    """The changes with every Secret as `fp:…`, keyed by Application uid, object and path. Strings are untrusted text."""

    def hide(at: Path, tree: Tree) -> Tree:
        def leaf(path: Path, value: Leaf) -> Leaf:
            if isinstance(value, Secret | Sealed):
                return shown(fingerprinter.leaf(application, object_id.key, path, value))
            return value

        return map_leaves(tree, leaf, at)

    return [
        Line(
            path=format_path(change.path),
            before=hide(change.path, change.before),
            after=hide(change.path, change.after),
        )
        for change in changes
    ]


def _compared(tree: Object | None) -> Object | None:
    if tree is None:
        return None
    wrapped = live.wrap(tree)
    metadata = wrapped.get("metadata")
    kept: Object = {key: value for key, value in wrapped.items() if key != "status"}
    if isinstance(metadata, dict):
        kept["metadata"] = {key: value for key, value in metadata.items() if key not in _SERVER_METADATA}
    return kept


@dataclass(frozen=True, slots=True)
class _Comparison:
    group: str
    kind: str

    def values(self, before: Tree, after: Tree, at: Path) -> Iterator[Change]:
        if isinstance(before, dict) and isinstance(after, dict):
            for key in [*after, *(key for key in before if key not in after)]:
                yield from self.values(before.get(key), after.get(key), (*at, key))
        elif isinstance(before, list) and isinstance(after, list):
            yield from self._lists(before, after, at)
        elif not _same(before, after):
            yield Change(at, *_alike(before, after))

    def _lists(self, before: list[Tree], after: list[Tree], at: Path) -> Iterator[Change]:
        keys = builtin.list_keys(self.group, self.kind, at)
        if keys is None:
            for index in range(max(len(before), len(after))):
                old = before[index] if index < len(before) else None
                yield from self.values(old, after[index] if index < len(after) else None, (*at, index))
            return
        olds, news = _keyed(before, keys), _keyed(after, keys)
        for key, (index, item) in news.items():
            yield from self.values(olds[key][1] if key in olds else None, item, (*at, index))
        for key, (index, item) in olds.items():
            if key not in news:
                yield from self.values(item, None, (*at, index))
        if [key for key in olds if key in news] != [key for key in news if key in olds]:
            yield Change(at, [*olds], [*news])


def _keyed(items: list[Tree], keys: tuple[str, ...]) -> dict[str, tuple[int, Tree]]:
    keyed: dict[str, tuple[int, Tree]] = {}
    for index, item in enumerate(items):
        key = "/".join(str(part) for part in builtin.item_key(item, keys)) if isinstance(item, dict) else ""
        # A key that stands twice, or is sealed and so shows its label, stays an item of its own.
        keyed[key if key not in keyed else f"{key}#{index}"] = index, item
    return keyed


def _same(before: Tree, after: Tree) -> bool:
    if isinstance(before, Secret) and isinstance(after, str | int | float):
        return before == Secret(after, "same")
    if isinstance(after, Secret) and isinstance(before, str | int | float):
        return after == Secret(before, "same")
    if (
        isinstance(before, int | float)
        and isinstance(after, int | float)
        and isinstance(before, bool) == isinstance(after, bool)
    ):
        return before == after
    return type(before) is type(after) and before == after


def _alike(before: Tree, after: Tree) -> tuple[Tree, Tree]:
    """Both sides sealed where either is: what replaces a secret may be one."""
    if isinstance(before, Secret) and isinstance(after, str | int | float):
        return before, Secret(after, *before.labels)
    if isinstance(after, Secret) and isinstance(before, str | int | float):
        return Secret(before, *after.labels), after
    return before, after
