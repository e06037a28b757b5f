"""A field that only a new object can change: found by dry run for every kind, and the object replaced only where its author says so."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from manifests_written import config_map, deployment

from testbed.processes import wait_until

if TYPE_CHECKING:
    from testbed.installation import Tenant

REPLACE = {"signet-gitops.dev/replace": "true"}
BY_ANNOTATION = 'signet-gitops.dev/replace: "true"'
Tree = dict[str, Any]


def annotated(manifest: str, annotations: dict[str, str]) -> str:
    tree = json.loads(manifest)
    tree["metadata"]["annotations"] = annotations
    return json.dumps(tree)


def pods(app: str = "one", **spec: object) -> Tree:
    container = {"name": "main", "image": f"registry.example/{app}:1"}
    return {"metadata": {"labels": {"app": app}}, "spec": {"containers": [container], **spec}}


def workload(app: str, **more: object) -> Tree:
    return {"spec": {"selector": {"matchLabels": {"app": app}}, "template": pods(app), **more}}


def role(name: str, kind: str = "Role") -> Tree:
    subject = {"kind": "User", "name": "somebody", "apiGroup": "rbac.authorization.k8s.io"}
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


def definition(rule: str) -> Tree:
    size = {"type": "integer", "x-kubernetes-validations": [{"rule": rule, "message": "stays as it is"}]}
    spec = {"type": "object", "properties": {"size": size}}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
            "versions": [version],
        },
    }


@pytest.fixture
def powerful(tenant: Tenant) -> Tenant:
    """A tenant who may everything, in a cluster that serves Widgets, which the agent may watch."""
    control = tenant.controlplane
    control.apply(definition("self == oldSelf"))
    label = {"signet-gitops.dev/aggregate-to-agent": "true"}
    rule = {"apiGroups": ["example.com"], "resources": ["widgets"], "verbs": ["get", "list", "watch"]}
    control.apply(
        {
            "apiVersion": RBAC,
            "kind": "ClusterRole",
            "metadata": {"name": "signet-agent-widgets", "labels": label},
            "rules": [rule],
        }
    )
    control.apply(
        {
            "apiVersion": RBAC,
            "kind": "ClusterRoleBinding",
            "metadata": {"name": f"{tenant.namespace}-admin"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": "signet-applier", "namespace": tenant.namespace}],
        }
    )
    return tenant


def written(tenant: Tenant, kinds: dict[str, Kind], *, after: bool, **annotations: str) -> dict[str, str]:
    files: dict[str, str] = {}
    for name, kind in kinds.items():
        metadata: Tree = {"name": f"{tenant.namespace}-x"}
        if annotations:
            metadata["annotations"] = {f"signet-gitops.dev/{word}": text for word, text in annotations.items()}
        tree = {"apiVersion": kind.path.rpartition("/")[0], "kind": name, "metadata": metadata}
        files[f"{name}.yaml"] = json.dumps({**tree, **(kind.after if after else kind.before)})
    return files


def uids(tenant: Tenant, kinds: dict[str, Kind]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, kind in kinds.items():
        version, _, plural = kind.path.rpartition("/")
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        inside = "" if name in CLUSTER_WIDE else f"/namespaces/{tenant.namespace}"
        code, answer = tenant.controlplane.request("GET", f"{root}{inside}/{plural}/{tenant.namespace}-x")
        found[name] = answer["metadata"]["uid"] if code == 200 else f"{code}"
    return found


@pytest.mark.parametrize("kinds", [KINDS, DROPPED], ids=["changed", "dropped"])
def test_immutable_fields_of_every_kind_are_found_and_their_objects_replaced_where_the_author_says_so(
    powerful: Tenant, kinds: dict[str, Kind]
):
    tenant = powerful
    tenant.deploy(written(tenant, kinds, after=False))
    before = uids(tenant, kinds)

    report = tenant.sync(written(tenant, kinds, after=True))

    told = {each["object"].split()[0].split(".")[0]: each for each in report.failures}
    assert {name: (each["reason"], each["field"]) for name, each in told.items()} == {
        name: ("ImmutableField", kind.field) for name, kind in kinds.items()
    }
    assert {name for name, each in told.items() if BY_ANNOTATION not in each["hint"]} == set()
    assert uids(tenant, kinds) == before

    tenant.sync(written(tenant, kinds, after=True, replace="true"))

    # a Pod takes its time to go
    tenant.until(lambda report: report.failures == [], "everything is replaced")
    after = uids(tenant, kinds)
    assert {name for name in kinds if after[name] == before[name]} == set()
    trail = tenant.installation.agent.audit()
    replaced = {str(each["object"]).split()[0].split(".")[0] for each in trail if each.get("action") == "replace"}
    assert replaced >= set(kinds)


def test_what_holds_data_is_replaced_only_where_somebody_confirms_that_object(powerful: Tenant):
    tenant = powerful
    tenant.deploy(written(tenant, PROTECTED, after=False))
    before = uids(tenant, PROTECTED)

    plain = tenant.sync(written(tenant, PROTECTED, after=True))
    asked = tenant.sync(written(tenant, PROTECTED, after=True, replace="true"))

    for report in (plain, asked):
        told = {each["object"].split()[0].split(".")[0]: each for each in report.failures}
        assert {name: (each["reason"], each["field"]) for name, each in told.items()} == {
            name: ("ImmutableField", kind.field) for name, kind in PROTECTED.items()
        }
        assert {name for name, each in told.items() if BY_ANNOTATION in each["hint"]} == set()
    assert all("--confirm-prune" in each["hint"] for each in asked.failures)
    assert uids(tenant, PROTECTED) == before

    for failure in asked.failures:
        name = failure["object"].split()[0].split(".")[0]
        (confirm,) = re.findall(r"confirm ([0-9a-f]{12}-[0-9a-f]{8})", failure["message"])
        annotations = {"signet-gitops.dev/confirm-prune": confirm}
        tenant.controlplane.merge(tenant.application.path, {"metadata": {"annotations": annotations}})
        wait_until(
            lambda name=name: uids(tenant, PROTECTED)[name] not in {before[name], "404"},
            20,
            f"the {name} is replaced",
        )
    tenant.until_ready()


def test_a_service_that_keeps_its_node_port_is_replaced_for_another_address(tenant: Tenant):
    """What the live Service holds is refused to a new one, and free once it is gone."""

    def service(**spec: object) -> str:
        tree = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "annotations": REPLACE}}
        return json.dumps({**tree, "spec": {"type": "NodePort", "ports": [{"port": 80}], **spec}})

    tenant.deploy({"web.yaml": service()})
    before = tenant.get("services", "web") or {}
    node_port = before["spec"]["ports"][0]["nodePort"]
    ports = [{"port": 80, "nodePort": node_port}]

    report = tenant.sync({"web.yaml": service(ports=ports, clusterIP="10.97.113.7")})

    assert report.failures == []
    after = tenant.get("services", "web") or {}
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert (after["spec"]["clusterIP"], after["spec"]["ports"][0]["nodePort"]) == ("10.97.113.7", node_port)


def test_an_immutable_field_stops_its_own_object_alone(tenant: Tenant):
    tenant.deploy({"web.yaml": deployment("web", app="one"), "a.yaml": config_map("a", value="1")})
    report = tenant.sync({"web.yaml": deployment("web", app="two"), "a.yaml": config_map("a", value="2")})

    report.failure(object=f"Deployment.apps {tenant.namespace}/web", reason="ImmutableField")
    assert tenant.data("a") == {"value": "2"}


def refused_by_webhook(tenant: Tenant) -> None:
    """A webhook of new Deployments that does not answer."""
    tenant.controlplane.apply(
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": f"{tenant.namespace}-effects"},
            "webhooks": [
                {
                    "name": "effects.example.com",
                    "admissionReviewVersions": ["v1"],
                    "sideEffects": "NoneOnDryRun",
                    "failurePolicy": "Fail",
                    "timeoutSeconds": 1,
                    "clientConfig": {"url": "https://127.0.0.1:1/"},
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": tenant.namespace}},
                    "rules": [
                        {
                            "apiGroups": ["apps"],
                            "apiVersions": ["v1"],
                            "operations": ["CREATE"],
                            "resources": ["deployments"],
                        }
                    ],
                }
            ],
        }
    )


def over_quota(tenant: Tenant) -> None:
    spec = {"hard": {"count/deployments.apps": "1"}}
    tenant.controlplane.apply(
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "full", "namespace": tenant.namespace},
            "spec": spec,
        }
    )
    path = tenant.path("resourcequotas", "full")

    def counted() -> bool:
        return tenant.controlplane.get(path).get("status", {}).get("used", {}).get("count/deployments.apps") == "1"

    wait_until(counted, 30, "the quota is counted")


def may_not_create(tenant: Tenant) -> None:
    rules = [
        {
            "apiGroups": ["apps", ""],
            "resources": ["deployments", "configmaps"],
            "verbs": ["get", "list", "patch", "delete"],
        }
    ]
    tenant.controlplane.apply(
        {
            "apiVersion": RBAC,
            "kind": "Role",
            "metadata": {"name": "no-create", "namespace": tenant.namespace},
            "rules": rules,
        }
    )
    path = f"/apis/{RBAC}/namespaces/{tenant.namespace}/rolebindings"
    tenant.controlplane.delete(f"{path}/signet-applier")
    tenant.controlplane.apply(
        {
            "apiVersion": RBAC,
            "kind": "RoleBinding",
            "metadata": {"name": "signet-applier", "namespace": tenant.namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "no-create"},
            "subjects": [{"kind": "ServiceAccount", "name": "signet-applier", "namespace": tenant.namespace}],
        }
    )


@pytest.mark.parametrize(
    ("prevent", "why"),
    [(refused_by_webhook, "ClusterUnavailable"), (over_quota, "quota"), (may_not_create, "RBAC")],
    ids=["webhook", "quota", "forbidden"],
)
def test_where_a_new_object_cannot_be_tried_nothing_is_deleted(tenant: Tenant, prevent: Any, why: str):
    tenant.deploy({"web.yaml": annotated(deployment("web", app="one"), REPLACE)})
    before = (tenant.get("apps/deployments", "web") or {})["metadata"]["uid"]
    prevent(tenant)

    report = tenant.sync({"web.yaml": annotated(deployment("web", app="two"), REPLACE)})

    failure = report.failure(object=f"Deployment.apps {tenant.namespace}/web")
    assert (failure["reason"], failure["field"]) == ("ObjectInvalid", "spec.selector")
    assert why in failure["message"]
    assert (tenant.get("apps/deployments", "web") or {})["metadata"]["uid"] == before


def test_an_object_that_would_be_invalid_as_a_new_one_is_not_deleted_for_it(tenant: Tenant):
    tenant.deploy({"web.yaml": annotated(deployment("web", app="one"), REPLACE)})
    before = (tenant.get("apps/deployments", "web") or {})["metadata"]["uid"]
    tree = json.loads(annotated(deployment("web", app="two"), REPLACE))
    tree["spec"]["replicas"] = -1

    report = tenant.sync({"web.yaml": json.dumps(tree)})

    failure = report.failure(object=f"Deployment.apps {tenant.namespace}/web", reason="ImmutableField")
    assert failure["field"] == "spec.selector"
    assert "spec.replicas" in failure["message"]
    assert (tenant.get("apps/deployments", "web") or {})["metadata"]["uid"] == before


def test_what_somebody_added_to_the_live_object_is_no_immutable_field(tenant: Tenant):
    """The object in Git is valid; beside what another manager put into it, it is not."""
    env = [{"name": "MODE", "value": "one"}]
    tenant.deploy({"web.yaml": annotated(deployment("web"), REPLACE)})
    before = (tenant.get("apps/deployments", "web") or {})["metadata"]["uid"]
    source = {"name": "MODE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    container = {"name": "main", "env": [source]}
    patch = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": tenant.namespace},
        "spec": {"template": {"spec": {"containers": [container]}}},
    }
    path = tenant.path("apps/deployments", "web") + "?fieldManager=injector&force=true"
    code, answer = tenant.controlplane.request("PATCH", path, patch, content_type="application/apply-patch+yaml")
    assert code == 200, answer

    report = tenant.sync({"web.yaml": annotated(deployment("web", env=env), REPLACE)})

    failure = report.failure(object=f"Deployment.apps {tenant.namespace}/web", reason="ObjectInvalid")
    assert "env" in failure["field"]
    assert (tenant.get("apps/deployments", "web") or {})["metadata"]["uid"] == before
