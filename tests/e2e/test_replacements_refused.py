"""A live object is not deleted where the new one cannot be created, or where no immutable field is the cause."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from immutable_kinds import RBAC, REPLACE
from manifests_written import deployment

from testbed.processes import wait_until

if TYPE_CHECKING:
    from testbed.installation import Tenant


def annotated(manifest: str, annotations: dict[str, str]) -> str:
    tree = json.loads(manifest)
    tree["metadata"]["annotations"] = annotations
    return json.dumps(tree)


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

    wait_until(counted, 60, "the quota is counted")


def may_not_create(tenant: Tenant) -> None:
    rule = {
        "apiGroups": ["apps", ""],
        "resources": ["deployments", "configmaps"],
        "verbs": ["get", "list", "patch", "delete"],
    }
    tenant.controlplane.grant(tenant.namespace, tenant.account, rule, name="no-create")
    tenant.controlplane.delete(f"/apis/{RBAC}/namespaces/{tenant.namespace}/rolebindings/signet-applier")


def wait_in_force(tenant: Tenant) -> None:
    """Until the tenant's ServiceAccount cannot create one more Deployment."""
    token = tenant.controlplane.service_account_token(tenant.namespace, tenant.account["name"])
    path, another = f"{tenant.path('apps/deployments')}?dryRun=All", json.loads(deployment("another"))
    wait_until(lambda: tenant.controlplane.request("POST", path, another, token=token)[0] >= 400, 60, "it is refused")


@pytest.mark.parametrize(
    ("prevent", "why"),
    [(refused_by_webhook, "ClusterUnavailable"), (over_quota, "quota"), (may_not_create, "RBAC")],
    ids=["webhook", "quota", "forbidden"],
)
def test_where_a_new_object_cannot_be_tried_nothing_is_deleted(tenant: Tenant, prevent: Any, why: str):
    tenant.deploy({"web.yaml": annotated(deployment("web", app="one"), REPLACE)})
    before = (tenant.get("apps/deployments", "web") or {})["metadata"]["uid"]
    prevent(tenant)
    wait_in_force(tenant)

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


def test_what_another_manager_added_to_the_live_object_is_no_immutable_field(tenant: Tenant):
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
