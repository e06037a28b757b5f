"""Workloads as tests commit them: pods that read Secrets by themselves, under Pod Security `restricted`."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from testbed.node.archives import BUSYBOX
from testbed.processes import wait_until

if TYPE_CHECKING:
    from testbed.installation import Tenant


def secret(name: str, **data: str) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data})


def config_map(name: str, **data: str) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})


def reader(name: str, **secrets: str) -> str:
    """A Deployment whose pod mounts these Secrets (key by name), and prints the digest of each value when it starts."""
    reads = [f"echo {each} $(sha256sum < /secrets/{each}/{key})" for each, key in secrets.items()]
    container = {
        "name": "reader",
        "image": BUSYBOX,
        "command": ["sh", "-c", "; ".join([*reads, "exec sleep 2147483647"])],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": each, "mountPath": f"/secrets/{each}", "readOnly": True} for each in secrets],
    }
    pod = {
        "automountServiceAccountToken": False,
        "containers": [container],
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
        "terminationGracePeriodSeconds": 0,
        "volumes": [{"name": each, "secret": {"secretName": each}} for each in secrets],
    }
    labels = {"app": name}
    return json.dumps(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        }
    )


def until_read(tenant: Tenant, name: str, wanted: dict[str, str]) -> None:
    """Until the newest pod of a `reader` printed these digests, by the Secret's name: a container runs before it has said anything."""

    def read() -> dict[str, str]:
        lines = tenant.controlplane.kubectl("logs", "-n", tenant.namespace, f"deployment/{name}", check=False)
        words = [each.split() for each in lines.splitlines()]
        return {each[0]: each[1] for each in words if len(each) >= 2}

    _ = wait_until(lambda: read() == wanted, 120, f"{name} reads its Secrets", interval=0.5)


def digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()
