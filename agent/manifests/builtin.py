"""What we know of the built-in kinds without a schema: their groups, where their pods stand, which lists merge by key.

The keys are the `patchMergeKey` and `listMapKey` markers of k8s.io/api. A custom resource has none of these: its lists are values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.values.tree import Object, Path, Tree

GROUPS = frozenset(
    {
        "",
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "apiregistration.k8s.io",
        "apps",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "autoscaling",
        "batch",
        "certificates.k8s.io",
        "coordination.k8s.io",
        "discovery.k8s.io",
        "events.k8s.io",
        "extensions",
        "flowcontrol.apiserver.k8s.io",
        "internal.apiserver.k8s.io",
        "networking.k8s.io",
        "node.k8s.io",
        "policy",
        "rbac.authorization.k8s.io",
        "resource.k8s.io",
        "scheduling.k8s.io",
        "storage.k8s.io",
        "storagemigration.k8s.io",
    }
)

_POD_TEMPLATES: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("", "Pod"): (),
    ("", "PodTemplate"): ("template",),
    ("", "ReplicationController"): ("spec", "template"),
    ("apps", "DaemonSet"): ("spec", "template"),
    ("apps", "Deployment"): ("spec", "template"),
    ("apps", "ReplicaSet"): ("spec", "template"),
    ("apps", "StatefulSet"): ("spec", "template"),
    ("batch", "CronJob"): ("spec", "jobTemplate", "spec", "template"),
    ("batch", "Job"): ("spec", "template"),
}

CLEAR_FIELDS = frozenset({"apiVersion", "kind", "metadata"})
"""Shown to anyone who may list an object, and read by us before anything is opened: no secret stands there."""

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""The annotation in which client-side kubectl keeps a copy of what it applied, secrets included."""

CONTAINERS = ("initContainers", "containers", "ephemeralContainers")

_CONTAINER_LISTS: Mapping[str, tuple[str, ...]] = {
    "env": ("name",),
    "ports": ("containerPort", "protocol"),
    "volumeDevices": ("devicePath",),
    "volumeMounts": ("mountPath",),
}

_POD_LISTS: Mapping[tuple[str, ...], tuple[str, ...]] = {
    ("volumes",): ("name",),
    ("imagePullSecrets",): ("name",),
    ("hostAliases",): ("ip",),
    ("topologySpreadConstraints",): ("topologyKey", "whenUnsatisfiable"),
    ("resourceClaims",): ("name",),
    ("schedulingGates",): ("name",),
    **{(containers,): ("name",) for containers in CONTAINERS},
    **{(containers, "*", field): keys for containers in CONTAINERS for field, keys in _CONTAINER_LISTS.items()},
}

_KIND_LISTS: Mapping[tuple[str, str], Mapping[tuple[str, ...], tuple[str, ...]]] = {
    ("", "Service"): {("spec", "ports"): ("port", "protocol")},
    ("", "ServiceAccount"): {("secrets",): ("name",), ("imagePullSecrets",): ("name",)},
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): {("webhooks",): ("name",)},
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): {("webhooks",): ("name",)},
}

_ANY_LISTS: Mapping[tuple[str, ...], tuple[str, ...]] = {
    ("metadata", "ownerReferences"): ("uid",),
    ("status", "conditions"): ("type",),
}

_ONE_VALUE = frozenset(
    {
        "configMapKeyRef",
        "dataSource",
        "fieldRef",
        "fileKeyRef",
        "labelSelector",
        "namespaceSelector",
        "nodeSelector",
        "objectSelector",
        "podSelector",
        "resourceFieldRef",
        "roleRef",
        "scopeSelector",
        "secretKeyRef",
        "selector",
    }
)
"""Maps of built-in kinds that are owned as a whole: `structType=atomic` and `mapType=atomic`."""

_KEY_DEFAULTS: Mapping[str, str] = {"protocol": "TCP"}


