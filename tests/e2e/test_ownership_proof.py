"""Whose an object is: no Application takes over, heals or deletes another's, and what other tools applied is adopted in full."""

from __future__ import annotations

from typing import TYPE_CHECKING

from manifests_written import config_map

if TYPE_CHECKING:
    from testbed.installation import Installation, Tenant


def test_an_object_of_another_application_is_a_conflict_until_that_one_lets_go(tenant: Tenant):
    tenant.deploy({"shared.yaml": config_map("shared", value="first"), "more.yaml": config_map("more", value="1")})
    other = tenant.second("other")

    _ = other.commit({"shared.yaml": config_map("shared", value="second"), "mine.yaml": config_map("mine", value="1")})
    other.configure()

    failure = other.until_failure(object=f"ConfigMap {tenant.namespace}/shared", reason="OwnershipConflict")
    assert f"{tenant.namespace}/app" in failure["message"]
    assert "remove it from one of them" in failure["hint"]
    assert failure["file"] == "shared.yaml"
    assert tenant.data("shared") == {"value": "first"}
    assert tenant.data("mine") == {"value": "1"}

    assert tenant.sync({"shared.yaml": None}).ready
    assert other.sync().ready
    assert tenant.data("shared") == {"value": "second"}
    assert tenant.sync().ready
    assert tenant.data("shared") == {"value": "second"}


def test_an_application_whose_spec_is_not_valid_still_owns_its_objects(tenant: Tenant):
    tenant.deploy({"shared.yaml": config_map("shared", value="first")})
    tenant.configure(source=tenant.source("base", "base"))
    tenant.until(lambda report: not report.ready, "the spec is refused")
    other = tenant.second("other")

    _ = other.commit({"shared.yaml": config_map("shared", value="second")})
    other.configure()

    other.until_failure(reason="OwnershipConflict")
    assert tenant.data("shared") == {"value": "first"}


def test_a_copy_with_our_labels_and_proof_is_neither_healed_nor_pruned(tenant: Tenant):
    tenant.deploy({"a.yaml": config_map("a", value="1"), "b.yaml": config_map("b", value="1")})
    metadata = (tenant.get("configmaps", "a") or {})["metadata"]
    tenant.controlplane.create(
        tenant.path("configmaps"),
        {
            "metadata": {"name": "copy", "labels": metadata["labels"], "annotations": metadata["annotations"]},
            "data": {"value": "foreign"},
        },
    )

    report = tenant.sync({"a.yaml": None})

    assert report.ready
    assert tenant.get("configmaps", "a") is None
    assert tenant.data("copy") == {"value": "foreign"}
    tenant.configure(deletionPolicy="prune")
    tenant.until(lambda _: "finalizers" in tenant.controlplane.get(tenant.application.path)["metadata"], "held")
    tenant.controlplane.delete(tenant.application.path)
    tenant.until(lambda _: tenant.get("configmaps", "b") is None, "pruned with its Application")
    assert tenant.data("copy") == {"value": "foreign"}


def test_what_kubectl_applied_is_adopted_so_that_git_can_remove_a_field(tenant: Tenant):
    written = config_map("a", kept="1", removed="1")
    tenant.controlplane.kubectl("apply", "--namespace", tenant.namespace, "-f", "-", input=written)

    tenant.deploy({"a.yaml": config_map("a", kept="1")})

    live = tenant.get("configmaps", "a") or {}
    assert live["data"] == {"kept": "1"}
    assert "kubectl.kubernetes.io/last-applied-configuration" not in live["metadata"]["annotations"]


def test_a_lost_record_is_said_once_and_only_where_there_was_one(installation: Installation, tenant: Tenant):
    tenant.deploy({"a.yaml": config_map("a", value="1")})
    report = tenant.sync({"a.yaml": config_map("a", value="2")})
    assert not report.condition("RecordLost"), "a new Application had none to lose"

    namespace = installation.agent.namespace
    uid = installation.controlplane.get(tenant.application.path)["metadata"]["uid"]
    for shard in ("head", "objects-0"):
        installation.controlplane.delete(f"/api/v1/namespaces/{namespace}/configmaps/signet-record-{uid}-{shard}")
    _ = tenant.commit({"a.yaml": config_map("a", value="3")})
    tenant.request()
    report = tenant.until_ready()
    assert report.condition("RecordLost")["reason"] == "RecordLost"
    tenant.until_event("RecordLost")
    assert [record.get("action") for record in tenant.audit()].count("record-lost") == 1
    assert tenant.data("a") == {"value": "3"}
