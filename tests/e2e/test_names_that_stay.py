"""A workload that `kubectl apply -k` deployed goes on while the agent takes it over and its secrets are encrypted again."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from manifests_written import deployment

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.installation import Installation, Tenant

_OVERLAY = """\
resources: [web.yaml]
secretGenerator: [{name: db, files: [db.yaml]}, {name: plain, literals: [a=b]}]
vars: [{name: DB, objref: {apiVersion: v1, kind: Secret, name: db}}]
"""
_ENV: list[dict[str, object]] = [
    {"name": "P", "valueFrom": {"secretKeyRef": {"name": "db", "key": "db.yaml"}}},
    {"name": "NAME", "value": "$(DB)"},
]


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


def test_pods_go_on_until_a_value_changes(installation: Installation, tenant: Tenant, tmp_path: Path):
    first, second = f"password: {installation.canary('kept')}\n", f"password: {installation.canary('changed')}\n"
    identity = tenant.create_key()
    plain = {"kustomization.yaml": _OVERLAY, "web.yaml": deployment("web", env=_ENV), "db.yaml": first}
    folder = tmp_path / "plain"
    folder.mkdir()
    for name, text in plain.items():
        (folder / name).write_text(text)
    tenant.controlplane.kubectl("apply", "--namespace", tenant.namespace, "-k", str(folder))
    tenant.controlplane.wait_available(tenant.namespace, "web")
    before = _standing(tenant)
    assert [len(each) for each in before.values()] == [1, 1, 2]

    def sealed(text: str) -> str:
        return tenant.seal(text, "--encrypted-regex", "password")

    text = sealed(first)
    overlay = {f"prod/{name}": content for name, content in plain.items()}
    tenant.deploy({**overlay, "prod/db.yaml": text}, render={"kustomize": {"path": "prod"}})
    assert _standing(tenant) == before
    for again in (sealed(first), _rotated(tmp_path, text, identity)):
        assert tenant.sync({"prod/db.yaml": again}).ready
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
