"""People beside the agent, with kubectl as it is: what they add to an object of ours is taken out, left or reported, and named."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manifests_written import config_map, deployment, secret

from agent.engine.context import Fingerprints
from agent.engine.shards import Codec
from agent.values.secret import Secret
from testbed.agent import NAMESPACE
from testbed.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from testbed.installation import Installation, Report, Tenant


def service(port: int = 80) -> str:
    ports = [{"name": "http", "port": port, "targetPort": 8080}]
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web"},
            "spec": {"selector": {"app": "web"}, "ports": ports},
        }
    )


FILES = {
    "a.yaml": config_map("a", value="1"),
    "svc.yaml": service(),
    "web.yaml": deployment("web", env=[{"name": "LEVEL", "value": "info"}]),
    "db.yaml": secret("db", password="p"),
}


class Kubectl:
    """What a person does by kubectl in a tenant's namespace."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant

    def __call__(self, *args: str, text: str | None = None) -> str:
        return self.tenant.controlplane.kubectl("-n", self.tenant.namespace, *args, input=text)

    def replace(self, what: str, change: Callable[[Any], object]) -> None:
        """Again until no other write comes in between."""

        def replaced() -> bool:
            live = json.loads(self("get", what, "-o", "json"))
            change(live)
            try:
                self("replace", "-f", "-", text=json.dumps(live))
            except Exception as error:
                if "the object has been modified" not in str(error):
                    raise
                return False
            return True

        wait_until(replaced, 60, "a replace")


def pod(tenant: Tenant) -> Any:
    return (tenant.get("apps/deployments", "web") or {})["spec"]["template"]["spec"]


def ports(tenant: Tenant) -> list[int]:
    return [each["port"] for each in (tenant.get("services", "web") or {})["spec"]["ports"]]


def until(check: Callable[[], bool], what: str) -> None:
    wait_until(check, 60, what)


def healed(tenant: Tenant, what: str, field: str, manager: str) -> None:
    """An event and the audit trail name the object, the field and who added it."""

    def reported() -> bool:
        return any(
            reason == "Healed" and what in note and field in note and manager in note
            for reason, note in tenant.events()
        )

    until(reported, f"an event about {what}")
    records = [each for each in tenant.audit() if each.get("action") == "heal" and what in str(each.get("object"))]
    assert any(field in str(each.get("fields")) and manager in str(each) for each in records)


def test_a_port_that_was_edited_goes_back(tenant: Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tenant.deploy(FILES)
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\nsed -i 's/port: 80$/port: 83/' \"$1\"\n")
    editor.chmod(0o700)
    monkeypatch.setenv("KUBE_EDITOR", str(editor))

    Kubectl(tenant)("edit", "service/web")

    until(lambda: ports(tenant) == [80], "the port of Git")
    healed(tenant, "Service", "spec.ports[port=83", "kubectl-edit")
    assert tenant.sync({"svc.yaml": service(8443)}).ready
    assert ports(tenant) == [8443]


def test_what_was_applied_beside_the_agent_goes_when_git_drops_it(tenant: Tenant):
    files = {**FILES, "a.yaml": config_map("a", value="1", more="x")}
    tenant.deploy(files)
    kubectl = Kubectl(tenant)
    for text in files.values():
        kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", text=text)

    report = tenant.sync()

    assert report.ready
    assert report.condition("Drifted")["reason"] == "InSync"
    assert tenant.sync({"a.yaml": FILES["a.yaml"], "web.yaml": deployment("web")}).ready
    assert tenant.data("a") == {"value": "1"}
    assert not pod(tenant)["containers"][0].get("env")


def add_sidecar(live: Any) -> None:
    live["spec"]["template"]["spec"]["containers"].append({"name": "debug", "image": "registry.example/debug:1"})


def test_what_people_add_is_taken_out(tenant: Tenant):
    tenant.deploy(FILES)
    before = pod(tenant)
    kubectl = Kubectl(tenant)

    kubectl.replace("deployment/web", add_sidecar)
    until(lambda: len(pod(tenant)["containers"]) == 1, "no sidecar")
    healed(tenant, "Deployment", 'containers[name="debug"]', "kubectl-replace")
    kubectl("patch", "deployment/web", "-p", json.dumps({"spec": {"template": {"spec": {"hostNetwork": True}}}}))
    until(lambda: not pod(tenant).get("hostNetwork"), "no network of the host")
    kubectl("set", "env", "deployment/web", "DEBUG=1")
    until(lambda: [each["name"] for each in pod(tenant)["containers"][0]["env"]] == ["LEVEL"], "no other variable")
    canary = tenant.installation.canary("added")
    value = base64.b64encode(canary.encode()).decode()
    kubectl("patch", "secret/db", "-p", json.dumps({"data": {"extra": value}}))
    until(lambda: tenant.secret("db") == {"password": "p"}, "no other key")
    healed(tenant, "Secret", "data.extra", "kubectl-patch")
    kubectl("apply", "-f", "-", text=config_map("a", value="1", more="x"))
    until(lambda: tenant.data("a") == {"value": "1"}, "no other key")
    annotations = (tenant.get("configmaps", "a") or {})["metadata"]["annotations"]
    assert not any("last-applied" in name for name in annotations)
    assert pod(tenant) == before


def test_a_restart_is_left_and_rolls_once(tenant: Tenant):
    tenant.deploy(FILES)

    Kubectl(tenant)("rollout", "restart", "deployment/web")

    restarted = tenant.get("apps/deployments", "web") or {}
    report = tenant.sync({"a.yaml": config_map("a", value="2")})
    assert report.ready
    assert report.condition("Drifted")["reason"] == "InSync"
    Kubectl(tenant)("label", "deployment/web", "team=x")
    until(lambda: "team" not in (tenant.get("apps/deployments", "web") or {})["metadata"]["labels"], "no label")
    live = tenant.get("apps/deployments", "web") or {}
    assert live["spec"] == restarted["spec"]
    assert live["metadata"]["generation"] == restarted["metadata"]["generation"]


