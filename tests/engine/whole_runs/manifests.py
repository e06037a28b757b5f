"""Manifests as tests write them, in as few words as each needs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from agent.api import names
from agent.api import operator as operators
from agent.values.tree import get_text
from agent.yaml.read import manifests as yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from memory_world.server import Change, Server

    from agent.api.operator import OperatorSettings
    from agent.values.tree import Object, Path


def _written(api_version: str, kind: str, name: str, annotations: dict[str, str] | None, **fields: object) -> str:
    metadata: dict[str, object] = {"name": name}
    if annotations:
        metadata["annotations"] = {f"signet-gitops.dev/{word}": text for word, text in annotations.items()}
    return json.dumps({"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}, indent=1) + "\n"


def config(name: str = "a", data: str = "1", annotations: dict[str, str] | None = None, **more: str) -> str:
    """A ConfigMap with a key `value`."""
    return _written("v1", "ConfigMap", name, annotations, data={"value": data, **more})


def secret(
    name: str = "db", value: str = "vault://main/kv/db#password", annotations: dict[str, str] | None = None
) -> str:
    """A Secret with a key `password`, in a store where nothing else is said."""
    return _written("v1", "Secret", name, annotations, stringData={"password": value})


def plain_secret(name: str = "db", value: str = "hunter2") -> str:
    """As it is before it is encrypted: in lines of its own."""
    return f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\nstringData:\n  password: {value}\n"


def workload(
    name: str = "web",
    uses: str = "",
    annotations: dict[str, str] | None = None,
    *,
    kind: str = "Deployment",
    app: str = "web",
    image: str = "web:1",
    replicas: int | None = None,
    **container_fields: object,
) -> str:
    """A workload that takes its environment of a Secret, if it `uses` one."""
    container: dict[str, object] = {"name": "web", "image": image, **container_fields}
    if uses:
        container["envFrom"] = [{"secretRef": {"name": uses}}]
    template = {"metadata": {"labels": {"app": app}}, "spec": {"containers": [container]}}
    spec: dict[str, object] = {"template": template}
    if replicas is not None:
        spec["replicas"] = replicas
    if kind != "Job":
        spec["selector"] = {"matchLabels": {"app": app}}
    return _written("batch/v1" if kind == "Job" else "apps/v1", kind, name, annotations, spec=spec)


def autoscaler(name: str = "web", kind: str = "Deployment") -> str:
    target = {"apiVersion": "apps/v1", "kind": kind, "name": name}
    spec = {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 9}
    return _written("autoscaling/v2", "HorizontalPodAutoscaler", name, None, spec=spec)


def claim(name: str = "disk", size: str = "1Gi", annotations: dict[str, str] | None = None) -> str:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    return _written("v1", "PersistentVolumeClaim", name, annotations, spec=spec)


def other(
    kind: str, name: str = "x", api_version: str = "v1", annotations: dict[str, str] | None = None, **fields: object
) -> str:
    """An object of any kind."""
    return _written(api_version, kind, name, annotations, **fields)


def definition(kind: str = "Gadget", *, conditions: bool = False) -> str:
    """`conditions`: its objects have `status.conditions`."""
    schema: dict[str, object] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    if conditions:
        schema["properties"] = {"status": {"type": "object", "properties": {"conditions": {"type": "array"}}}}
    plural = f"{kind.lower()}s"
    spec = {
        "group": "example.com",
        "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": schema},
            }
        ],
    }
    name = f"{plural}.example.com"
    return _written("apiextensions.k8s.io/v1", "CustomResourceDefinition", name, None, spec=spec)


def gadget(name: str = "g", annotations: dict[str, str] | None = None, **spec: object) -> str:
    return _written("example.com/v1", "Gadget", name, annotations, spec=spec or {"size": 1})


def sealed_secret(name: str = "db", value: str = "aHVudGVyMg==") -> str:
    return _written("bitnami.com/v1alpha1", "SealedSecret", name, None, spec={"encryptedData": {"password": value}})


def tree(text: str, namespace: str = "shop") -> Object:
    """A live object, where a text names none in this namespace."""
    (document,) = yaml.parse(text.encode(), file="written.yaml")
    found = document.tree
    metadata = found["metadata"]
    assert isinstance(metadata, dict)
    return {**found, "metadata": {"namespace": namespace, **metadata}}


def namespace(name: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name},
        "status": {"phase": "Active"},
    }


def application_definition() -> Object:
    """The CRD of Applications; without what discovery makes of it."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": names.CRD_NAME},
    }


def operator(**fields: object) -> OperatorSettings:
    """The operator's file."""
    return operators.parse(fields or None)  # pyright: ignore[reportArgumentType]


def difference(before: Object, after: Object, at: Path = ()) -> Iterator[tuple[Path, object]]:
    """The leaves of `after` that `before` has otherwise."""
    for name, value in after.items():
        known = before.get(name)
        if isinstance(value, dict) and isinstance(known, dict):
            yield from difference(known, value, (*at, name))
        elif value != known:
            yield (*at, name), value


def establish(server: Server, change: Change) -> None:
    """What controllers do at once: definitions are established, and namespaces active."""
    if change.tree is None or "status" in change.tree:
        return
    if change.key.kind == "CustomResourceDefinition" and get_text(change.tree, "spec", "group"):
        conditions: list[Object] = [{"type": kind, "status": "True"} for kind in ("NamesAccepted", "Established")]
        server.update(change.key, {("status", "conditions"): conditions}, "kube-apiserver", subresource="status")
    elif change.key.kind == "Namespace":
        server.update(change.key, {("status", "phase"): "Active"}, "kube-apiserver", subresource="status")
