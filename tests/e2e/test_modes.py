"""What an Application says about its own keeping: detect, suspend, a spec that cannot be run, a branch that was rewritten."""

from __future__ import annotations

from typing import TYPE_CHECKING

from manifests_written import config_map

if TYPE_CHECKING:
    from testbed.installation import Tenant

TWO = {"a.yaml": config_map("a", value="1"), "b.yaml": config_map("b", value="1")}


def test_detection_reports_and_changes_nothing(tenant: Tenant):
    tenant.deploy(TWO)
    tenant.configure(sync={"mode": "detect"})

    report = tenant.sync({"a.yaml": config_map("a", value="2"), "c.yaml": config_map("c", value="1")})

    assert report.condition("Drifted")["status"] == "True"
    assert report.counts["drifted"] == 2
    assert not report.ready, "the revision is not applied in full"
    assert "detect" in report.condition("Ready")["message"]
    tenant.controlplane.merge(tenant.path("configmaps", "b"), {"data": {"value": "by hand"}})
    report = tenant.until(lambda report: report.counts.get("drifted") == 3, "drift is seen")
    assert tenant.data("a") == {"value": "1"}
    assert tenant.data("b") == {"value": "by hand"}
    assert tenant.get("configmaps", "c") is None

    tenant.configure()
    tenant.until_ready()
    assert (tenant.data("a"), tenant.data("b"), tenant.data("c")) == ({"value": "2"}, {"value": "1"}, {"value": "1"})


def test_a_suspended_application_is_left_alone_until_it_goes_on(tenant: Tenant):
    tenant.deploy(TWO)
    tenant.configure(suspend=True)
    tenant.until(lambda report: report.condition("Ready").get("reason") == "Suspended", "suspended")

    _ = tenant.commit({"a.yaml": config_map("a", value="2")})
    tenant.controlplane.merge(tenant.path("configmaps", "b"), {"data": {"value": "by hand"}})
    runs = tenant.audit()
    report = tenant.sync()

    assert report.condition("Ready")["reason"] == "Suspended"
    assert tenant.data("a") == {"value": "1"}
    assert tenant.data("b") == {"value": "by hand"}
    assert tenant.audit() == runs

    tenant.configure()
    tenant.until_ready()
    assert tenant.data("a") == {"value": "2"}
    assert tenant.data("b") == {"value": "1"}


def test_a_spec_that_cannot_be_run_is_reported_and_touches_nothing(tenant: Tenant):
    tenant.deploy(TWO)

    tenant.configure(source=tenant.source("base", "base"))

    report = tenant.until(lambda report: not report.ready, "refused")
    failure = report.failure(reason="Manifest")
    assert failure["field"] == "spec.source.layers"
    assert "duplicate" in failure["message"]
    assert report.condition("Stalled")["status"] == "True"
    assert tenant.managed("configmaps") == {"configmaps/a", "configmaps/b"}

    _ = tenant.commit({"a.yaml": config_map("a", value="2")})
    tenant.configure()
    tenant.until_ready()
    assert tenant.data("a") == {"value": "2"}


def test_a_destination_that_was_not_granted_is_refused(tenant: Tenant):
    _ = tenant.commit(TWO)

    tenant.configure(destination={"namespace": "kube-system"})

    failure = tenant.until_failure(reason="ForeignNamespace")
    assert failure["field"] == "spec.destination.namespace"
    assert "destinations" in failure["hint"]
    tenant.configure()
    tenant.until_ready()


def test_a_rewritten_branch_is_followed_and_reported(tenant: Tenant):
    tenant.deploy(TWO)
    first = tenant.repository.head()
    assert tenant.sync({"a.yaml": config_map("a", value="2")}).ready

    _ = tenant.commit({"a.yaml": config_map("a", value="3")}, parent=first)
    report = tenant.sync()

    assert report.ready
    assert tenant.data("a") == {"value": "3"}
    tenant.until_event("ForcedPush")
    assert any(record.get("action") == "forced-push" for record in tenant.audit())
