"""Later layer onto earlier, by Kubernetes' rules: a strategic merge without a schema of its own.

Maps merge by key, the lists that `builtin` knows merge by their key fields, other lists are replaced. `null` deletes what an earlier
layer gave a value; where none did, it is what the layer declares. `$patch: delete` deletes the object, map or list item that it stands
in, `$patch: replace` replaces it. Leaves are never looked at, so ciphertexts merge as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.manifests.builtin import GROUPS, item_key, list_keys, null_in
from agent.values.errors import ManifestError
from agent.values.secret import Sealed, Secret
from agent.values.tree import format_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.values.tree import Object, Path, Tree

DIRECTIVE = "$patch"
_UNSUPPORTED = ("$retainKeys", "$setElementOrder/", "$deleteFromPrimitiveList/")


_GONE: Object = {}
"""What stands, while layers are merged, where one deleted what an earlier one gave: this very map, which stays empty."""


class Merge:
    """The layers of one object, added from the first on."""

    def __init__(self, group: str, kind: str) -> None:
        self._merge = _Merge(group, kind)
        self._tree: Object | None = None

    def add(self, overlay: Object) -> None:
        """The next layer's declaration, which stays as it is.

        Raises ManifestError for a directive that is not known and for items of a keyed list without their key.
        """
        base = self._tree or {}
        if (self._merge.group, self._merge.kind) == ("", "Secret"):
            base, overlay = _one_home(base, overlay)
        self._tree = self._merge.map(base, overlay, ())

    def result(self) -> Object | None:
        """The object; None where the last word is to delete it."""
        return None if self._tree is None else self._merge.settled_map(self._tree, ())


def _one_home(base: Object, overlay: Object) -> tuple[Object, Object]:
    """A key of a Secret stands in `data` or in `stringData`: what the overlay sets or deletes in one leaves the other."""
    for here, there in (("data", "stringData"), ("stringData", "data")):
        incoming, outgoing = overlay.get(here), base.get(there)
        if not isinstance(incoming, dict) or not isinstance(outgoing, dict):
            continue
        if DIRECTIVE in incoming:
            base = {**base, there: {}}
            continue
        base = {**base, there: {key: _GONE if key in incoming else value for key, value in outgoing.items()}}
        kept = {key: value for key, value in incoming.items() if value is not None or outgoing.get(key) is None}
        overlay = {**overlay, here: kept}
    return base, overlay


@dataclass(frozen=True, slots=True)
class _Merge:
    group: str
    kind: str

    def map(self, base: Object, overlay: Object, at: Path) -> Object | None:
        """`overlay` onto `base` at a path; None where a directive deletes the map."""
        directive = _directive(overlay, at)
        if directive == "delete":
            return None
        merged = {} if directive == "replace" else dict(base)
        for key, value in overlay.items():
            if key == DIRECTIVE:
                continue
            if key.startswith(_UNSUPPORTED):
                raise ManifestError(
                    "directive is not supported",
                    hint="use $patch: delete or $patch: replace",
                    field=format_path((*at, key)),
                )
            child = None if value is None else self._value(merged.get(key), value, (*at, key))
            if child is not None or (value is None and merged.get(key) is None):
                merged[key] = child
            elif key in merged:
                merged[key] = _GONE
        return merged

    def _value(self, base: Tree, overlay: Tree, at: Path) -> Tree:
        if isinstance(overlay, dict):
            return self.map(base if isinstance(base, dict) else {}, overlay, at)
        if isinstance(overlay, list):
            keys = list_keys(self.group, self.kind, at)
            if keys is not None:
                return self._list(base if isinstance(base, list) else [], overlay, keys, at)
            for index, item in enumerate(overlay):
                if isinstance(item, dict) and DIRECTIVE in item:
                    raise ManifestError(
                        "items of this list have no merge key",
                        hint="write the whole list: it replaces the one of the layer below",
                        field=format_path((*at, index)),
                    )
        return overlay

    def _list(self, base: list[Tree], overlay: list[Tree], keys: tuple[str, ...], at: Path) -> Tree:
        replaces: Object = {DIRECTIVE: "replace"}
        if replaces in overlay:
            base, overlay = [], [item for item in overlay if item != replaces]
        merged = dict(_keyed(base, keys, at))
        for index, (key, item) in enumerate(_keyed(overlay, keys, at)):
            child = self.map(merged.get(key, {}), item, (*at, index))
            if child is None:
                merged.pop(key, None)
            else:
                merged[key] = child
        return list(merged.values())

    def settled_map(self, tree: Object, at: Path) -> Object:
        """Without what was deleted, and with nulls as the API server takes them."""
        settled: Object = {}
        for key, value in tree.items():
            path = (*at, key)
            if value is None:
                value = self._null(path)  # noqa: PLW2901
            if value is not _GONE:
                settled[key] = self._settled(value, path)
        return settled

    def _settled(self, tree: Tree, at: Path) -> Tree:
        if isinstance(tree, dict):
            return self.settled_map(tree, at)
        if isinstance(tree, list) and list_keys(self.group, self.kind, at) is not None:
            return [self._settled(item, (*at, index)) for index, item in enumerate(tree)]
        return tree

    def _null(self, at: Path) -> Tree:
        """What the declaration of a null comes to.

        Kinds of the API server's own, and metadata of all, have types in which it is no value: sent, it would make the field ours, so
        that no other manager could set it. But where keys are no fields, the API server keeps the key: a selector without it would select
        more. In a custom resource a null may mean something.
        """
        value = null_in(self.group, self.kind, at[:-1])
        if value is not None:
            return value
        return _GONE if self.group in GROUPS or at[0] == "metadata" else None


def _keyed(items: list[Tree], keys: tuple[str, ...], at: Path) -> Iterator[tuple[tuple[object, ...], Object]]:
    seen: set[tuple[object, ...]] = set()
    for index, item in enumerate(items):
        field = format_path((*at, index))
        if not isinstance(item, dict):
            raise ManifestError("list item is not a map", field=field)
        key = item_key(item, keys)
        if any(isinstance(part, Secret | Sealed) for part in key):
            raise ManifestError("merge keys must be in clear text", field=field, keys=", ".join(keys))
        if any(isinstance(part, bool) for part in key):
            raise ManifestError(
                "a merge key is true or false, not text",
                hint="quote it: kubectl reads on, off, yes, no, y and n as these",
                field=field,
                keys=", ".join(keys),
            )
        if not all(isinstance(part, str | int) for part in key):
            raise ManifestError("list item lacks its merge key", field=field, keys=", ".join(keys))
        if key in seen:
            raise ManifestError("list has the same merge key twice", field=field, keys=", ".join(keys))
        seen.add(key)
        yield key, item


def _directive(overlay: Object, at: Path) -> str:
    directive = overlay.get(DIRECTIVE, "merge")
    if isinstance(directive, str) and directive in {"merge", "replace", "delete"}:
        return directive
    raise ManifestError(
        "unknown directive", hint="$patch takes merge, replace or delete", field=format_path((*at, DIRECTIVE))
    )