_TEXT_MAPS: Mapping[tuple[str, str], frozenset[Path]] = {
    ("", "ConfigMap"): frozenset({("data",), ("binaryData",)}),
    ("", "ReplicationController"): frozenset({("spec", "selector")}),
    ("", "Secret"): frozenset({("data",), ("stringData",)}),
    ("", "Service"): frozenset({("spec", "selector")}),
    ("node.k8s.io", "RuntimeClass"): frozenset({("scheduling", "nodeSelector")}),
    ("storage.k8s.io", "StorageClass"): frozenset({("parameters",)}),
    ("storage.k8s.io", "VolumeAttributesClass"): frozenset({("parameters",)}),
}
_METADATA_MAPS = frozenset({("metadata", "labels"), ("metadata", "annotations")})
_TEXT_ENDS = _METADATA_MAPS | {
    ("csi", "volumeAttributes"),
    ("flexVolume", "options"),
}
"""How the paths of maps of texts end in any of the built-in kinds; their keys are no fields, but anybody's."""
_QUANTITY_ENDS = frozenset(
    {
        ("inlineVolumeSpec", "capacity"),
        ("overhead", "podFixed"),
        ("resources", "limits"),
        ("resources", "requests"),
        ("spec", "capacity"),
        ("spec", "hard"),
    }
)


def group_of(api_version: str) -> str:
    """`apps` of `apps/v1`, empty for the core group."""
    return api_version.rpartition("/")[0]


def is_core_secret(tree: Object) -> bool:
    """Whether an object is a `v1/Secret`."""
    return tree.get("apiVersion") == "v1" and tree.get("kind") == "Secret"


def pod_template(group: str, kind: str) -> tuple[str, ...] | None:
    """The path of the pod template (`metadata` and `spec` stand below it), or None. For a Pod it is the object itself."""
    return _POD_TEMPLATES.get((group, kind))


def null_in(group: str, kind: str, path: Path) -> str | None:
    """What a null is, to Go, as a value of the map at `path`: empty text or no quantity. None where the keys of the map are fields."""
    if is_text_map(group, kind, path):
        return ""
    if group in GROUPS and (path[-2:] in _QUANTITY_ENDS or _in_pod(group, kind, path) == ("spec", "overhead")):
        return "0"
    return None


def is_text_map(group: str, kind: str, path: Path) -> bool:
    """Whether a map of texts stands at `path`, whose keys are anybody's."""
    if path in _METADATA_MAPS or path in _TEXT_MAPS.get((group, kind), ()):
        return True
    if group not in GROUPS or not path:
        return False
    return (
        path[-1] == "matchLabels" or path[-2:] in _TEXT_ENDS or _in_pod(group, kind, path) == ("spec", "nodeSelector")
    )


def _in_pod(group: str, kind: str, path: Path) -> Path:
    """The path below the pod template; empty where it is not in one."""
    template = pod_template(group, kind)
    return path[len(template) :] if template is not None and path[: len(template)] == template else ()


def is_one_value(group: str, path: Path) -> bool:
    """Whether the map at `path` is one value, so that its keys have no managers of their own."""
    return group in GROUPS and path[-1:] != () and path[-1] in _ONE_VALUE and path[:1] != ("metadata",)


def list_keys(group: str, kind: str, path: Path) -> tuple[str, ...] | None:
    """The fields that identify an item of the list at `path`, or None where a list is one value."""
    if group not in GROUPS:
        return None
    shape = tuple("*" if isinstance(step, int) else step for step in path)
    if shape in _ANY_LISTS:
        return _ANY_LISTS[shape]
    template = pod_template(group, kind)
    if template is not None:
        spec = (*template, "spec")
        if shape[: len(spec)] == spec:
            return _POD_LISTS.get(shape[len(spec) :])
    return _KIND_LISTS.get((group, kind), {}).get(shape)


def item_key(item: Object, keys: tuple[str, ...]) -> tuple[Tree, ...]:
    """The values of an item's key fields, defaults filled in, as for null too; None where one is missing."""
    given = ((key, item.get(key)) for key in keys)
    return tuple(_KEY_DEFAULTS.get(key) if value is None else value for key, value in given)
