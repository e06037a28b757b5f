"""A workload is rolled when a Secret that it names changes, at the latest once nothing stands in the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from manifests_written import deployment, secret

if TYPE_CHECKING:
    from testbed.installation import Tenant

_ENV: list[dict[str, object]] = [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}]


def _token(tenant: Tenant) -> str:
    live = tenant.get("apps/deployments", "web") or {}
    return live["spec"]["template"]["metadata"]["annotations"]["signet-gitops.dev/secrets-version"]


def test_a_rollout_that_was_refused_is_made_up_for(tenant: Tenant):
    tenant.deploy({"db.yaml": secret("db", password="one"), "web.yaml": deployment("web", env=_ENV)})
    before = _token(tenant)
    expression = f"request.namespace != '{tenant.namespace}'"
    rules = [{"apiGroups": ["apps"], "apiVersions": ["*"], "operations": ["UPDATE"], "resources": ["deployments"]}]
    api, name = "admissionregistration.k8s.io/v1", f"no-rollout-{tenant.namespace}"
    policy = {
        "apiVersion": api,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {"matchConstraints": {"resourceRules": rules}, "validations": [{"expression": expression}]},
    }
    binding = {
        "apiVersion": api,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }
    _ = tenant.controlplane.apply(policy)
    _ = tenant.controlplane.apply(binding)
    label = {"metadata": {"labels": {"probe": "1"}}}
    path = tenant.path("apps/deployments", "web")
    kind = "application/merge-patch+json"
    tenant.until(
        lambda _: tenant.controlplane.request("PATCH", path, label, content_type=kind)[0] == 422, "it is in force"
    )

    report = tenant.sync({"db.yaml": secret("db", password="two")})

    assert report.failure(object=f"Deployment.apps {tenant.namespace}/web")
    assert tenant.secret("db") == {"password": "two"}
    assert _token(tenant) == before

    root = f"/apis/{api}"
    tenant.controlplane.delete(f"{root}/validatingadmissionpolicybindings/{name}")
    tenant.controlplane.delete(f"{root}/validatingadmissionpolicies/{name}")
    tenant.until(lambda _: tenant.sync().ready and _token(tenant) != before, "the workload is rolled")