def test_additions_are_kept_where_the_object_says_so_and_of_controllers(tenant: Tenant):
    kept = json.loads(config_map("kept", value="1"))
    kept["metadata"]["annotations"] = {"signet-gitops.dev/additions": "keep"}
    tenant.deploy({**FILES, "kept.yaml": json.dumps(kept)})
    kubectl = Kubectl(tenant)

    kubectl("patch", "configmap/kept", "-p", '{"data":{"extra":"x"}}')
    kubectl("patch", "configmap/a", "--field-manager", "my-controller", "-p", '{"data":{"extra":"x"}}')
    kubectl("scale", "deployment/web", "--replicas", "3")

    report = tenant.sync(
        {"kept.yaml": json.dumps({**kept, "data": {"value": "2"}}), "a.yaml": config_map("a", value="2")}
    )
    assert report.ready
    assert report.condition("Drifted")["reason"] == "InSync"
    assert tenant.data("kept") == {"value": "2", "extra": "x"}
    assert tenant.data("a") == {"value": "2", "extra": "x"}
    assert (tenant.get("apps/deployments", "web") or {})["spec"]["replicas"] == 3


def test_detection_names_what_people_added(tenant: Tenant):
    tenant.deploy(FILES)
    tenant.configure(sync={"mode": "detect"})
    tenant.until_ready()

    Kubectl(tenant)("patch", "configmap/a", "-p", '{"data":{"extra":"x"}}')

    report = tenant.until(
        lambda report: any(each["reason"] == "Additions" for each in report.status.get("warnings", [])), "a warning"
    )
    (warning,) = [each for each in report.status["warnings"] if each["reason"] == "Additions"]
    assert (warning["object"], warning["field"]) == (f"ConfigMap {tenant.namespace}/a", "data.extra")
    assert "kubectl-patch" in warning["message"]
    assert report.condition("Drifted")["status"] == "True"
    assert tenant.data("a") == {"value": "1", "extra": "x"}


def test_what_keeps_coming_back_is_left_and_reported(tenant: Tenant):
    tenant.deploy(FILES)
    kubectl = Kubectl(tenant)

    def fought(report: Report) -> bool:
        if "extra" not in tenant.data("a"):
            kubectl("patch", "configmap/a", "-p", '{"data":{"extra":"x"}}')
        return report.condition("Drifted").get("reason") == "Fight"

    report = tenant.until(fought, "a fight")
    (warning,) = [each for each in report.status["warnings"] if each["reason"] == "Fight"]
    assert warning["field"] == "data.extra"
    assert "kubectl-patch" in warning["message"]
    assert report.ready
    assert tenant.sync().condition("Drifted")["reason"] == "Fight"
    assert tenant.data("a") == {"value": "1", "extra": "x"}
    assert tenant.sync({"a.yaml": config_map("a", value="2")}).ready
    assert tenant.data("a") == {"value": "2"}


def forget_additions(installation: Installation, uid: str) -> None:
    """The record as an agent wrote it that knew of no additions."""
    plane = installation.controlplane
    key = plane.get(f"/api/v1/namespaces/{NAMESPACE}/secrets/signet-installation")["data"]["key"]
    prints = Fingerprints.derive(Secret(base64.b64decode(key), "installation"))
    codec = Codec(prints.records, uid)
    path = f"/api/v1/namespaces/{NAMESPACE}/configmaps/signet-record-{uid}-"
    shards = {name: plane.get(path + name)["data"]["record"] for name in ("head", "objects-0")}
    record = codec.decode(shards)
    objects = {key: replace(item, left={}) for key, item in record.objects.items()}
    for name, text in codec.encode(replace(record, objects=objects, noted=False), shards).items():
        plane.merge(path + name, {"data": {"record": text}})


def test_an_upgrade_deletes_nothing_that_people_added(tenant: Tenant, installation: Installation):
    tenant.deploy(FILES)
    uid = tenant.controlplane.get(tenant.application.path)["metadata"]["uid"]
    installation.agent.stop()
    kubectl = Kubectl(tenant)
    value = base64.b64encode(b"x").decode()
    kubectl("patch", "secret/db", "-p", json.dumps({"data": {"extra": value}}))
    forget_additions(installation, uid)
    installation.agent.start()

    report = tenant.until(
        lambda report: any(each["reason"] == "Additions" for each in report.status.get("warnings", [])), "a warning"
    )

    (warning,) = [each for each in report.status["warnings"] if each["reason"] == "Additions"]
    assert (warning["object"], warning["field"]) == (f"Secret {tenant.namespace}/db", "data.extra")
    assert "kubectl-patch" in warning["message"]
    assert report.ready
    kubectl("patch", "secret/db", "-p", json.dumps({"data": {"later": value}}))
    until(lambda: tenant.secret("db") == {"password": "p", "extra": "x"}, "what came later is taken out")
    config = installation.controlplane.folder / "admin.kubeconfig"
    commit = tenant.repository.head()[:12]
    command = ["sync", f"{tenant.namespace}/{tenant.application.name}", "--confirm-additions", commit]
    done = subprocess.run(
        [Path(sys.executable).with_name("agent"), *command, "--kubeconfig", config],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    until(lambda: tenant.secret("db") == {"password": "p"}, "what stood there before is taken out")
    assert tenant.sync().condition("Drifted")["reason"] == "InSync"
