"""A workload that kubectl or Flux deployed from an overlay goes on while the agent takes it over and its secrets are encrypted again."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from manifests_written import deployment, secret

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.installation import Installation, Tenant

_OVERLAY = """\
resources: [web.yaml, fixed.yaml]
secretGenerator: [{name: db, files: [db.yaml]}, {name: plain, literals: [a=b]}]
vars: [{name: DB, objref: {apiVersion: v1, kind: Secret, name: db}}]
configurations: [where.yaml]
patches: [{path: checksum.yaml}]
"""
_FILES = {
    "where.yaml": "varReference: [{path: spec/template/metadata/annotations, kind: Deployment}]\n",
    "checksum.yaml": """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec: {template: {metadata: {annotations: {checksum/secret: $(DB)}}}}
""",
}
_ENV: list[dict[str, object]] = [
    {"name": "P", "valueFrom": {"secretKeyRef": {"name": "db", "key": "db.yaml"}}},
    {"name": "FIXED", "valueFrom": {"secretKeyRef": {"name": "fixed", "key": "password"}}},
    {"name": "NAME", "value": "$(DB)"},
]
_TOOLS = {
    "kubectl": ("", ()),
    # Flux's kustomize-controller applies so, and labels what it applies
    "Flux": (
        "labels: [{pairs: {kustomize.toolkit.fluxcd.io/name: apps, kustomize.toolkit.fluxcd.io/namespace: flux-system}}]\n",
        ("--server-side", "--field-manager=kustomize-controller"),
    ),
}


def _standing(tenant: Tenant) -> dict[str, set[str]]:
    """Names and uids of ReplicaSets and pods, and the names of generated Secrets."""
    found = {
        kind: {
            f"{each['metadata']['name']} {each['metadata']['uid']}"
            for each in tenant.controlplane.get(tenant.path(kind))["items"]
        }
        for kind in ("apps/replicasets", "pods")
    }
    secrets = (each["metadata"]["name"] for each in tenant.controlplane.get(tenant.path("secrets"))["items"])
    return {**found, "secrets": {name for name in secrets if name.startswith(("db-", "plain-"))}}


def _rotated(tmp_path: Path, text: str, identity: str) -> str:
    file = tmp_path / "db.yaml"
    file.write_text(text)
    command = [sys.executable, "-m", "agent", "rotate", "-i", str(file)]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "SOPS_AGE_KEY": identity})
    assert file.read_text() != text
    return file.read_text()


@pytest.mark.parametrize("tool", _TOOLS)
def test_pods_go_on_until_a_value_changes(installation: Installation, tenant: Tenant, tmp_path: Path, tool: str):
    more, flags = _TOOLS[tool]
    first, second = f"password: {installation.canary('kept')}\n", f"password: {installation.canary('changed')}\n"
    identity = tenant.create_key()
    fixed = secret("fixed", password=installation.canary("fixed"))
    plain = {"kustomization.yaml": _OVERLAY, "web.yaml": deployment("web", env=_ENV), "db.yaml": first, **_FILES}
    plain["fixed.yaml"] = fixed
    folder = tmp_path / "plain"
    folder.mkdir()
    for name, text in {**plain, "kustomization.yaml": _OVERLAY + more}.items():
        (folder / name).write_text(text)
    tenant.controlplane.kubectl("apply", "--namespace", tenant.namespace, *flags, "-k", str(folder))
    tenant.controlplane.wait_available(tenant.namespace, "web")
    before = _standing(tenant)
    assert [len(each) for each in before.values()] == [1, 1, 2]

    def sealed(text: str) -> str:
        return tenant.seal(text, "--encrypted-regex", "password")

    text = sealed(first)
    overlay = {f"prod/{name}": content for name, content in plain.items()}
    overlay["prod/fixed.yaml"] = tenant.seal(fixed)
    tenant.deploy({**overlay, "prod/db.yaml": text}, render={"kustomize": {"path": "prod"}})
    assert _standing(tenant) == before
    for again in (sealed(first), _rotated(tmp_path, text, identity)):
        assert tenant.sync({"prod/db.yaml": again, "prod/fixed.yaml": tenant.seal(fixed)}).ready
        assert _standing(tenant) == before

    tenant.sync({"prod/db.yaml": sealed(second)})
    tenant.until_ready()
    tenant.controlplane.wait_available(tenant.namespace, "web")
    after = _standing(tenant)
    assert len(after["apps/replicasets"]) == 2
    assert len(after["secrets"]) == 2
    assert len(after["secrets"] & before["secrets"]) == 1
    assert tenant.sync({"prod/db.yaml": sealed(second)}).ready
    assert _standing(tenant)["apps/replicasets"] == after["apps/replicasets"]
