"""What the trail, events and the history say on a real API server and store: what was answered, and why an object was touched."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from manifests_written import config_map, deployment, secret

from testbed.installation import STORE
from testbed.processes import wait_until

if TYPE_CHECKING:
    from testbed.installation import Report, Tenant

FOUR = {f"{name}.yaml": config_map(name, value="1") for name in "abcd"}
USES_DB = [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}]


def claim(mode: str) -> str:
    spec = {"accessModes": [mode], "resources": {"requests": {"storage": "1Gi"}}}
    return json.dumps(
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "badpvc"}, "spec": spec}
    )


def trail(tenant: Tenant, name: str) -> list[tuple[object, ...]]:
    """What the trail says of an object of the tenant's: phase, action, cause and result."""
    return [
        (each["phase"], each["action"], each["cause"], each.get("result", ""))
        for each in tenant.audit()
        if str(each.get("object", "")).endswith(f"{tenant.namespace}/{name}")
    ]


def events(tenant: Tenant, reason: str) -> list[str]:
    return [note for each, note in tenant.events() if each == reason]


def until_event(tenant: Tenant, reason: str, text: str) -> None:
    """Events come after the status."""
    _ = wait_until(lambda: any(text in note for note in events(tenant, reason)), 60, f"an event: {text}")


def healed(report: Report) -> bool:
    heals = report.status.get("heals", [])
    return report.ready and bool(heals) and heals[0]["cause"].startswith("live:")


def test_a_volume_claim_that_was_refused_leaves_git_without_a_question(tenant: Tenant):
    tenant.deploy(FOUR)
    report = tenant.sync({"claim.yaml": claim("Sometimes")})
    assert [failure["reason"] for failure in report.failures] == ["ObjectInvalid"]

    report = tenant.sync({"claim.yaml": None})

    assert report.ready
    assert report.failures == []
    assert {(action, result) for _, action, _, result in trail(tenant, "badpvc")} == {
        ("create", ""),
        ("create", "ObjectInvalid"),
    }
    assert events(tenant, "Pruned") == []


def test_what_a_person_deleted_or_a_finalizer_keeps_is_not_called_pruned(tenant: Tenant):
    tenant.deploy(FOUR)
    tenant.configure(sync={"mode": "detect"})
    tenant.until_ready()
    path = tenant.path("configmaps", "d")
    _ = tenant.controlplane.merge(path, {"metadata": {"finalizers": ["example.com/kept"]}})
    tenant.controlplane.delete(tenant.path("configmaps", "c"))
    _ = tenant.commit({"c.yaml": None, "d.yaml": None})
    tenant.configure()
    tenant.until_ready()

    assert trail(tenant, "c")[-1] == ("event", "forget", "commit", "gone")
    assert trail(tenant, "d")[-1] == ("outcome", "prune", "commit", "deleting")
    assert not any(" deleted that " in note for note in events(tenant, "Pruned"))
    _ = tenant.controlplane.merge(path, {"metadata": {"finalizers": []}})


def test_a_secret_of_a_commit_rolls_its_workload_and_names_itself(tenant: Tenant):
    files = {"db.yaml": secret("db", password="one"), "web.yaml": deployment("web", env=USES_DB)}
    tenant.deploy(files)

    report = tenant.sync({"db.yaml": secret("db", password="two")})

    assert trail(tenant, "web")[-1] == ("outcome", "roll", "roll", "ok")
    rolled = f"1 object rolled because Secret {tenant.namespace}/db changed: Deployment.apps {tenant.namespace}/web"
    until_event(tenant, "Applied", rolled)
    assert report.status["history"][0]["cause"].endswith(f"commit, roll Secret {tenant.namespace}/db")
    assert events(tenant, "Healed") == []


def test_another_version_in_the_store_is_named(tenant: Tenant):
    installation = tenant.installation
    path = f"apps/{tenant.namespace}/db"
    label = f"vault:{STORE}/{installation.mount}/{path}#password"
    _ = installation.openbao.put(path, {"password": installation.canary("first")}, mount=installation.mount)
    reference = f"vault://{STORE}/{installation.mount}/{path}#password"
    tenant.deploy({"db.yaml": secret("db", password=reference)})

    _ = installation.openbao.put(path, {"password": installation.canary("second")}, mount=installation.mount)

    report = tenant.until(lambda each: f"{label}@2" in each.status["history"][0]["cause"], "rotated")
    assert "secret-source" in report.status["history"][0]["cause"]
    until_event(tenant, "Applied", f"1 object applied with {label}@2")


def test_a_deletion_by_hand_is_called_one_and_an_edit_names_who_edited(tenant: Tenant):
    tenant.deploy(FOUR)

    tenant.controlplane.delete(tenant.path("configmaps", "a"))
    tenant.until(healed, "made again")
    assert trail(tenant, "a")[-1] == ("outcome", "heal", "live-deletion", "ok")
    until_event(tenant, "Healed", f"ConfigMap {tenant.namespace}/a healed, was deleted in the cluster")

    _ = tenant.controlplane.merge(tenant.path("configmaps", "b"), {"data": {"value": "edited"}})
    tenant.until(lambda report: healed(report) and "live-edit" in report.status["heals"][0]["cause"], "healed")
    assert trail(tenant, "b")[-1] == ("outcome", "heal", "live-edit", "ok")
