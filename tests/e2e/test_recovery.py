"""The agent's namespace is lost, or the cluster is made again and Applications have other uids: `agent recover` takes over what stands.

The steps are those of docs/operations.md. Pods, Jobs, values and names are the same before and after, with the installation key and without.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from manifests_written import config_map, deployment, secret

from testbed import agent as agents
from testbed.controlplane import ControlPlane
from testbed.installation import Installation
from testbed.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from testbed.gitserver import GitServer
    from testbed.installation import Tenant
    from testbed.openbao import OpenBao

pytestmark = pytest.mark.timeout(1200)

_SYSTEM = f"/api/v1/namespaces/{agents.NAMESPACE}"
_KEYS = ("signet-installation", "signet-audit-key")
_KINDS = ("configmaps", "secrets", "apps/deployments", "apps/replicasets", "batch/jobs", "pods")
_NEW_OWNER = "signet-gitops.dev/new-owner"
_OVERLAY = "resources: [web.yaml]\nsecretGenerator: [{name: db, files: [db.yaml]}]\n"
_CHART = {
    "chart/Chart.yaml": "apiVersion: v2\nname: shop\nversion: 1.0.0\n",
    "chart/templates/db.yaml": """\
apiVersion: v1
kind: Secret
metadata: {name: made}
data: {password: {{ randAlphaNum 24 | b64enc }}}
""",
    "chart/templates/migrate.yaml": """\
