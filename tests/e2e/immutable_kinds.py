"""Objects of every kind before and after a change to a field that only a new object can have, and the field that is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

REPLACE = {"signet-gitops.dev/replace": "true"}
Tree = dict[str, Any]


def pods(app: str = "one", **spec: object) -> Tree:
    container = {"name": "main", "image": f"registry.example/{app}:1"}
    return {"metadata": {"labels": {"app": app}}, "spec": {"containers": [container], **spec}}


def workload(app: str, **more: object) -> Tree:
    return {"spec": {"selector": {"matchLabels": {"app": app}}, "template": pods(app), **more}}


def role(name: str, kind: str = "Role") -> Tree:
    subject = {"kind": "User", "name": "dev", "apiGroup": "rbac.authorization.k8s.io"}
    return {"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}, "subjects": [subject]}


def claim(mode: str) -> Tree:
    return {"spec": {"accessModes": [mode], "resources": {"requests": {"storage": "1Gi"}}}}


def volume(path: str) -> Tree:
    spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": path}}
    return {"spec": {**spec, "storageClassName": "none"}}


@dataclass(frozen=True)
class Kind:
    """Where the API serves it, the object before and after, and the field that is refused."""

    path: str
    before: Tree
    after: Tree
    field: str

    @property
    def kind(self) -> str:
        return self.path.rpartition("/")[2]


RBAC, APPS, STORAGE = "rbac.authorization.k8s.io/v1", "apps/v1", "storage.k8s.io/v1"
KINDS = {
    "Deployment": Kind(f"{APPS}/deployments", workload("one"), workload("two"), "spec.selector"),
    "DaemonSet": Kind(f"{APPS}/daemonsets", workload("one"), workload("two"), "spec.selector"),
    "ReplicaSet": Kind(f"{APPS}/replicasets", workload("one"), workload("two"), "spec.selector"),
    "StatefulSet": Kind(
        f"{APPS}/statefulsets", workload("one", serviceName="a"), workload("one", serviceName="b"), "spec"
    ),
    "Job": Kind(
        "batch/v1/jobs",
        {"spec": {"template": pods("one", restartPolicy="Never")}},
        {"spec": {"template": pods("two", restartPolicy="Never")}},
        "spec.template",
    ),
    "Pod": Kind("v1/pods", {"spec": {**pods()["spec"]}}, {"spec": {**pods()["spec"], "hostNetwork": True}}, "spec"),
    "Service": Kind(
        "v1/services",
        {"spec": {"ports": [{"port": 80}]}},
        {"spec": {"ports": [{"port": 80}], "clusterIP": "None"}},
        "spec.clusterIPs[0]",
    ),
    "Secret": Kind(
        "v1/secrets",
        {"type": "example.com/one", "stringData": {"a": "1"}},
        {"type": "example.com/two", "stringData": {"a": "1"}},
        "type",
    ),
    "ConfigMap": Kind(
        "v1/configmaps", {"immutable": True, "data": {"a": "1"}}, {"immutable": True, "data": {"a": "2"}}, "data"
    ),
    "RoleBinding": Kind(f"{RBAC}/rolebindings", role("one"), role("two"), "roleRef"),
    "ClusterRoleBinding": Kind(
        f"{RBAC}/clusterrolebindings", role("one", "ClusterRole"), role("two", "ClusterRole"), "roleRef"
    ),
    "StorageClass": Kind(
        f"{STORAGE}/storageclasses",
        {"provisioner": "example.com/x", "parameters": {"type": "one"}},
        {"provisioner": "example.com/x", "parameters": {"type": "two"}},
        "parameters",
    ),
    "IngressClass": Kind(
        "networking.k8s.io/v1/ingressclasses",
        {"spec": {"controller": "example.com/one"}},
        {"spec": {"controller": "example.com/two"}},
        "spec.controller",
    ),
    "PriorityClass": Kind("scheduling.k8s.io/v1/priorityclasses", {"value": 1}, {"value": 2}, "value"),
    "RuntimeClass": Kind("node.k8s.io/v1/runtimeclasses", {"handler": "one"}, {"handler": "two"}, "handler"),
    "ResourceQuota": Kind(
        "v1/resourcequotas",
        {"spec": {"hard": {"pods": "100"}, "scopes": ["Terminating"]}},
        {"spec": {"hard": {"pods": "100"}, "scopes": ["NotTerminating"]}},
        "spec.scopes",
    ),
    "Widget": Kind("example.com/v1/widgets", {"spec": {"size": 1}}, {"spec": {"size": 2}}, "spec.size"),
}
"""Replaced where their author says so. A Widget has a transition rule of its own."""

PROTECTED = {
    "PersistentVolumeClaim": Kind("v1/persistentvolumeclaims", claim("ReadWriteOnce"), claim("ReadWriteMany"), "spec"),
    "PersistentVolume": Kind("v1/persistentvolumes", volume("/a"), volume("/b"), "spec.persistentvolumesource"),
}
DROPPED = {
    "ConfigMap": Kind("v1/configmaps", {"immutable": True, "data": {"a": "1"}}, {"data": {"a": "1"}}, "immutable"),
    "Secret": Kind("v1/secrets", {"immutable": True, "stringData": {"a": "1"}}, {"immutable": True}, "data"),
    "StorageClass": Kind(
        f"{STORAGE}/storageclasses",
        {"provisioner": "example.com/x", "parameters": {"type": "one"}},
        {"provisioner": "example.com/x"},
        "parameters",
    ),
}
"""What the change only takes away."""
CLUSTER_WIDE = {
    "ClusterRoleBinding",
    "StorageClass",
    "IngressClass",
    "PriorityClass",
    "RuntimeClass",
    "PersistentVolume",
}
