"""One Application in several namespaces of a real API server: what it needs of the operator and of RBAC in each, and what it never gets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from manifests_written import config_map

from testbed.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.installation import Installation, Tenant

ROLE = "signet-applier-of-tests"
RBAC = "rbac.authorization.k8s.io"
RULES = [{"apiGroups": [""], "resources": ["configmaps", "secrets"], "verbs": ["*"]}]


def placed(namespace: str, name: str, **data: str) -> str:
    metadata = {"name": name, "namespace": namespace}
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})


def let(tenant: Tenant, namespace: str, rules: list[dict[str, list[str]]] = RULES) -> None:
    """What the admin of a namespace does: the tenant's ServiceAccount gets rights there."""
    tenant.controlplane.grant(namespace, tenant.account, *rules, name=tenant.namespace)


def let_make(tenant: Tenant, *names: str) -> None:
    """The right to make these namespaces, and no other one."""
    rule = {
        "apiGroups": [""],
        "resources": ["namespaces"],
        "verbs": ["get", "create", "patch"],
        "resourceNames": [*names],
    }
    role = f"namespaces-of-{tenant.namespace}"
    tenant.controlplane.apply(
        {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": role}, "rules": [rule]}
    )
    tenant.controlplane.bind("", tenant.account, "ClusterRole", role)


def config_of(tenant: Tenant, namespace: str, name: str) -> dict[str, str] | None:
    code, answer = tenant.controlplane.request("GET", f"/api/v1/namespaces/{namespace}/configmaps/{name}")
    return answer["data"] if code == 200 else None


@pytest.fixture
def places(installation: Installation, tenant: Tenant) -> Iterator[tuple[str, str]]:
    """Two namespaces that the operator grants to the tenant."""
    names = f"{tenant.namespace}-jobs", f"{tenant.namespace}-cache"
    grant = {"applicationNamespace": tenant.namespace, "namespaces": [f"{tenant.namespace}-*"]}
    installation.configure(destinations=[grant])
    yield names
    installation.configure()


def test_objects_go_to_each_namespace_are_healed_there_and_pruned_there(tenant: Tenant, places: tuple[str, str]):
    jobs, cache = places
    for name in places:
        tenant.controlplane.create_namespace(name)
        let(tenant, name)
    files = {
        "own.yaml": config_map("settings", value="own"),
        "jobs.yaml": placed(jobs, "settings", value="jobs"),
        "cache.yaml": placed(cache, "settings", value="cache"),
        "more.yaml": config_map("more", value="1"),
    }
    tenant.deploy(files, destination={"namespaces": [f"{tenant.namespace}-*"]})
    assert tenant.data("settings") == {"value": "own"}
    assert config_of(tenant, jobs, "settings") == {"value": "jobs"}
    assert config_of(tenant, cache, "settings") == {"value": "cache"}

    path = f"/api/v1/namespaces/{jobs}/configmaps/settings"
    tenant.controlplane.merge(path, {"data": {"value": "edited"}})
    wait_until(lambda: config_of(tenant, jobs, "settings") == {"value": "jobs"}, 60, "the edit is healed")

    tenant.sync({"cache.yaml": None})
    assert config_of(tenant, cache, "settings") is None
    assert config_of(tenant, jobs, "settings") == {"value": "jobs"}


def test_a_namespace_without_rights_fails_alone_and_says_which_rule_is_missing(tenant: Tenant, places: tuple[str, str]):
    jobs, cache = places
    for name in places:
        tenant.controlplane.create_namespace(name)
    let(tenant, jobs)
    files = {"jobs.yaml": placed(jobs, "a", value="1"), "cache.yaml": placed(cache, "b", value="1")}
    tenant.commit(files)
    tenant.configure(destination={"namespaces": [*places]})
    failure = tenant.until_failure(reason="Forbidden")
    assert failure["object"] == f"ConfigMap {cache}/b"
    assert 'apiGroups: [""], resources: [configmaps], verbs: [create, patch]' in failure["message"]
    assert config_of(tenant, jobs, "a") == {"value": "1"}
    let(tenant, cache)
    tenant.request()
    tenant.until_ready()
    assert config_of(tenant, cache, "b") == {"value": "1"}


def test_a_namespace_is_made_with_its_labels_and_stays(tenant: Tenant, places: tuple[str, str]):
    jobs, cache = places
    tenant.controlplane.create_namespace(cache)
    tenant.controlplane.merge(f"/api/v1/namespaces/{cache}", {"metadata": {"labels": {"owner": "platform"}}})
    let_make(tenant, jobs)
    own = {f"own-{number}.yaml": config_map(f"own-{number}", value="1") for number in range(5)}
    tenant.commit({**own, "jobs.yaml": placed(jobs, "a", value="1"), "cache.yaml": placed(cache, "b", value="1")})
    enforced = {"pod-security.kubernetes.io/enforce": "restricted"}
    destination = {"namespaces": [*places], "createNamespace": {"labels": enforced}}
    tenant.configure(destination=destination)

    def made() -> bool:
        return tenant.controlplane.request("GET", f"/api/v1/namespaces/{jobs}")[0] == 200

    wait_until(made, 60, "the namespace")
    for name in places:
        let(tenant, name)
    tenant.request()
    tenant.until_ready()
    labels = tenant.controlplane.get(f"/api/v1/namespaces/{jobs}")["metadata"]["labels"]
    assert labels.items() >= enforced.items()
    left = tenant.controlplane.get(f"/api/v1/namespaces/{cache}")["metadata"]
    assert left["labels"] == {"kubernetes.io/metadata.name": cache, "owner": "platform"}
    assert not any("signet" in each for each in left.get("annotations", {}))

    # what others label stays, and what the spec says no longer goes
    tenant.controlplane.merge(f"/api/v1/namespaces/{jobs}", {"metadata": {"labels": {"istio-injection": "enabled"}}})
    destination["createNamespace"] = {"labels": {"tier": "batch"}}
    tenant.configure(destination=destination)
    wait_until(
        lambda: "tier" in tenant.controlplane.get(f"/api/v1/namespaces/{jobs}")["metadata"]["labels"], 60, "new labels"
    )
    labels = tenant.controlplane.get(f"/api/v1/namespaces/{jobs}")["metadata"]["labels"]
    assert "pod-security.kubernetes.io/enforce" not in labels
    assert labels["istio-injection"] == "enabled"

    tenant.commit({"jobs.yaml": None, "cache.yaml": None})
    del destination["createNamespace"]
    tenant.configure(destination=destination)
    wait_until(lambda: config_of(tenant, jobs, "a") is None, 60, "pruned")
    assert made()


def test_a_namespace_that_may_not_be_made_is_named_with_the_rule(tenant: Tenant, places: tuple[str, str]):
    jobs, _ = places
    tenant.commit({"jobs.yaml": placed(jobs, "a", value="1")})
    tenant.configure(destination={"namespaces": [jobs], "createNamespace": {}})
    failure = tenant.until_failure(reason="Forbidden", object="Namespace")
    assert failure["object"] == f"Namespace {jobs}"
    assert "resources: [namespaces], verbs: [create, patch]" in failure["message"]