apiVersion: batch/v1
kind: Job
metadata: {name: hook, annotations: {helm.sh/hook: "pre-install,pre-upgrade"}}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: "registry.example/app:1"}]}}}
""",
}


@pytest.fixture(scope="module")
def installation(gitserver: GitServer, openbao: OpenBao) -> Generator[Installation]:
    """A control plane of its own: all that its agent knows is lost again and again."""
    with ControlPlane() as controlplane, Installation(controlplane, gitserver, openbao) as running:
        running.start()
        yield running


def _uses(name: str, key: str = "password") -> list[dict[str, object]]:
    return [{"name": "P", "valueFrom": {"secretKeyRef": {"name": name, "key": key}}}]


def _job(name: str, *, ttl: int | None = None) -> str:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "registry.example/app:1"}]}}
    spec = {"template": template, **({"ttlSecondsAfterFinished": ttl} if ttl is not None else {})}
    return json.dumps({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec})


def _standing(tenant: Tenant) -> dict[str, Any]:
    """Everything of a namespace without metadata other than uid and generation, and without what controllers report."""
    found: dict[str, Any] = {}
    for kind in _KINDS:
        for each in tenant.controlplane.get(tenant.path(kind))["items"]:
            metadata = each["metadata"]
            content = {name: part for name, part in each.items() if name not in {"metadata", "status"}}
            # annotations of a Deployment count for its generation
            generation = metadata.get("generation") if kind != "apps/deployments" else None
            found[f"{kind}/{metadata['name']}"] = metadata["uid"], generation, content
    return found


def _lose(installation: Installation, *tenants: Tenant, key: bool) -> None:
    """The steps of docs/operations.md: install again, put the keys back where they are, apply the Applications, which have new uids."""
    controlplane = installation.controlplane
    kept = {name: controlplane.get(f"{_SYSTEM}/secrets/{name}")["data"] for name in _KEYS}
    applications = [controlplane.get(each.application.path) for each in tenants]
    installation.agent.stop()
    for each in tenants:
        controlplane.delete(each.application.path)
    controlplane.delete(_SYSTEM)
    wait_until(lambda: controlplane.request("GET", _SYSTEM)[0] == 404, 60, "the namespace is gone")

    agents.install(controlplane)
    for name, data in kept.items() if key else ():
        metadata = {"name": name, "namespace": agents.NAMESPACE}
        controlplane.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})
    for each, before in zip(tenants, applications, strict=True):
        each.application.apply(before["spec"])
    installation.agent.start()


def _recover(installation: Installation, tmp_path: Path, *arguments: str) -> tuple[int, Any, str]:
    """As a cluster administrator: exit code, what was printed as JSON, messages."""
    kubeconfig = installation.controlplane.kubeconfig(tmp_path / "kubeconfig")
    command = [sys.executable, "-m", "agent", "recover", "--kubeconfig", str(kubeconfig), "-o", "json", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ}, check=False, timeout=300)
    return done.returncode, json.loads(done.stdout or "null"), done.stderr


def _predicted(tenant: Tenant, files: dict[str, str], tmp_path: Path) -> tuple[int, list[str]]:
    """What `agent diff` says of these files: exit code, and what would be done with each object."""
    tree = tmp_path / "tree"
    tree.mkdir(exist_ok=True)
    for name, text in files.items():
        (tree / name).write_text(text)
    standing = tenant.controlplane.get(tenant.application.path)
    metadata = {"name": tenant.application.name, "namespace": tenant.namespace}
    application = {part: standing[part] for part in ("apiVersion", "kind", "spec")}
    (tmp_path / "application.json").write_text(json.dumps({**application, "metadata": metadata}))
    kubeconfig = tenant.controlplane.kubeconfig(tmp_path / "kubeconfig")
    command = [sys.executable, "-m", "agent", "diff", "-f", str(tmp_path / "application.json"), str(tree)]
    done = subprocess.run(
        [*command, "--kubeconfig", str(kubeconfig), "-o", "json"], capture_output=True, text=True, check=False
    )
    return done.returncode, [each["action"] for each in json.loads(done.stdout)["objects"]]


def _by_object(said: list[dict[str, Any]]) -> dict[str, tuple[str, str]]:
    return {each["object"]: (each["action"], each["owner"]) for each in said}


def _until_waiting(tenant: Tenant) -> None:
    tenant.until_failure(reason="RecoveryNeeded")


def test_without_the_key_what_stands_is_taken_over_once_that_is_confirmed(
    installation: Installation, tenant: Tenant, tmp_path: Path
) -> None:
    other = installation.tenant()
    password = installation.canary("recovered")
    files = {
        "db.yaml": tenant.seal(secret("db", password=password)),
        "web.yaml": deployment("web", env=_uses("db")),
        "settings.yaml": config_map("settings", a="1"),
        "old.yaml": config_map("old", a="1"),
        "job.yaml": _job("migrate"),
        "short.yaml": _job("short", ttl=1),
    }
    tenant.deploy(files)
    other.deploy({"c.yaml": config_map("settings", a="2")})
    tenant.controlplane.wait_available(tenant.namespace, "web")
    job = tenant.path("batch/jobs", "migrate")
    wait_until(
        lambda: tenant.controlplane.get(job).get("status", {}).get("completionTime"), 60, "the other one is done"
    )
    wait_until(lambda: tenant.get("batch/jobs", "short") is None, 60, "the short Job is gone")
    tenant.until(lambda each: each.counts.get("finished") == 1, "that is seen")
    before = _standing(tenant)

    tenant.commit({"old.yaml": None})
    _lose(installation, tenant, other, key=False)
    _until_waiting(tenant)
    _until_waiting(other)
    assert _standing(tenant) == before

    place, name = tenant.namespace, f"{tenant.namespace}/app"
    code, said, _ = _recover(installation, tmp_path)
    listed = _by_object(said)
    assert code == 1
    assert {key: each for key, each in listed.items() if f" {place}/" in key} == {
        f"Secret {place}/db": ("hand over", name),
        f"Deployment.apps {place}/web": ("hand over", name),
        f"ConfigMap {place}/settings": ("hand over", name),
        f"Job.batch {place}/migrate": ("hand over", name),
        f"ConfigMap {place}/old": ("leave", name),
    }
    assert listed[f"ConfigMap {other.namespace}/settings"] == ("hand over", f"{other.namespace}/app")
    assert _standing(tenant) == before
    assert _predicted(other, {"c.yaml": config_map("settings", a="2")}, tmp_path) == (2, ["hold"])

    code, said, err = _recover(installation, tmp_path, "--yes")
    # the Job whose time to live is over may have run: that is for a person to say
    assert (code, list(_by_object(said))) == (1, [f"ConfigMap {place}/old"]), err
    assert _standing(tenant) == before
    report = tenant.sync()
    assert [each["object"] for each in report.failures] == [f"Job.batch {place}/short"]
    assert other.sync().ready
    assert _predicted(other, {"c.yaml": config_map("settings", a="2")}, tmp_path) == (0, ["same"])
    assert password not in err
    settings = tenant.get("configmaps", "settings") or {}
    assert _NEW_OWNER not in settings["metadata"]["annotations"]

    # from here on all is as it was: what leaves Git is pruned, what left it before stays, and a new value rolls the workload
    tenant.sync({"short.yaml": None, "settings.yaml": None, "job.yaml": None})
    tenant.sync({"db.yaml": tenant.seal(secret("db", password=installation.canary("rolled")))})
    after = _standing(tenant)
    assert "configmaps/settings" not in after
    assert "configmaps/old" in after
    assert after["apps/deployments/web"] != before["apps/deployments/web"]
    assert _recover(installation, tmp_path)[0] == 0


def test_with_the_key_what_stands_in_its_namespace_is_taken_over_by_itself(
    installation: Installation, tenant: Tenant, tmp_path: Path
) -> None:
    tenant.deploy(
        {
            "db.yaml": tenant.seal(secret("db", password=installation.canary("proven"))),
            "web.yaml": deployment("web", env=_uses("db")),
            "old.yaml": config_map("old", a="1"),
        }
    )
    tenant.controlplane.wait_available(tenant.namespace, "web")
    before = _standing(tenant)

    tenant.commit({"old.yaml": None})
    _lose(installation, tenant, key=True)
    tenant.until_ready()
    assert _standing(tenant) == before
    tenant.sync()
    assert _standing(tenant) == before
    code, said, _ = _recover(installation, tmp_path, f"{tenant.namespace}/app")
    assert (code, _by_object(said)) == (0, {f"ConfigMap {tenant.namespace}/old": ("leave", f"{tenant.namespace}/app")})


@pytest.mark.parametrize("key", [True, False])
def test_names_values_and_hooks_of_renderers_stay(
    installation: Installation, tenant: Tenant, tmp_path: Path, *, key: bool
) -> None:
    chart = tenant.second("chart")
    tenant.recipient = chart.recipient  # the namespace has one key
    text = f"password: {installation.canary('named')}\n"

    def sealed() -> str:
        return tenant.seal(text, "--encrypted-regex", "password")

    overlay = {"prod/kustomization.yaml": _OVERLAY, "prod/db.yaml": sealed()}
    overlay["prod/web.yaml"] = deployment("web", env=_uses("db", "db.yaml"))
    tenant.deploy(overlay, render={"kustomize": {"path": "prod"}})
    tenant.sync({"prod/db.yaml": sealed()})
    files = {**_CHART, "chart/templates/web.yaml": deployment("made", env=_uses("made"))}
    chart.deploy(files, render={"helm": {"chart": {"path": "chart"}}})
    for name in ("web", "made"):
        tenant.controlplane.wait_available(tenant.namespace, name)
    installation.canaries[f"made-{key}"] = tenant.secret("made")["password"]
    before = _standing(tenant)
    assert "batch/jobs/hook" in before

    _lose(installation, tenant, chart, key=key)
    if not key:
        _until_waiting(tenant)
        _until_waiting(chart)
        code, _, err = _recover(installation, tmp_path, "--yes")
        assert code == 0, err
    tenant.until_ready()
    chart.until_ready()
    assert _standing(tenant) == before
    assert tenant.sync({"prod/db.yaml": sealed()}).ready
    assert chart.sync().ready
    assert _standing(tenant) == before


def test_an_application_of_another_tenant_takes_nothing(
    installation: Installation, tenant: Tenant, tmp_path: Path
) -> None:
    """It asks for the objects of another and may write there, but does not have the name that they carry."""
    tenant.deploy({"a.yaml": config_map("a", value="1")})
    _lose(installation, tenant, key=False)
    tenant.controlplane.delete(tenant.application.path)
    thief = tenant.second("thief")
    thief.commit({"a.yaml": config_map("a", value="stolen")})
    thief.configure()
    _until_waiting(thief)

    code, said, _ = _recover(installation, tmp_path, "--yes")
    assert (code, _by_object(said)[f"ConfigMap {tenant.namespace}/a"]) == (1, ("leave", ""))
    assert tenant.data("a") == {"value": "1"}
    # the person who names it sees whose the object was, and decides
    _, said, _ = _recover(installation, tmp_path, f"{tenant.namespace}/thief")
    assert [(each["before"]["name"], each["owner"]) for each in said] == [("app", f"{tenant.namespace}/thief")]


def test_the_trail_goes_on_under_the_key_that_is_put_back_and_under_another_one(
    installation: Installation, tenant: Tenant, tmp_path: Path
) -> None:
    # a file of its own, as docs/operations.md begins one
    installation.agent.stop()
    installation.agent.audit_file.rename(tmp_path / "old.jsonl")
    for each in _anchors(installation):
        installation.controlplane.delete(f"{_SYSTEM}/configmaps/{each['metadata']['name']}")
    installation.agent.start()
    tenant.deploy({"a.yaml": config_map("a", value="1")})
    (first,) = _anchors(installation)

    _lose(installation, tenant, key=True)
    tenant.until_ready()
    tenant.sync({"a.yaml": config_map("a", value="2")})
    (same,) = _anchors(installation)
    assert same["data"]["publicKey"] == first["data"]["publicKey"]
    assert _verify(installation, tmp_path, same) == (0, "")

    _lose(installation, tenant, key=False)
    _until_waiting(tenant)
    assert _recover(installation, tmp_path, "--yes")[0] == 0
    tenant.sync({"a.yaml": config_map("a", value="3")})
    (other,) = _anchors(installation)
    assert other["data"]["publicKey"] != first["data"]["publicKey"]
    code, said = _verify(installation, tmp_path, other)
    assert (code, "signed by a key that was not given" in said) == (1, True)
    assert _verify(installation, tmp_path, same, other) == (0, "")


def _anchors(installation: Installation) -> list[dict[str, Any]]:
    found = installation.controlplane.get(f"{_SYSTEM}/configmaps")["items"]
    return [each for each in found if each["metadata"]["name"].startswith("signet-audit-")]


def _verify(installation: Installation, tmp_path: Path, *anchors: dict[str, Any]) -> tuple[int, str]:
    """Exit code, and what is wrong, under the public keys of these anchors."""
    keys = tmp_path / "keys.pem"
    keys.write_text("".join(each["data"]["publicKey"] for each in anchors))
    file = str(installation.agent.audit_file)
    command = [sys.executable, "-m", "agent", "audit", "verify", file, "--public-key", str(keys), "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, ", ".join(each["message"] for each in json.loads(done.stdout)["findings"])
