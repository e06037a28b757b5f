"""Who owns which field of a live object: `metadata.managedFields` (FieldsV1, KEP-555) read as values.

The projection is what drift is judged by: the live values at exactly the fields that our manager applied. It does not change when
others add fields, set the status or co-own a field at the same value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.manifests.builtin import LAST_APPLIED
from agent.manifests.elements import Elements
from agent.values.tree import get, get_object, get_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

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


def project(live: Object, manager: str) -> Object:
    """The live values at the fields that `manager` owns by Apply, keyed by FieldsV1 path elements; empty where it owns none.

    The order of containers and environment variables is part of it. The same for a GET, a watch and an apply's answer.
    """
    listed = entries(live)
    own = _union([get_object(entry, "fieldsV1") for entry in listed if _is_apply_of(entry, manager)])
    others = _union([get_object(entry, "fieldsV1") for entry in listed if not _is_apply_of(entry, manager)])
    projected = _project(Elements(), live, own, others, "") if own else {}
    return projected if isinstance(projected, dict) else {}


def entries(live: Object) -> list[Object]:
    """`metadata.managedFields`; empty where there are none."""
    found = get(live, "metadata", "managedFields")
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def last_writer(live: Object, paths: Iterable[Path], *, besides: str) -> Writer | None:
    """Who wrote last at or below any of `paths`, other than `besides` by Apply.

    A removed field has no owner left: then it is whoever wrote last at all, the status aside. None where nobody else did.
    """
    wanted = set(paths)
    above = {path[:length] for path in wanted for length in range(len(path) + 1)}
    elements = Elements()
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
        owned = _paths(elements, live, get_object(entry, "fieldsV1"), ())
        if any(path in above or any(path[:length] in wanted for length in range(len(path))) for path in owned):
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
        alike = [entry for entry in adopted if entry.get("apiVersion") == base.get("apiVersion")]
        merged = _union([get_object(entry, "fieldsV1") for entry in (base, *alike)])
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
        fields["f:data"] = _union([get_object(fields, "f:data"), written])
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


def _union(trees: Sequence[Object]) -> Object:
    """What any of them has, each looked at once."""
    below: dict[str, list[Object]] = {}
    for tree in trees:
        for key, value in tree.items():
            if isinstance(value, dict):
                below.setdefault(key, []).append(value)
    return {key: found[0] if len(found) == 1 else _union(found) for key, found in below.items()}


def _project(elements: Elements, value: Tree, node: Object, others: Object, field: str) -> Tree:
    children = [key for key in node if key != _SELF]
    if not children:
        # Others own fields below: then the map or list is granular, and it is only its presence that is ours.
        return {} if isinstance(value, dict | list) and set(others) - {_SELF} else value
    projected: Object = {}
    places: list[tuple[str | int, str]] = []
    for key in sorted(children):
        found = elements.select(value, key)
        if found is not None:
            places.append((found[0], key))
            projected[key] = _project(elements, found[1], get_object(node, key), get_object(others, key), key)
    if field in _ORDERED and isinstance(value, list):
        projected["order"] = [key for _, key in sorted(places, key=lambda place: str(place[0]).zfill(6))]
    return projected


def _paths(elements: Elements, value: Tree, node: Object, at: Path) -> Iterator[Path]:
    """The live paths, list items by index, that a FieldsV1 node owns."""
    children = [key for key in node if key != _SELF]
    if not children:
        yield at
    for key in children:
        found = elements.select(value, key)
        if found is not None:
            yield from _paths(elements, found[1], get_object(node, key), (*at, found[0]))
