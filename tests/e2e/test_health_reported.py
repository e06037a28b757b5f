"""Health as the agent reports it: of custom resources with and without conditions, of what is held, and as time passes."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from manifests_written import config_map, deployment, secret

from testbed.agent import NAMESPACE, SERVICE_ACCOUNT
from testbed.cluster import account
from testbed.processes import wait_until

if TYPE_CHECKING:
    from testbed.installation import Installation, Tenant

GROUP = "health.example.com"
RBAC = "rbac.authorization.k8s.io"


def definition(kind: str, *, conditions: bool) -> dict[str, Any]:
    properties: dict[str, Any] = {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    if conditions:
        item = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        status = {"type": "object", "properties": {"conditions": {"type": "array", "items": item}}}
        properties["status"] = status
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}},
        **({"subresources": {"status": {}}} if conditions else {}),
    }
    names = {"kind": kind, "plural": f"{kind.lower()}s", "singular": kind.lower()}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.lower()}s.{GROUP}"},
        "spec": {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [version]},
    }


def custom(kind: str, name: str, size: int = 1) -> str:
    return json.dumps({"apiVersion": f"{GROUP}/v1", "kind": kind, "metadata": {"name": name}, "spec": {"size": size}})


@pytest.fixture
def served(installation: Installation, tenant: Tenant) -> None:
    """Monitors, of which no controller says anything, and Databases, which have conditions."""
    cluster = installation.controlplane
    for kind, conditions in (("Monitor", False), ("Database", True)):
        made = definition(kind, conditions=conditions)
        cluster.apply(made)
        path = f"/apis/{GROUP}/v1/namespaces/{tenant.namespace}/{kind.lower()}s"
        wait_until(lambda path=path: cluster.request("GET", path)[0] == 200, 60, f"{kind} is served")
    rule = {"apiGroups": [GROUP], "resources": ["*"], "verbs": ["*"]}
    cluster.grant(tenant.namespace, tenant.account, rule, name="health")
    labels = {"signet-gitops.dev/aggregate-to-agent": "true"}
    watched = {"apiGroups": [GROUP], "resources": ["*"], "verbs": ["get", "list", "watch"]}
    cluster.apply(
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "health", "labels": labels},
            "rules": [watched],
        }
    )
    cluster.wait_may("", account(NAMESPACE, SERVICE_ACCOUNT), watched)


def test_a_controller_has_a_minute_to_look_and_time_alone_makes_it_healthy(
    installation: Installation, tenant: Tenant, served: None
):
    report = tenant.deploy({"m.yaml": custom("Monitor", "m")}, interval="1h")
    assert report.condition("Healthy")["status"] == "True", "what has no conditions is not waited for"

    began = time.monotonic()
    report = tenant.sync({"d.yaml": custom("Database", "never"), "e.yaml": custom("Database", "soon")})
    assert (report.condition("Healthy")["status"], report.condition("Healthy")["reason"]) == ("False", "Progressing")
    assert report.condition("Ready")["status"] == "True"

    path = f"/apis/{GROUP}/v1/namespaces/{tenant.namespace}/databases/soon"
    ready = {"type": "Ready", "status": "True", "reason": "Up"}
    installation.controlplane.merge(f"{path}/status", {"status": {"conditions": [ready]}})

    def left(report: Any) -> set[str]:
        return {each["object"].rpartition("/")[2] for each in report.status["objects"] if each["health"] != "Healthy"}

    tenant.until(lambda report: left(report) == {"never"}, "the one that was looked at is healthy")
    tenant.until(lambda report: left(report) == set(), "the other was never looked at", seconds=180)
    assert time.monotonic() - began > 55
    assert tenant.until(lambda _: True, "read").condition("Healthy")["status"] == "True"


def test_what_is_held_and_was_never_there_is_not_healthy(installation: Installation, tenant: Tenant):
    env = [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}]
    path = f"apps/{tenant.namespace}"
    reference = f"vault://main/{installation.mount}/{path}#password"
    tenant.deploy({"a.yaml": config_map("a", value="1")})
    report = tenant.sync({"db.yaml": secret("db", password=reference), "web.yaml": deployment("web", env=env)})
    healthy = report.condition("Healthy")
    assert (healthy["status"], healthy["reason"]) == ("False", "Degraded")
    assert "it is not there" in healthy["message"]
    rows = {each["object"]: (each["health"], each["sync"], each["file"]) for each in report.status["objects"]}
    assert rows[f"Secret {tenant.namespace}/db"] == ("Degraded", "Held", "db.yaml")
    assert rows[f"ConfigMap {tenant.namespace}/a"] == ("Healthy", "Synced", "a.yaml")
    created = {each["object"]: each.get("createdAt", "") for each in report.status["objects"]}
    assert created[f"ConfigMap {tenant.namespace}/a"].startswith("20")

    installation.openbao.put(path, {"password": "x"}, mount=installation.mount)
    tenant.sync()
    tenant.until(lambda report: report.condition("Healthy")["status"] == "True", "the workload rolled out", seconds=90)
