"""A release that the real helm installed becomes an Application, and an Application becomes a release: nothing restarts on either way."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from testbed import binaries
from testbed.processes import wait_until

if TYPE_CHECKING:
    from testbed.installation import Report, Tenant

WEB = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: registry.example/web:1
        envFrom: [{secretRef: {name: db}}]
"""
DB = """\
apiVersion: v1
kind: Secret
metadata: {name: db}
stringData: {password: {{ .Values.password | quote }}}
"""
SETTINGS = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {host: example.com, old: 'yes'}\n"
MIGRATE = """\
apiVersion: batch/v1
kind: Job
metadata: {name: migrate, annotations: {helm.sh/hook: "pre-install,pre-upgrade"}}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: "registry.example/app:1"}]}}}
"""
FILES = {
    "chart/Chart.yaml": "apiVersion: v2\nname: shop\nversion: 1.0.0\n",
    "chart/templates/web.yaml": WEB,
    "chart/templates/db.yaml": DB,
    "chart/templates/settings.yaml": SETTINGS,
    "chart/templates/migrate.yaml": MIGRATE,
}


class Helm:
    """The command, as an administrator of a namespace has it."""

    def __init__(self, tenant: Tenant, folder: Path) -> None:
        self.chart = folder / "chart"
        for path, text in FILES.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        self._tenant, self._folder = tenant, folder
        self._kubeconfig = tenant.controlplane.kubeconfig(folder / "kubeconfig")

    def __call__(self, *arguments: str) -> None:
        flags = ["--kubeconfig", str(self._kubeconfig), "--namespace", self._tenant.namespace]
        environment = {**os.environ, "HELM_CACHE_HOME": str(self._folder), "HOME": str(self._folder)}
        command = [str(binaries.path("helm")), *arguments, *flags]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=120)
        assert done.returncode == 0, done.stderr

    def given_up(self) -> None:
        """Give up the agent's fields of the release, as the documentation says."""
        text = (Path(__file__).parents[2] / "docs" / "renderers.md").read_text()
        (steps,) = [
            each for each in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) if "--field-manager=signet" in each
        ]
        programs = self._folder / "programs"
        programs.mkdir()
        for name in ("helm", "kubectl"):
            (programs / name).symlink_to(binaries.path(name))
        own = {"PATH": f"{programs}:{os.environ['PATH']}", "KUBECONFIG": str(self._kubeconfig)}
        steps = steps.replace("-n shop", f"-n {self._tenant.namespace}")
        environment = {**os.environ, **own, "HELM_CACHE_HOME": str(self._folder), "HOME": str(self._folder)}
        command = ["bash", "-euo", "pipefail", "-c", steps]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=120)
        assert done.returncode == 0, done.stderr


OBJECTS = [("apps/deployments", "web"), ("secrets", "db"), ("configmaps", "settings")]


def managers(live: dict[str, Any] | None) -> set[str]:
    return {each["manager"] for each in (live or {})["metadata"]["managedFields"] if "subresource" not in each}


def pods(tenant: Tenant) -> set[str]:
    found = tenant.controlplane.get(tenant.path("pods") + "?labelSelector=app%3Dweb")["items"]
    return {each["metadata"]["uid"] for each in found}


def warned(report: Report) -> set[str]:
    return {each["reason"] for each in report.status.get("warnings", [])}


@pytest.mark.parametrize("flags", [(), ("--server-side=false",)], ids=["Helm 4", "as Helm 3"])
def test_a_release_is_taken_over_and_given_back_without_a_restart(
    tenant: Tenant, tmp_path: Path, flags: tuple[str, ...]
) -> None:
    helm, password = Helm(tenant, tmp_path), tenant.installation.canary(f"release-{len(flags)}")
    values = tmp_path / "values.yaml"
    values.write_text(f"password: {password}\n")
    helm("install", "shop", str(helm.chart), "--values", str(values), *flags)
    wait_until(lambda: pods(tenant), 60, "the pod is there")
    before, web = pods(tenant), tenant.get("apps/deployments", "web")
    assert web is not None
    assert "helm" in managers(web)
    ran = (tenant.get("batch/jobs", "migrate") or {})["metadata"]["uid"]

    sealed = tenant.seal(f"password: {password}\n", "--encrypted-regex", "^password$")
    chart = {"chart": {"path": "chart"}, "releaseName": "shop", "valuesFiles": ["secrets.yaml"]}
    report = tenant.deploy({**FILES, "secrets.yaml": sealed}, render={"helm": chart})
    assert "HelmReleaseLeft" in warned(report)
    taken = tenant.get("apps/deployments", "web") or {}
    assert (pods(tenant), taken["spec"]) == (before, web["spec"])
    for live in (taken, tenant.get("secrets", "db"), tenant.get("configmaps", "settings")):
        assert "helm" not in managers(live)
        assert not [name for name in (live or {})["metadata"]["annotations"] if name.startswith("meta.helm.sh/")]
    assert (tenant.get("batch/jobs", "migrate") or {})["metadata"]["uid"] == ran

    tenant.controlplane.kubectl("delete", "secret", "--namespace", tenant.namespace, "-l", "owner=helm,name=shop")
    report = tenant.sync({"chart/templates/settings.yaml": SETTINGS.replace(", old: 'yes'", "")})
    tenant.until_ready()
    assert tenant.data("settings") == {"host": "example.com"}
    assert "HelmReleaseLeft" not in warned(report)
    assert pods(tenant) == before

    uid = tenant.controlplane.get(tenant.application.path)["metadata"]["uid"]
    tenant.controlplane.delete(tenant.application.path)
    tenant.installation.wait_forgotten(uid)
    helm(
        "upgrade",
        "--install",
        "shop",
        str(helm.chart),
        "--values",
        str(values),
        "--take-ownership",
        "--force-conflicts",
    )
    assert pods(tenant) == before
    assert tenant.data("settings") == {"host": "example.com", "old": "yes"}
    helm.given_up()
    assert {each for resource, name in OBJECTS for each in managers(tenant.get(resource, name))} == {"helm"}
    assert tenant.data("settings") == {"host": "example.com", "old": "yes"}
    (helm.chart / "templates/settings.yaml").write_text(SETTINGS.replace("host: example.com, ", ""))
    helm("upgrade", "shop", str(helm.chart), "--values", str(values))
    assert tenant.data("settings") == {"old": "yes"}
    assert pods(tenant) == before
    helm("uninstall", "shop", "--wait")
    assert tenant.get("apps/deployments", "web") is None
