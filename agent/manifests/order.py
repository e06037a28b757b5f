"""In which order objects are applied, which objects an object needs, and how a workload is rolled when its secrets change.

Waves are numbers: 0 CRDs and Namespaces, 10 classes, RBAC and ServiceAccounts, 20 configuration and storage, 30 workloads, services and
custom resources, 40 webhooks. The annotation `signet-gitops.dev/wave` places an object anywhere on that scale: a migration Job at 25
runs after its Secret and before the workloads.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent.manifests import builtin
from agent.manifests.ownership import ANNOTATION_ROLL, ANNOTATION_WAVE
from agent.values.errors import ManifestError
from agent.values.ids import ObjectId
from agent.values.tree import get, get_object, get_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agent.values.tree import Object, Path, Tree

DEFINITIONS, ACCESS, CONFIGURATION, WORKLOADS, WEBHOOKS = 0, 10, 20, 30, 40

_WAVES: Mapping[tuple[str, str], int] = {
    ("", "Namespace"): DEFINITIONS,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): DEFINITIONS,
    ("", "LimitRange"): ACCESS,
    ("", "ResourceQuota"): ACCESS,
    ("", "ServiceAccount"): ACCESS,
    ("networking.k8s.io", "IngressClass"): ACCESS,
    ("networking.k8s.io", "NetworkPolicy"): ACCESS,
    ("node.k8s.io", "RuntimeClass"): ACCESS,
    ("rbac.authorization.k8s.io", "ClusterRole"): ACCESS,
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): ACCESS,
    ("rbac.authorization.k8s.io", "Role"): ACCESS,
    ("rbac.authorization.k8s.io", "RoleBinding"): ACCESS,
    ("resource.k8s.io", "DeviceClass"): ACCESS,
    ("scheduling.k8s.io", "PriorityClass"): ACCESS,
    ("storage.k8s.io", "CSIDriver"): ACCESS,
    ("storage.k8s.io", "StorageClass"): ACCESS,
    ("storage.k8s.io", "VolumeAttributesClass"): ACCESS,
    ("", "ConfigMap"): CONFIGURATION,
    ("", "PersistentVolume"): CONFIGURATION,
    ("", "PersistentVolumeClaim"): CONFIGURATION,
    ("", "Secret"): CONFIGURATION,
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"): WEBHOOKS,
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"): WEBHOOKS,
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): WEBHOOKS,
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"): WEBHOOKS,
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"): WEBHOOKS,
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): WEBHOOKS,
    ("apiregistration.k8s.io", "APIService"): WEBHOOKS,
}

_ROLLED = frozenset({("apps", "DaemonSet"), ("apps", "Deployment"), ("apps", "StatefulSet")})
"""Workloads whose controller replaces pods when the template changes; a Job's template cannot change, a CronJob's pods are new anyway."""


def is_explicit(tree: Object) -> bool:
    """Whether an object names its wave: then the waves after it wait until it is Healthy."""
    return get(tree, "metadata", "annotations", ANNOTATION_WAVE) is not None


def wave_of(object_id: ObjectId, tree: Object) -> int:
    """The wave of an object. Raises ManifestError for an annotation that is not a whole number from -1000 to 1000."""
    if is_explicit(tree):
        text = get(tree, "metadata", "annotations", ANNOTATION_WAVE)
        if not isinstance(text, str) or not re.fullmatch(r"-?[0-9]{1,4}", text) or abs(int(text)) > 1000:
            raise ManifestError(
                "wave is not a whole number from -1000 to 1000", field=f'metadata.annotations["{ANNOTATION_WAVE}"]'
            )
        return int(text)
    return _WAVES.get((object_id.group, object_id.kind), WORKLOADS)


def waves(objects: Mapping[ObjectId, Object]) -> list[list[ObjectId]]:
    """Identities by wave, first to last; within a wave sorted. Raises ManifestError as `wave_of`: ask that first, per object."""
    by_wave: dict[int, list[ObjectId]] = {}
    for object_id in sorted(objects):
        by_wave.setdefault(wave_of(object_id, objects[object_id]), []).append(object_id)
    return [by_wave[number] for number in sorted(by_wave)]


def depends_on(tree: Object) -> frozenset[ObjectId]:
    """The Secrets, ConfigMaps, claims and ServiceAccount of its own namespace that an object names, optional ones too."""
    group, kind = builtin.group_of(get_text(tree, "apiVersion")), get_text(tree, "kind")
    namespace = get_text(tree, "metadata", "namespace")
    template = builtin.pod_template(group, kind)
    named: Iterator[tuple[str, Tree]] = iter(())
    if template is not None:
        named = _named_by_pod(get_object(tree, *template, "spec"))
    elif (group, kind) == ("networking.k8s.io", "Ingress"):
        named = (("Secret", get(item, "secretName")) for item in _list(tree, "spec", "tls"))
    elif (group, kind) == ("", "ServiceAccount"):
        named = (
            ("Secret", get(item, "name")) for field in ("secrets", "imagePullSecrets") for item in _list(tree, field)
        )
    return frozenset(ObjectId("", of, namespace, name) for of, name in named if isinstance(name, str) and name)


def pod_template_path(group: str, kind: str) -> Path | None:
    """Where the pod template of a workload stands that is rolled by changing it; None for every other kind."""
    return builtin.pod_template(group, kind) if (group, kind) in _ROLLED else None


def set_restart_token(tree: Object, token: str) -> Object:
    """`tree` with the annotation in its pod template that rolls it when `token` changes; as it is where the kind has none."""
    path = pod_template_path(builtin.group_of(get_text(tree, "apiVersion")), get_text(tree, "kind"))
    if path is None or not get_object(tree, *path):
        return tree
    return _with(tree, (*path, "metadata", "annotations"), ANNOTATION_ROLL, token)


def restart_token(live: Object) -> str:
    """The token in a workload's pod template; empty where there is none."""
    path = pod_template_path(builtin.group_of(get_text(live, "apiVersion")), get_text(live, "kind"))
    return "" if path is None else get_text(live, *path, "metadata", "annotations", ANNOTATION_ROLL)


