"""A kind that the agent may not list: applied all the same, read as the tenant at the interval, and named with the rule to add."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from testbed.processes import wait_until

if TYPE_CHECKING:
    from testbed.installation import Installation, Tenant

GROUP = "unwatched.example.com"
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"gadgets.{GROUP}"},
    "spec": {
        "group": GROUP,
        "scope": "Namespaced",
        "names": {"kind": "Gadget", "plural": "gadgets", "singular": "gadget"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}
RBAC = "rbac.authorization.k8s.io"


def gadget(name: str, size: int) -> str:
    return json.dumps(
        {"apiVersion": f"{GROUP}/v1", "kind": "Gadget", "metadata": {"name": name}, "spec": {"size": size}}
    )


def rules(*verbs: str) -> list[dict[str, list[str]]]:
    return [{"apiGroups": [GROUP], "resources": ["gadgets"], "verbs": list(verbs)}]


def serve(tenant: Tenant) -> None:
    """Serve Gadgets, and let the tenant's ServiceAccount apply them."""
    cluster = tenant.controlplane
    cluster.apply(CRD)
    collection = f"/apis/{GROUP}/v1/namespaces/{tenant.namespace}/gadgets"
    cluster.grant(tenant.namespace, tenant.account, *rules("get", "create", "patch", "delete"), name="gadgets")
    wait_until(lambda: cluster.request("GET", collection)[0] == 200, 60, "Gadgets are served")


def test_a_kind_that_may_not_be_listed_is_applied_and_healed_at_the_interval(
    installation: Installation, tenant: Tenant
) -> None:
    cluster = installation.controlplane
    serve(tenant)
    collection = f"/apis/{GROUP}/v1/namespaces/{tenant.namespace}/gadgets"

    def size(name: str) -> int | None:
        status, found = cluster.request("GET", f"{collection}/{name}")
        return found["spec"]["size"] if status == 200 else None

    report = tenant.deploy(
        {"a.yaml": gadget("a", 1), "b.yaml": gadget("b", 1), "c.yaml": gadget("c", 1)}, interval="10s"
    )

    assert (size("a"), size("b"), size("c")) == (1, 1, 1)
    assert report.condition("Drifted")["status"] == "False"
    [warning] = tenant.until(lambda report: bool(report.status.get("warnings")), "it is reported").status["warnings"]
    assert warning["reason"] == "NotWatched"
    assert f'apiGroups: ["{GROUP}"], resources: [gadgets], verbs: [get, list, watch]' in warning["message"]
    assert 'signet-gitops.dev/aggregate-to-agent: "true"' in warning["hint"]

    cluster.merge(f"{collection}/a", {"spec": {"size": 7}})
    tenant.until(lambda _: size("a") == 1, "healed at the interval")
    tenant.sync({"b.yaml": None, "c.yaml": gadget("c", 2)})
    tenant.until(lambda _: size("b") is None, "pruned")
    assert size("c") == 2

    labels = {"signet-gitops.dev/aggregate-to-agent": "true"}
    added = {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": "gadgets", "labels": labels}}
    cluster.apply({**added, "rules": rules("get", "list", "watch")})
    report = tenant.until(lambda report: not report.status.get("warnings"), "the rule is in force", seconds=90)
    assert report.ready
