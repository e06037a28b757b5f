"""What people add to live objects, and an installation that applied those objects."""

from __future__ import annotations

from typing import Any

from agent.values.secret import Secret
from whole_runs import manifests as m
from whole_runs.installation import Installation

PORT = {"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}
SERVICE = m.other("Service", "web", spec={"selector": {"app": "web"}, "ports": [PORT]})
WORKLOAD = m.workload(env=[{"name": "LEVEL", "value": "info"}])
FILES = {"a.yaml": m.config(), "s.yaml": m.plain_secret(), "svc.yaml": SERVICE, "w.yaml": WORKLOAD}


def pod_spec(live: Any) -> Any:
    return live["spec"]["template"]["spec"]


def edit_port(live: Any) -> None:
    live["spec"]["ports"] = [{**PORT, "port": 83}]


def add_sidecar(live: Any) -> None:
    pod_spec(live)["containers"].append({"name": "debug", "image": "busybox"})


def add_host_network(live: Any) -> None:
    pod_spec(live)["hostNetwork"] = True


def add_env(live: Any) -> None:
    pod_spec(live)["containers"][0]["env"].append({"name": "DEBUG", "value": "1"})


def add_secret_key(live: Any) -> None:
    live["data"]["extra"] = Secret("eA==", "theirs")


def add_key(live: Any) -> None:
    live["data"]["extra"] = "x"


def add_label(live: Any) -> None:
    live["metadata"]["labels"]["team"] = "theirs"


ADDED = {
    "a Service's port that was edited": ("Service/web", edit_port, 'spec.ports[port=83,protocol="TCP"]'),
    "a sidecar": ("Deployment/web", add_sidecar, 'spec.template.spec.containers[name="debug"]'),
    "the network of the host": ("Deployment/web", add_host_network, "spec.template.spec.hostNetwork"),
    "an environment variable": (
        "Deployment/web",
        add_env,
        'spec.template.spec.containers[name="web"].env[name="DEBUG"]',
    ),
    "a key of a Secret": ("Secret/db", add_secret_key, "data.extra"),
    "a key of a ConfigMap": ("ConfigMap/a", add_key, "data.extra"),
    "a label": ("ConfigMap/a", add_label, "metadata.labels.team"),
}


async def applied(files: dict[str, str] | None = None, **spec: object) -> Installation:
    world = Installation(files=files or FILES, **spec)
    assert (await world.run()).problems == []
    return world


def plain(world: Installation, name: str) -> Any:
    """A live object without what the server writes."""
    live: Any = world.live(name)
    metadata = {part: live["metadata"].get(part) for part in ("labels", "annotations")}
    return {**live, "metadata": metadata}
