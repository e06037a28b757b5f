"""Who owns which field of a live object: `metadata.managedFields` (FieldsV1, KEP-555) read as values.

The projection is what drift is judged by: the live values at exactly the fields that our manager applied. It does not change when
others add fields, set the status or co-own a field at the same value.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from agent.manifests.builtin import LAST_APPLIED
from agent.values.secret import Secret
from agent.values.tree import get, get_object, get_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agent.values.tree import Object, Path, Tree

_ADOPTED_UPDATES = frozenset(
    {
        "argocd-controller",
        "before-first-apply",
        "flux",
        "kubectl",
        "kubectl-client-side-apply",
        "kubectl-create",
        "kustomize-controller",
    }
)
_ADOPTED_APPLIES = frozenset({"argocd-controller", "flux", "kubectl", "kustomize-controller"})

_ORDERED = frozenset({"f:containers", "f:initContainers", "f:env"})
"""Lists whose order has a meaning of its own, though their items merge by key."""

_SELF = "."


@dataclass(frozen=True, slots=True)
class Writer:
    """A field manager as an object names it: untrusted text. `operation` is Apply or Update, `time` RFC 3339 or empty."""

    manager: str
    operation: str
    time: str
    subresource: str = ""


class _Missing:
    """Nothing stands at a path."""


_MISSING = _Missing()


def project(live: Object, manager: str) -> Object:
    """The live values at the fields that `manager` owns by Apply, keyed by FieldsV1 path elements; empty where it owns none.

    The order of containers and environment variables is part of it. The same for a GET, a watch and an apply's answer.
    """
    own: Object = {}
    others: list[Object] = []
    for entry in entries(live):
        if _is_apply_of(entry, manager):
            own = _union(own, get_object(entry, "fieldsV1"))
        else:
            others.append(get_object(entry, "fieldsV1"))
    if not own:
        return {}
    projected = _project(live, own, others, "")
    return projected if isinstance(projected, dict) else {}


def entries(live: Object) -> list[Object]:
    """`metadata.managedFields`; empty where there are none."""
    found = get(live, "metadata", "managedFields")
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def last_writer(live: Object, paths: Iterable[Path], *, besides: str) -> Writer | None:
    """Who wrote last at or below any of `paths`, other than `besides` by Apply.

    A removed field has no owner left: then it is whoever wrote last at all, the status aside. None where nobody else did.
    """
    wanted = list(paths)
    at_paths: list[Writer] = []
    anywhere: list[Writer] = []
    for entry in entries(live):
        if _is_apply_of(entry, besides) or get_text(entry, "subresource") == "status" or not get_text(entry, "manager"):
            continue
        writer = Writer(
            get_text(entry, "manager"),
            get_text(entry, "operation"),
            get_text(entry, "time"),
            get_text(entry, "subresource"),
        )
        anywhere.append(writer)
        owned = _paths(live, get_object(entry, "fieldsV1"), ())
        if any(_overlap(path, other) for path in owned for other in wanted):
            at_paths.append(writer)
    return max(at_paths or anywhere, key=lambda writer: writer.time, default=None)


def adoption(live: Object, manager: str) -> list[Object] | None:
    """The JSON patch that makes `manager` the applier of what kubectl, Flux or Argo CD applied; None where there is nothing to adopt.

    As client-go's csaupgrade: their entries become part of ours, so that a field deleted in Git is deleted in the cluster. The annotation
    of client-side apply goes. The write to resourceVersion fails with 409 where the object changed in between.
    """
    listed = entries(live)
    adopted = [entry for entry in listed if _is_adopted(entry, manager)]
    annotated = get(live, "metadata", "annotations", LAST_APPLIED) is not None
    if not adopted and not annotated:
        return None
    patch: list[Object] = []
    if adopted:
        own = next((entry for entry in listed if _is_apply_of(entry, manager)), None)
        base = own or max(adopted, key=lambda entry: get_text(entry, "time"))
        merged = get_object(base, "fieldsV1")
        for entry in adopted:
            if entry.get("apiVersion") == base.get("apiVersion"):
                merged = _union(merged, get_object(entry, "fieldsV1"))
        ours: Tree = {
            **{key: value for key, value in base.items() if key != "subresource"},
            "manager": manager,
            "operation": "Apply",
            "fieldsV1": _as_applied(merged),
        }
        rest: list[Tree] = [entry for entry in listed if entry is not own and not _is_adopted(entry, manager)]
        patch.append({"op": "replace", "path": "/metadata/managedFields", "value": [ours, *rest]})
    if annotated:
        pointer = LAST_APPLIED.replace("~", "~0").replace("/", "~1")
        patch.append({"op": "remove", "path": f"/metadata/annotations/{pointer}"})
    version = get_text(live, "metadata", "resourceVersion")
    patch.append({"op": "replace", "path": "/metadata/resourceVersion", "value": version})
    return patch


def _is_apply_of(entry: Object, manager: str) -> bool:
    return entry.get("manager") == manager and entry.get("operation") == "Apply" and not get_text(entry, "subresource")


def _is_adopted(entry: Object, manager: str) -> bool:
    if get_text(entry, "subresource") or _is_apply_of(entry, manager):
        return False
    names = _ADOPTED_APPLIES if entry.get("operation") == "Apply" else _ADOPTED_UPDATES
    return entry.get("manager") in names


def _as_applied(fields: Object) -> Object:
    """The fields as we shall apply them: without kubectl's annotation, and a Secret's data where we write it."""
    written = fields.get("f:stringData")
    if isinstance(written, dict):
        # Server-side apply of stringData owns only that: without this, keys dropped in Git would stay in data for ever.
        fields = {key: value for key, value in fields.items() if key != "f:stringData"}
        fields["f:data"] = _union(get_object(fields, "f:data"), written)
    metadata = fields.get("f:metadata")
    if not isinstance(metadata, dict):
        return fields
    annotations = metadata.get("f:annotations")
    if not isinstance(annotations, dict) or f"f:{LAST_APPLIED}" not in annotations:
        return fields
    kept = {key: value for key, value in annotations.items() if key != f"f:{LAST_APPLIED}"}
    left = {key: value for key, value in metadata.items() if key != "f:annotations"}
    if set(kept) - {_SELF}:
        left["f:annotations"] = kept
    return {**fields, "f:metadata": left}


def _union(one: Object, other: Object) -> Object:
    merged = dict(one)
    for key, value in other.items():
        mine = merged.get(key)
        merged[key] = _union(mine, value) if isinstance(mine, dict) and isinstance(value, dict) else value
    return merged


def _project(value: Tree, node: Object, others: list[Object], field: str) -> Tree:
    children = [key for key in node if key != _SELF]
    if not children:
        # Others own fields below: then the map or list is granular, and it is only its presence that is ours.
        shared = isinstance(value, dict | list) and any(set(other) - {_SELF} for other in others)
        return {} if shared else value
    projected: Object = {}
    for key in sorted(children):
        below = node[key]
        found = _at(value, key)
        if isinstance(found, _Missing) or not isinstance(below, dict):
            continue
        below_others = [get_object(other, key) for other in others]
        projected[key] = _project(found[1], below, below_others, key)
    if field in _ORDERED and isinstance(value, list):
        places = [(found[0], key) for key in projected if not isinstance(found := _at(value, key), _Missing)]
        projected["order"] = [key for _, key in sorted(places, key=lambda place: str(place[0]).zfill(6))]
    return projected


def _paths(value: Tree, node: Object, at: Path) -> Iterator[Path]:
    """The live paths, list items by index, that a FieldsV1 node owns."""
    children = [key for key in node if key != _SELF]
    if not children:
        yield at
    for key in children:
        below, found = node[key], _at(value, key)
        if not isinstance(found, _Missing) and isinstance(below, dict):
            yield from _paths(found[1], below, (*at, found[0]))


def _at(value: Tree, element: str) -> tuple[str | int, Tree] | _Missing:
    """The step and the value that a FieldsV1 path element selects."""
    mark, _, rest = element.partition(":")
    if isinstance(value, dict):
        return (rest, value[rest]) if mark == "f" and rest in value else _MISSING
    if not isinstance(value, list):
        return _MISSING
    if mark == "i":
        return (int(rest), value[int(rest)]) if rest.isdecimal() and int(rest) < len(value) else _MISSING
    wanted = _parsed(rest)
    if mark == "v":
        for index, item in enumerate(value):
            if _same(item, wanted):
                return index, item
    if mark == "k" and isinstance(wanted, dict):
        for index, item in enumerate(value):
            if isinstance(item, dict) and all(_same(item.get(key), one) for key, one in wanted.items()):
                return index, item
    return _MISSING


_KEPT = 256
"""Characters of a key that is remembered: one that has more is a whole value of a list, and seldom comes again."""


def _parsed(text: str) -> Tree:
    return _known(text) if len(text) <= _KEPT else _read(text)


@lru_cache(maxsize=4096)
def _known(text: str) -> Tree:
    return _read(text)


def _read(text: str) -> Tree:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _same(live: Tree, wanted: Tree) -> bool:
    if isinstance(live, Secret):
        # Equality of Secrets is constant-time and shows nothing: a sealed list is matched without being opened.
        return isinstance(wanted, str | int | float) and live == Secret(wanted, "key")
    return live == wanted and isinstance(live, bool) == isinstance(wanted, bool)


def _overlap(one: Path, other: Path) -> bool:
    short = min(len(one), len(other))
    return one[:short] == other[:short]
