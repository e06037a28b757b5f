"""Manifests as tests write them."""

from __future__ import annotations

import json


def config_map(name: str, **data: object) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})


def secret(name: str, **data: object) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data})


def deployment(name: str, *, env: list[dict[str, object]] | None = None, **labels: str) -> str:
    selector = labels or {"app": name}
    container = {"name": "main", "image": "registry.example/app:1", "env": env or []}
    return json.dumps(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {
                "selector": {"matchLabels": selector},
                "template": {"metadata": {"labels": selector}, "spec": {"containers": [container]}},
            },
        }
    )
