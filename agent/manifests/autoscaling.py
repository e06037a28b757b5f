"""Replicas that an autoscaler sets: which workloads a HorizontalPodAutoscaler targets, and who scaled one last.

Autoscalers write through the `scale` subresource, and so does `kubectl scale`, which is a person.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agent.manifests import builtin
from agent.manifests.elements import REPLICAS
from agent.manifests.fields import entries, is_apply_of
from agent.values.ids import ObjectId
from agent.values.tree import get, get_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.values.tree import Object

GROUP: Final = "autoscaling"
KIND: Final = "HorizontalPodAutoscaler"
POINTER: Final = ("spec", "replicas")
CONTROLLER: Final = "kube-controller-manager"
"""As which the HorizontalPodAutoscalers of a cluster scale."""


def target(autoscaler: Object, namespace: str) -> ObjectId:
    """What a HorizontalPodAutoscaler scales."""
    reference = get(autoscaler, "spec", "scaleTargetRef")
    group = builtin.group_of(get_text(reference, "apiVersion"))
    return ObjectId(group, get_text(reference, "kind"), namespace, get_text(reference, "name"))


def targets(objects: Iterable[tuple[ObjectId, Object]]) -> dict[ObjectId, ObjectId]:
    """What the HorizontalPodAutoscalers among these objects scale, each with one that does."""
    return {target(tree, key.namespace): key for key, tree in objects if (key.group, key.kind) == (GROUP, KIND)}


def scalers(live: Object) -> tuple[str, ...]:
    """The managers whose replicas a live object has, set through its `scale` subresource."""
    return tuple(
        get_text(entry, "manager")
        for entry in entries(live)
        if get_text(entry, "subresource") == "scale" and _has_replicas(entry)
    )


def owns_replicas(live: Object, manager: str) -> bool:
    """Whether a manager applied the replicas that a live object has."""
    return any(is_apply_of(entry, manager) and _has_replicas(entry) for entry in entries(live))


def _has_replicas(entry: Object) -> bool:
    return get(entry, "fieldsV1", *REPLICAS) is not None
