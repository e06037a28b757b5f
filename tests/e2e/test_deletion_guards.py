"""What may be deleted, by whose word."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from manifests_written import config_map

if TYPE_CHECKING:
    from testbed.installation import Tenant

FOUR = {f"{name}.yaml": config_map(name, value="1") for name in "abcd"}
GONE = {"a.yaml": None, "b.yaml": None, "c.yaml": None}


def test_most_of_an_application_goes_only_by_a_persons_word(tenant: Tenant):
    tenant.deploy(FOUR)

    report = tenant.sync({**GONE, "d.yaml": config_map("d", value="2")})

    refused = {failure["object"]: failure for failure in report.failures}
    assert set(refused) == {f"ConfigMap {tenant.namespace}/{name}" for name in "abc"}
    head = tenant.repository.head()
    for failure in refused.values():
        assert failure["reason"] == "PruneRefused"
        assert "signet-gitops.dev/confirm-prune" in failure["hint"]
        assert head[:12] in failure["message"]
    assert tenant.managed("configmaps") == {f"configmaps/{name}" for name in "abcd"}
    assert tenant.data("d") == {"value": "2"}

    tenant.configure(annotations={"signet-gitops.dev/confirm-prune": head})
    tenant.until_ready()
    assert tenant.managed("configmaps") == {"configmaps/d"}


def test_a_word_given_for_one_commit_does_not_hold_for_the_next(tenant: Tenant):
    tenant.deploy(FOUR)
    head = tenant.repository.head()
    tenant.configure(annotations={"signet-gitops.dev/confirm-prune": head})

    report = tenant.sync(GONE)

    assert {failure["reason"] for failure in report.failures} == {"PruneRefused"}
    assert len(tenant.managed("configmaps")) == 4


def test_without_prune_what_leaves_git_stays(tenant: Tenant):
    tenant.deploy(FOUR, prune=False)

    assert tenant.sync({"a.yaml": None}).ready

    assert tenant.data("a") == {"value": "1"}
    tenant.configure(prune=True)
    tenant.until(lambda _: tenant.get("configmaps", "a") is None, "pruned once that is wanted")


def test_an_application_that_goes_takes_its_objects_along_where_it_says_so(tenant: Tenant):
    tenant.deploy(FOUR, deletionPolicy="prune")

    tenant.controlplane.delete(tenant.application.path)

    gone = tenant.application.path
    tenant.until(lambda _: tenant.controlplane.request("GET", gone)[0] == 404, "the finalizer is let go")
    assert all(tenant.get("configmaps", name) is None for name in "abcd")


def test_an_application_that_goes_leaves_its_objects_otherwise(tenant: Tenant):
    tenant.deploy(FOUR)
    uid = tenant.controlplane.get(tenant.application.path)["metadata"]["uid"]

    tenant.controlplane.delete(tenant.application.path)

    assert tenant.controlplane.request("GET", tenant.application.path)[0] == 404
    tenant.installation.wait_forgotten(uid)
    assert all(tenant.data(name) == {"value": "1"} for name in "abcd")


def test_what_asks_to_be_kept_and_volume_claims_outlive_an_application_that_takes_its_objects_along(tenant: Tenant):
    kept = json.loads(config_map("kept", value="1"))
    kept["metadata"]["annotations"] = {"signet-gitops.dev/prune": "disabled"}
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": spec}
    files = {"kept.yaml": json.dumps(kept), "claim.yaml": json.dumps(claim), "a.yaml": config_map("a", value="1")}
    tenant.deploy(files, deletionPolicy="prune")

    tenant.controlplane.delete(tenant.application.path)

    gone = tenant.application.path
    tenant.until(lambda _: tenant.controlplane.request("GET", gone)[0] == 404, "the finalizer is let go")
    assert tenant.get("configmaps", "a") is None
    assert tenant.data("kept") == {"value": "1"}
    live = tenant.get("persistentvolumeclaims", "data") or {}
    assert "deletionTimestamp" not in live["metadata"]
    tenant.until_event("Orphaned")


def test_an_application_that_goes_with_its_namespace_deletes_nothing_elsewhere(tenant: Tenant):
    elsewhere = tenant.installation.tenant("elsewhere")
    grant = {
        "applicationNamespace": tenant.namespace,
        "namespaces": [elsewhere.namespace],
        "identity": "serviceAccount",
    }
    tenant.controlplane.bind(
        elsewhere.namespace, tenant.account, "ClusterRole", "signet-applier", name="foreign-applier"
    )
    tenant.installation.configure(destinations=[grant])
    try:
        tenant.deploy(FOUR, deletionPolicy="prune", destination={"namespace": elsewhere.namespace})

        tenant.controlplane.delete(f"/api/v1/namespaces/{tenant.namespace}")

        gone = tenant.application.path
        tenant.until(lambda _: tenant.controlplane.request("GET", gone)[0] == 404, "the finalizer is let go")
    finally:
        tenant.installation.configure()
    assert all(elsewhere.data(name) == {"value": "1"} for name in "abcd")


def test_an_application_whose_destination_was_revoked_can_go(tenant: Tenant):
    tenant.deploy(FOUR, deletionPolicy="prune")
    tenant.configure(deletionPolicy="prune", destination={"namespace": "kube-system"})
    tenant.until_failure(reason="ForeignNamespace")

    tenant.controlplane.delete(tenant.application.path)

    gone = tenant.application.path
    tenant.until(lambda _: tenant.controlplane.request("GET", gone)[0] == 404, "the finalizer is let go")
    assert all(tenant.data(name) == {"value": "1"} for name in "abcd")


def test_what_waits_goes_on_waiting_among_new_objects_other_layers_and_commits_beside(tenant: Tenant):
    base = {f"base/{name}.yaml": config_map(name, value="1") for name in "abcde"}
    tenant.deploy(base, source=tenant.source("base"))
    new = {f"base/{name}.yaml": config_map(name, value="1") for name in "opqrstuv"}
    more = {f"more/{name}.yaml": config_map(name, value="1") for name in "wxyz"}
    report = tenant.sync({"base/c.yaml": None, "base/d.yaml": None, "base/e.yaml": None, **new, **more})
    asked = {failure["object"] for failure in report.failures}
    assert asked == {f"ConfigMap {tenant.namespace}/{name}" for name in "cde"}

    tenant.sync({"base/a.yaml": config_map("a", value="2")})
    tenant.configure(source=tenant.source("base", "more"))
    report = tenant.until(lambda _: tenant.get("configmaps", "z") is not None, "the new layer is applied")
    report = tenant.sync()

    assert {failure["object"] for failure in report.failures} == asked
    assert all(tenant.data(name) for name in "cde")
    confirm = report.failures[0]["message"].partition("confirm ")[2].rstrip(")")
    tenant.configure(annotations={"signet-gitops.dev/confirm-prune": confirm}, source=tenant.source("base", "more"))
    tenant.until_ready()
    assert not any(tenant.data(name) for name in "cde")
    assert all(tenant.data(name) for name in "abopz")


def test_a_rename_says_what_it_looks_like(tenant: Tenant):
    tenant.deploy({"a.yaml": config_map("before", value="1")})

    report = tenant.sync({"a.yaml": config_map("after", value="1")})

    assert "looks like a rename of before → after" in report.failures[0]["message"]
