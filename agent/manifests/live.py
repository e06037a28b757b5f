"""Live objects at the door of the house: what may be a secret is wrapped before anybody else sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.manifests.builtin import LAST_APPLIED, is_core_secret
from agent.values.tree import format_path, get, get_text, seal

if TYPE_CHECKING:
    from agent.values.tree import Object, Path

_CLEAR = frozenset({"apiVersion", "kind", "metadata"})


def wrap(object_: Object, *, whole: bool = False) -> Object:
    """The object with its secrets sealed: all data of a `v1/Secret`, the annotation in which kubectl keeps a copy of the object.

    `whole`: the record says that some path of it holds a secret, so everything but `apiVersion`, `kind` and `metadata` is sealed. The
    items of a list answer lack `apiVersion` and `kind`: set them first. Wrapping twice is the same as once.
    """
    fields = [field for field in object_ if field not in _CLEAR] if whole else []
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
        return f"live:{name}/{place}#{format_path(path)}"

    wrapped = dict(object_)
    for field in fields:
        wrapped[field] = seal(object_[field], lambda path, field=field: label((field, *path)))
    if annotated:
        metadata = object_["metadata"]
        assert isinstance(metadata, dict)
        annotations = metadata["annotations"]
        assert isinstance(annotations, dict)
        copy = seal(annotations[LAST_APPLIED], lambda path: label(("metadata", "annotations", LAST_APPLIED, *path)))
        wrapped["metadata"] = {**metadata, "annotations": {**annotations, LAST_APPLIED: copy}}
    return wrapped
