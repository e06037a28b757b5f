"""`python -m bench.helm_releases PROGRAM`: what Flux's own helm-controller released is taken over, and given back, without a restart.

PROGRAM is a helm-controller that is there, such as the one of Flux's image. The steps are those of docs/renderers.md.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agent.api.names import FIELD_MANAGER
from bench.report import Expectation, align
from testbed.controlplane import ControlPlane
from testbed.flux import HelmController
from testbed.gitserver import GitServer
from testbed.installation import Installation
from testbed.openbao import OpenBao
from testbed.processes import terminated_as_interrupt, wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from testbed.installation import Report, Tenant

_WEB: Final = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "registry.example/web:1", envFrom: [{secretRef: {name: db}}]}]}
"""
_DB: Final = """\
apiVersion: v1
kind: Secret
metadata: {name: db}
stringData: {password: {{ .Values.password | quote }}}
data: {made: {{ randAlphaNum 16 | b64enc }}}
"""
_SETTINGS: Final = (
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {host: example.com, old: 'yes'}\n"
)
_MIGRATE: Final = """\
apiVersion: batch/v1
kind: Job
metadata: {name: migrate, annotations: {helm.sh/hook: "pre-install,pre-upgrade"}}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: "registry.example/app:1"}]}}}
"""
_OBJECTS: Final = (("apps/deployments", "web"), ("secrets", "db"), ("configmaps", "settings"))
_DEFAULTS: Final[Mapping[str, Sequence[str]]] = {
    "helm-4": (),
    "helm-3": ("--feature-gates=UseHelm3Defaults=true",),
}
"""How helm-controller applies: by server-side apply, or as it did with Helm 3."""
_MARKS: Final = ("meta.helm.sh/", "helm.toolkit.fluxcd.io/", "app.kubernetes.io/managed-by")


def _chart(version: str, settings: str = _SETTINGS) -> dict[str, str]:
    return {
        "chart/Chart.yaml": f"apiVersion: v2\nname: shop\nversion: {version}\n",
        "chart/templates/web.yaml": _WEB,
        "chart/templates/db.yaml": _DB,
        "chart/templates/settings.yaml": settings,
        "chart/templates/migrate.yaml": _MIGRATE,
    }


class _Release:
    """The HelmRelease `shop` of a namespace."""

    def __init__(self, tenant: Tenant, controller: HelmController) -> None:
        self.tenant = tenant
        self._controller = controller
        self.path = f"/apis/helm.toolkit.fluxcd.io/v2/namespaces/{tenant.namespace}/helmreleases/shop"

    def install(self, version: str, files: Mapping[str, str], password: str) -> None:
        values = {"password": password, "version": version}
        failed = self._controller.release(self.tenant.namespace, "shop", files, version, values=values)
        if failed:
            raise RuntimeError(f"helm-controller did not install the chart: {failed}")

    def suspend(self) -> None:
        _ = self.tenant.controlplane.merge(self.path, {"spec": {"suspend": True}})

    def leave(self) -> None:
        """Delete it without what it does about it: it would uninstall."""
        _ = self.tenant.controlplane.merge(self.path, {"metadata": {"finalizers": None}})
        _deleted(self.tenant, self.path)

    def forget(self) -> None:
        """Delete Helm's own Secrets."""
        kubectl, namespace = self.tenant.controlplane.kubectl, self.tenant.namespace
        _ = kubectl("delete", "secret", "--namespace", namespace, "-l", "owner=helm,name=shop")


def _deleted(tenant: Tenant, path: str) -> None:
    _ = tenant.controlplane.delete(path)
    _ = wait_until(lambda: tenant.controlplane.request("GET", path)[0] == 404, 60, f"{path} is gone")


def _uids(tenant: Tenant, resource: str) -> set[str]:
    found = tenant.controlplane.get(tenant.path(resource) + "?labelSelector=app%3Dweb")["items"]
    return {each["metadata"]["uid"] for each in found}


def _live(tenant: Tenant) -> dict[str, dict[str, Any]]:
    return {name: tenant.get(resource, name) or {} for resource, name in _OBJECTS}


def _stands(tenant: Tenant) -> dict[str, object]:
    """What must stay as it is."""
    live = _live(tenant)
    job = tenant.get("batch/jobs", "migrate") or {}
    return {
        "pods": _uids(tenant, "pods"),
        "ReplicaSets": _uids(tenant, "apps/replicasets"),
        "the Deployment's spec": live["web"]["spec"],
        "the Secret's data": live["db"]["data"],
        "the run of the hook": job.get("metadata", {}).get("uid"),
    }


