"""Workloads as tests commit them: pods that read Secrets by themselves, under Pod Security `restricted`."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from testbed.node.archives import BUSYBOX

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


def read_by(tenant: Tenant, name: str) -> dict[str, str]:
    """What the newest pod of a `reader` printed: the digest of each value, by the Secret's name."""
    lines = tenant.controlplane.kubectl("logs", "-n", tenant.namespace, f"deployment/{name}", check=False).splitlines()
    return {each.split()[0]: each.split()[1] for each in lines if len(each.split()) >= 2}


def digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()
