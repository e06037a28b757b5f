"""The files that the scenarios of `diff_scenarios` commit."""

from __future__ import annotations

import functools
import json
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from manifests_written import config_map, deployment, secret

from testbed import sealing

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed.installation import Tenant
    from testbed.repository import Content as Written
    from testbed.sealing import SealingPair

    Content = Written | Callable[[Tenant], str]

ENV: list[dict[str, object]] = [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}]
FOUR = {f"{name}.yaml": config_map(name, value="1") for name in "abcd"}
IMMUTABLE = {"web.yaml": deployment("web", app="one")}
RENDERED = {"render": {"kustomize": {"path": "prod"}}, "substitute": {"files": ["vars.env"]}}


def sealed(tenant: Tenant) -> str:
    return tenant.seal(secret("db", password="overlay-4711"))


OVERLAY: dict[str, Content] = {
    **{f"prod/{path}": text for path, text in FOUR.items()},
    "prod/kustomization.yaml": """\
resources: [a.yaml, b.yaml, c.yaml, d.yaml, db.yaml]
generatorOptions: {disableNameSuffixHash: true}
configMapGenerator: [{name: made, literals: ["value=${VALUE}"]}]
""",
    "prod/db.yaml": sealed,
    "vars.env": "VALUE=1\n",
}


def annotated(manifest: str, **annotations: str) -> str:
    tree = json.loads(manifest)
    tree["metadata"]["annotations"] = {
        f"signet-gitops.dev/{name.replace('_', '-')}": text for name, text in annotations.items()
    }
    return json.dumps(tree)


def typed_secret(kind: str) -> str:
    return annotated(json.dumps({**json.loads(secret("db", password="x")), "type": kind}), replace="true")


def job() -> str:
    container = {"name": "main", "image": "registry.example/app:1"}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    spec = {"template": template, "ttlSecondsAfterFinished": 1}
    return json.dumps({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "migrate"}, "spec": spec})


def claim(mode: str) -> str:
    tree = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data"},
        "spec": {"accessModes": [mode], "resources": {"requests": {"storage": "1Gi"}}},
    }
    return annotated(json.dumps(tree), replace="true")


def altered(tenant: Tenant) -> str:
    return tenant.seal(secret("db", password="x")).replace(
        "metadata:\n", "metadata:\n    labels:\n        team: intruder\n"
    )


def strangers(tenant: Tenant) -> str:
    return tenant.installation.tenant().seal(secret("db", password="x"))


def by_transit(tenant: Tenant) -> str:
    return tenant.seal_by_transit(secret("db", password="x"))


@functools.cache
def sealing_pair() -> SealingPair:
    return sealing.pair(Path(tempfile.mkdtemp()), "diff")


def sealed_secret(name: str, password: str) -> Callable[[Tenant], str]:
    return lambda tenant: sealing_pair().seal(secret(name, password=password), "--namespace", tenant.namespace)


def numbered(content: Content, number: int) -> Content:
    """A file of a fault with names of its own."""
    if not isinstance(content, str):
        return content
    return re.sub(r'("?name"?: "?)(victim|web|db|odd|far|pin|port)\b', rf"\g<1>\g<2>{number}", content)


MANY = 60
REFERS = "vault://main/{mount}/apps/db#one"
STORE = {
    "db.yaml": secret("db", password=REFERS),
    "web.yaml": deployment("web", env=ENV),
    "other.yaml": config_map("other", value="1"),
    "leaving.yaml": config_map("leaving", value="1"),
}
STORE_CHANGE = {
    "db.yaml": secret("db", password="vault://main/{mount}/apps/db#two"),
    "other.yaml": config_map("other", value="2"),
    "leaving.yaml": None,
}
GOOD = {f"{name}.yaml": config_map(name, value="1") for name in ("other", "leaving")}
