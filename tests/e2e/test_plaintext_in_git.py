"""A Secret in the clear in Git: applied with a warning, or held where the Application denies it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from manifests_written import config_map, secret

if TYPE_CHECKING:
    from testbed.installation import Tenant


def test_a_secret_in_the_clear_is_applied_and_warned_of(tenant: Tenant) -> None:
    report = tenant.deploy({"db.yaml": secret("db", password="to-be-changed"), "c.yaml": config_map("c", a="${NAME}")})
    assert report.ready
    assert tenant.get("secrets", "db") is not None
    assert [(each["reason"], each.get("file", "")) for each in report.status["warnings"]] == [
        ("PlaintextSecret", "db.yaml:1"),
        ("Variables", ""),
    ]
    assert report.counts["warnings"] == 2
    for reason in ("PlaintextSecret", "Variables"):
        tenant.until_event(reason)
    events = tenant.controlplane.get(f"/apis/events.k8s.io/v1/namespaces/{tenant.namespace}/events")["items"]
    assert {"PlaintextSecret", "Variables"} <= {each["reason"] for each in events if each["type"] == "Warning"}


def test_a_secret_in_the_clear_is_held_where_the_application_denies_it(tenant: Tenant) -> None:
    _ = tenant.commit({"db.yaml": secret("db", password="to-be-changed"), "c.yaml": config_map("c", a="b")})
    tenant.configure(secrets={"plaintext": "deny"})
    tenant.until_failure(reason="PlaintextSecret", file="db.yaml:1")
    assert tenant.get("secrets", "db") is None
    assert tenant.data("c") == {"a": "b"}
