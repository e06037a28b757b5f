"""The built-in kinds of Kubernetes and their scope, for where no cluster can be asked. As discovery of Kubernetes 1.36 lists them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent.manifests.builtin import group_of
from agent.manifests.kinds import Kinds, Resource

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

VERSION = "v1.36.0"
"""Of the cluster that a chart is rendered for where none can be asked: that of `helm template`."""

_NAMESPACED: Mapping[str, str] = {
    "v1": """Binding ConfigMap Endpoints Event LimitRange PersistentVolumeClaim Pod PodTemplate ReplicationController ResourceQuota
        Secret Service ServiceAccount""",
    "apps/v1": "ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet",
    "authorization.k8s.io/v1": "LocalSubjectAccessReview",
    "autoscaling/v1": "HorizontalPodAutoscaler",
    "autoscaling/v2": "HorizontalPodAutoscaler",
    "batch/v1": "CronJob Job",
    "coordination.k8s.io/v1": "Lease",
    "discovery.k8s.io/v1": "EndpointSlice",
    "events.k8s.io/v1": "Event",
    "networking.k8s.io/v1": "Ingress NetworkPolicy",
    "policy/v1": "PodDisruptionBudget",
    "rbac.authorization.k8s.io/v1": "Role RoleBinding",
    "resource.k8s.io/v1": "ResourceClaim ResourceClaimTemplate",
    "storage.k8s.io/v1": "CSIStorageCapacity",
}
_CLUSTER: Mapping[str, str] = {
    "v1": "ComponentStatus Namespace Node PersistentVolume",
    "admissionregistration.k8s.io/v1": """MutatingAdmissionPolicy MutatingAdmissionPolicyBinding MutatingWebhookConfiguration
        ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding ValidatingWebhookConfiguration""",
    "apiextensions.k8s.io/v1": "CustomResourceDefinition",
    "apiregistration.k8s.io/v1": "APIService",
    "authentication.k8s.io/v1": "SelfSubjectReview TokenReview",
    "authorization.k8s.io/v1": "SelfSubjectAccessReview SelfSubjectRulesReview SubjectAccessReview",
    "certificates.k8s.io/v1": "CertificateSigningRequest",
    "flowcontrol.apiserver.k8s.io/v1": "FlowSchema PriorityLevelConfiguration",
    "networking.k8s.io/v1": "IPAddress IngressClass ServiceCIDR",
    "node.k8s.io/v1": "RuntimeClass",
    "rbac.authorization.k8s.io/v1": "ClusterRole ClusterRoleBinding",
    "resource.k8s.io/v1": "DeviceClass ResourceSlice",
    "scheduling.k8s.io/v1": "PriorityClass",
    "storage.k8s.io/v1": "CSIDriver CSINode StorageClass VolumeAttachment VolumeAttributesClass",
}


def _resources() -> tuple[Resource, ...]:
    return tuple(
        Resource(group_of(api_version), api_version.rpartition("/")[2], kind, "", namespaced)
        for table, namespaced in ((_NAMESPACED, True), (_CLUSTER, False))
        for api_version, kinds in table.items()
        for kind in kinds.split()
    )


BUILT_IN: tuple[Resource, ...] = _resources()
"""Without plurals, which only requests need."""


def offline(assumed: Iterable[tuple[str, str]] = ()) -> Kinds:
    """The built-in kinds and those `assumed`, each an `apiVersion` and a kind.

    An assumed kind has the scope of the built-in one of its group and name, and is namespaced where there is none.
    """
    known = {(resource.group, resource.kind): resource for resource in BUILT_IN}
    more: list[Resource] = []
    for api_version, kind in assumed:
        group, version = group_of(api_version), api_version.rpartition("/")[2]
        like = known.get((group, kind), Resource(group, version, kind, "", namespaced=True))
        more.append(replace(like, version=version, preferred=False))
    return Kinds([*BUILT_IN, *more])