def _moved(before: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    return [name for name, each in before.items() if each != now[name]]


def _left(tenant: Tenant) -> list[str]:
    """What is left of helm-controller: fields of it, labels and annotations."""
    found: list[str] = []
    for name, live in _live(tenant).items():
        metadata = live["metadata"]
        managers = {each["manager"] for each in metadata["managedFields"] if "subresource" not in each}
        found += [f"{name}: fields of {each}" for each in sorted(managers) if each.startswith("helm")]
        marks = {*metadata.get("labels", {}), *metadata.get("annotations", {})}
        found += [f"{name}: {each}" for each in sorted(marks) if each.startswith(_MARKS)]
    return found


def _give_up(tenant: Tenant) -> None:
    """What the documentation says for Helm 4: an apply of nothing as the agent's field manager."""
    for resource, name in _OBJECTS:
        live = tenant.get(resource, name) or {}
        nothing = {"apiVersion": live["apiVersion"], "kind": live["kind"], "metadata": {"name": name}}
        path = f"{tenant.path(resource, name)}?fieldManager={FIELD_MANAGER}"
        kind = "application/apply-patch+yaml"
        code, answer = tenant.controlplane.request("PATCH", path, nothing, content_type=kind)
        if code != 200:
            raise RuntimeError(f"{name} keeps its fields: {answer}")


def _warned(report: Report) -> bool:
    return any(each["reason"] == "HelmReleaseLeft" for each in report.status.get("warnings", []))


def taken_over(installation: Installation, controller: HelmController, name: str) -> list[Expectation]:
    tenant = installation.tenant(name)
    release, password = _Release(tenant, controller), installation.canary(name)
    rows: list[Expectation] = []

    def expect(what: str, wanted: object, found: object) -> None:
        rows.append(Expectation(f"{name}: {what}", str(wanted), str(found), found == wanted))

    release.install("1.0.0", _chart("1.0.0"), password)
    tenant.controlplane.wait_available(tenant.namespace, "web")
    before = _stands(tenant)
    expect("helm-controller has left marks", True, bool(_left(tenant)))
    release.suspend()

    files = {**_chart("1.0.0"), "values.yaml": tenant.seal(f"password: {password}\n", "--encrypted-regex", "password")}
    helm = {"chart": {"path": "chart"}, "releaseName": "shop", "valuesFiles": ["values.yaml"]}
    report = tenant.deploy(files, render={"helm": helm})
    expect("warning while the release stands", True, _warned(report))
    expect("moved by the take-over", [], _moved(before, _stands(tenant)))
    expect("left of helm-controller", [], _left(tenant))

    release.forget()
    release.leave()
    report = tenant.sync(_chart("1.0.1", _SETTINGS.replace(", old: 'yes'", "")))
    _ = tenant.until_ready()
    expect("warning afterwards", False, _warned(report))
    expect("a field that left the chart", {"host": "example.com"}, tenant.data("settings"))
    expect("moved by an upgrade", ["the run of the hook"], _moved(before, _stands(tenant)))

    _deleted(tenant, tenant.application.path)
    release.install("1.0.2", _chart("1.0.2"), password)
    expect("moved by the way back", ["the Secret's data", "the run of the hook"], _moved(before, _stands(tenant)))
    expect("a field that is back in the chart", {"host": "example.com", "old": "yes"}, tenant.data("settings"))
    if name == "helm-4":
        _give_up(tenant)
    release.install("1.0.3", _chart("1.0.3", _SETTINGS.replace("host: example.com, ", "")), password)
    expect("a field that left the chart of helm-controller", {"old": "yes"}, tenant.data("settings"))
    _deleted(tenant, release.path)
    expect("the Deployment once the HelmRelease is gone", None, tenant.get("apps/deployments", "web"))
    return rows


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 1 where something is otherwise than expected."""
    parser = argparse.ArgumentParser(prog="python -m bench.helm_releases", description=__doc__)
    _ = parser.add_argument("program", type=Path)
    program: Path = parser.parse_args(argv).program.resolve()
    rows: list[Expectation] = []
    with (
        terminated_as_interrupt(),
        ControlPlane() as controlplane,
        GitServer() as gitserver,
        OpenBao() as openbao,
        Installation(controlplane, gitserver, openbao) as installation,
    ):
        installation.start()
        for name, flags in _DEFAULTS.items():
            with HelmController(controlplane, program, *flags) as controller:
                rows += taken_over(installation, controller, name)
    print(align([(each.name, each.wanted, each.found, "met" if each.met else "NOT MET") for each in rows]))
    return 0 if all(each.met for each in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