def _with(tree: Object, path: Path, key: str, value: str) -> Object:
    if not path:
        return {**tree, key: value}
    step = str(path[0])
    return {**tree, step: _with(get_object(tree, step), path[1:], key, value)}


def _list(tree: Tree, *path: str) -> list[Tree]:
    found = get(tree, *path)
    return found if isinstance(found, list) else []


def _named_by_pod(spec: Object) -> Iterator[tuple[str, Tree]]:
    yield "ServiceAccount", spec.get("serviceAccountName")
    for item in _list(spec, "imagePullSecrets"):
        yield "Secret", get(item, "name")
    for volume in _list(spec, "volumes"):
        yield from _named_by_volume(volume)
    for containers in builtin.CONTAINERS:
        for container in _list(spec, containers):
            for item in _list(container, "env"):
                yield "Secret", get(item, "valueFrom", "secretKeyRef", "name")
                yield "ConfigMap", get(item, "valueFrom", "configMapKeyRef", "name")
            for item in _list(container, "envFrom"):
                yield "Secret", get(item, "secretRef", "name")
                yield "ConfigMap", get(item, "configMapRef", "name")


def _named_by_volume(volume: Tree) -> Iterator[tuple[str, Tree]]:
    yield "Secret", get(volume, "secret", "secretName")
    yield "Secret", get(volume, "csi", "nodePublishSecretRef", "name")
    yield "ConfigMap", get(volume, "configMap", "name")
    yield "PersistentVolumeClaim", get(volume, "persistentVolumeClaim", "claimName")
    for source in _list(volume, "projected", "sources"):
        yield "Secret", get(source, "secret", "name")
        yield "ConfigMap", get(source, "configMap", "name")
