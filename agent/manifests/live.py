"""Live objects at the door of the house: what may be a secret is wrapped before anybody else sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.manifests.builtin import CLEAR_FIELDS, GROUPS, LAST_APPLIED, group_of, is_core_secret
from agent.values.secret import Sealed, Secret
from agent.values.tree import get, get_text, map_leaves, show_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.values.tree import Leaf, Object, Path, Tree

_CLEAR_TEXTS = frozenset(
    {
        ("spec", "restartPolicy"),
        ("spec", "type"),
        ("spec", "updateStrategy", "type"),
        ("status", "phase"),
        ("status", "currentRevision"),
        ("status", "updateRevision"),
    }
)
"""Fixed words and generated names of built-in kinds, by which health is judged."""


def wrap(object_: Object, *, whole: bool = False) -> Object:
    """The object with its secrets sealed: all data of a `v1/Secret`, the annotation in which kubectl keeps a copy of the object.

    `whole`: the record says that some path of it holds a secret, so everything but `apiVersion`, `kind` and `metadata` is sealed; what
    health is judged by and cannot be a secret (condition types, counts of built-in kinds) stays clear. The items of a list answer lack
    `apiVersion` and `kind`: set them first. Wrapping twice is the same as once.
    """
    fields = [field for field in object_ if field not in CLEAR_FIELDS] if whole else []
    if not whole and is_core_secret(object_):
        fields = [field for field in ("data", "stringData") if field in object_]
    annotated = get(object_, "metadata", "annotations", LAST_APPLIED) is not None
    if not fields and not annotated:
        return object_
    name = f"{get_text(object_, 'apiVersion')}/{get_text(object_, 'kind')}"
    place = "/".join(
        part for part in (get_text(object_, "metadata", "namespace"), get_text(object_, "metadata", "name")) if part
    )

    def label(path: Path) -> str:
        return f"live:{name}/{place}#{show_path(path)}"

    built_in = group_of(get_text(object_, "apiVersion")) in GROUPS and not is_core_secret(object_)
    wrapped = dict(object_)
    for field in fields:
        wrapped[field] = _seal(object_[field], (field,), label, built_in=built_in)
    if annotated:
        metadata = object_["metadata"]
        assert isinstance(metadata, dict)
        annotations = metadata["annotations"]
        assert isinstance(annotations, dict)
        copy = _seal(annotations[LAST_APPLIED], ("metadata", "annotations", LAST_APPLIED), label, built_in=False)
        wrapped["metadata"] = {**metadata, "annotations": {**annotations, LAST_APPLIED: copy}}
    return wrapped


def _seal(tree: Tree, at: Path, label: Callable[[Path], str], *, built_in: bool) -> Tree:
    def leaf(path: Path, value: Leaf) -> Leaf:
        if value is None or isinstance(value, Secret | Sealed) or _stays_clear(path, value, built_in=built_in):
            return value
        return Secret(value, label(path))

    return map_leaves(tree, leaf, at)


def _stays_clear(path: Path, value: str | float | bool, *, built_in: bool) -> bool:
    if path == ("status", "observedGeneration"):
        return isinstance(value, int)
    if path[:2] == ("status", "conditions") and len(path) == 4 and path[3] in {"type", "status"}:
        return True
    if not built_in:
        return False
    # The sinks of built-in kinds take strings only.
    return not isinstance(value, str) or path in _CLEAR_TEXTS or (path[0] == "status" and path[-1] == "reason")
