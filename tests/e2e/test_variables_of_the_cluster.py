"""Variables of a Secret in the cluster, against real servers: read by the tenant's rights alone, sealed, and followed when they change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from manifests_written import config_map, secret

if TYPE_CHECKING:
    from testbed.installation import Installation, Tenant

RBAC = "rbac.authorization.k8s.io"


def rebind(tenant: Tenant, kind: str, role: str) -> None:
    """All that the tenant's ServiceAccount may do."""
    cluster = tenant.controlplane
    path = f"/apis/{RBAC}/v1/namespaces/{tenant.namespace}/rolebindings/signet-applier"
    assert cluster.request("DELETE", path)[0] == 200
    cluster.bind(tenant.namespace, tenant.account, kind, role, name="signet-applier")


def test_a_secret_is_read_by_the_tenants_rights_and_followed(installation: Installation, tenant: Tenant) -> None:
    first, second = installation.canary("live"), installation.canary("live-new")
    tenant.put_secret("vars", {"PASSWORD": first, "EMPTY": ""})
    rules = [
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "create", "patch"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create", "patch"]},
    ]
    metadata = {"name": "without-secrets", "namespace": tenant.namespace}
    tenant.controlplane.apply({"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": metadata, "rules": rules})
    rebind(tenant, "Role", "without-secrets")
    files = {"api.yaml": secret("api", url="https://u:${PASSWORD}@h"), "a.yaml": config_map("a", v="${EMPTY:=none}")}
    tenant.commit(files)
    tenant.configure(substitute={"from": [{"kind": "Secret", "name": "vars"}]})
    failure = tenant.until_failure(reason="Forbidden", object=f"Secret {tenant.namespace}/vars")
    assert "ServiceAccount" in failure["hint"]
    assert tenant.get("secrets", "api") is None

    rebind(tenant, "ClusterRole", "signet-applier")
    tenant.until_ready()
    assert tenant.secret("api") == {"url": f"https://u:{first}@h"}
    assert tenant.data("a") == {"v": "none"}

    tenant.put_secret("vars", {"PASSWORD": second, "EMPTY": ""})
    tenant.until(lambda _: tenant.secret("api") == {"url": f"https://u:{second}@h"}, "the new value is applied")
    report = tenant.until(
        lambda report: "variable-source" in report.status["history"][0]["cause"], "the cause is named"
    )
    assert report.ready


def test_a_config_map_of_an_agent_is_text_only_with_its_proof(tenant: Tenant) -> None:
    metadata = {"name": "neighbour", "namespace": tenant.namespace}
    given = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"HOST": "neighbour.example.com"}}
    cluster = tenant.controlplane
    path = f"{cluster.path(given)}?fieldManager=signet&force=true"
    cluster.checked("PATCH", path, given, content_type="application/apply-patch+yaml")
    tenant.commit({"settings.yaml": config_map("settings", NAME="prod")})
    tenant.configure()
    tenant.until_ready()

    files = {"settings.yaml": config_map("settings", NAME="prod"), "a.yaml": config_map("a", v="${NAME}")}
    tenant.commit({**files, "b.yaml": config_map("b", v="${HOST}")})
    tenant.configure(substitute={"from": [{"kind": "ConfigMap", "name": name} for name in ("settings", "neighbour")]})
    tenant.until_failure(reason="Sink", object=f"ConfigMap {tenant.namespace}/b")
    assert tenant.data("a") == {"v": "prod"}
    assert tenant.get("configmaps", "b") is None
