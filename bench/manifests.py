"""The objects that are measured with: equal parts of five kinds, 0.7 to 3.5 KB each, the same in every run."""

from __future__ import annotations

import base64
import random
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

Object: TypeAlias = "dict[str, Any]"

KINDS: Final = ("ServiceAccount", "ConfigMap", "Secret", "Service", "Deployment")
"""In the order in which the agent applies them."""
PLURALS: Final = {
    "Deployment": "deployments",
    "Service": "services",
    "ConfigMap": "configmaps",
    "Secret": "secrets",
    "ServiceAccount": "serviceaccounts",
}
SECRETS_PER_FILE: Final = 5
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz0123456789"


def service(number: int) -> list[Object]:
    """One object of each kind; the Deployment names the others. It has no pods: nothing but the API is measured."""
    chance = random.Random(number)
    name = f"service-{number:04}"
    labels = {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "bench", "team": f"team-{number % 7}"}
    metadata = {"name": name, "labels": labels, "annotations": {"example.com/about": _text(chance, 220)}}
    selector = {"app.kubernetes.io/name": name}
    settings = {f"setting-{at:02}.properties": _text(chance, 120) for at in range(chance.randrange(5, 22))}
    secrets = {f"secret-{at}": base64.b64encode(chance.randbytes(90)).decode() for at in range(chance.randrange(3, 9))}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata, "automountServiceAccountToken": False},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": settings},
        {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": secrets},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {
                "selector": selector,
                "sessionAffinity": "None",
                "ports": [
                    {"name": port, "port": at, "targetPort": port, "protocol": "TCP"}
                    for port, at in (("http", 80), ("grpc", 9000), ("metrics", 9090))
                ],
            },
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {
                "replicas": 0,
                "revisionHistoryLimit": 3,
                "selector": {"matchLabels": selector},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {
                        "serviceAccountName": name,
                        "containers": [_container(name, chance, at) for at in range(chance.choice((1, 1, 1, 2)))],
                        "volumes": [
                            {"name": "settings", "configMap": {"name": name}},
                            {"name": "scratch", "emptyDir": {"sizeLimit": "64Mi"}},
                        ],
                    },
                },
            },
        },
    ]


def _container(name: str, chance: random.Random, at: int) -> Object:
    probe = {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 10, "timeoutSeconds": 2}
    return {
        "name": "main" if at == 0 else f"sidecar-{at}",
        "image": f"registry.example.com/bench/{name}:1.{at}.0",
        "args": ["--listen=:8080", f"--name={name}"],
        "env": [
            *({"name": f"OPTION_{index}", "value": _text(chance, 24)} for index in range(6)),
            {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": name, "key": "secret-0"}}},
        ],
        "envFrom": [{"configMapRef": {"name": name}}],
        "ports": [{"name": "http" if at == 0 else f"http-{at}", "containerPort": 8080 + at, "protocol": "TCP"}],
        "resources": {
            "requests": {"cpu": "100m", "memory": "128Mi"},
            "limits": {"cpu": "500m", "memory": "256Mi"},
        },
        "livenessProbe": probe,
        "readinessProbe": probe,
        "securityContext": {"allowPrivilegeEscalation": False, "runAsNonRoot": True, "readOnlyRootFilesystem": True},
        "volumeMounts": [{"name": "settings", "mountPath": "/etc/settings", "readOnly": True}],
    }


def _text(chance: random.Random, length: int) -> str:
    return "".join(chance.choices(_LETTERS, k=length))


def services(objects: int) -> list[list[Object]]:
    """As many services as make up `objects` objects."""
    return [service(number) for number in range(objects // len(KINDS))]


def in_namespace(obj: Object, namespace: str) -> Object:
    return {**obj, "metadata": {**obj["metadata"], "namespace": namespace}}


def files(items: Sequence[list[Object]], seal: Callable[[str], str]) -> dict[str, str]:
    """What is committed: a file per service, and the Secrets in files of five that `seal` encrypts."""
    found = plain_files(items)
    secrets = [obj for objects in items for obj in objects if obj["kind"] == "Secret"]
    groups = [secrets[at : at + SECRETS_PER_FILE] for at in range(0, len(secrets), SECRETS_PER_FILE)]
    with ThreadPoolExecutor(2) as threads:
        texts = threads.map(seal, [dump(group) for group in groups])
        found.update({f"secrets/group-{number:03}.yaml": text for number, text in enumerate(texts)})
    return found


def plain_files(items: Iterable[Sequence[Object]]) -> dict[str, str]:
    """The file of each service: all of it but its Secret."""
    return {_file(objects): _plain_part(objects) for objects in items}


def changed(items: Sequence[list[Object]], count: int) -> dict[str, str]:
    """Files in which `count` objects differ: ConfigMaps, Services and Deployments in turn, each of another service."""
    found: dict[str, str] = {}
    for number in range(count):
        objects = [dict(obj) for obj in items[number]]
        account, settings, secret, front, workload = objects
        if number % 3 == 0:
            settings["data"] = {**settings["data"], "changed": "yes"}
        elif number % 3 == 1:
            front["spec"] = {**front["spec"], "sessionAffinity": "ClientIP"}
        else:
            workload["spec"] = {**workload["spec"], "revisionHistoryLimit": 4}
        found[_file(objects)] = _plain_part([account, settings, secret, front, workload])
    return found


def _file(objects: Sequence[Object]) -> str:
    return f"services/{objects[0]['metadata']['name']}.yaml"


def _plain_part(objects: Iterable[Object]) -> str:
    return dump(obj for obj in objects if obj["kind"] != "Secret")


def dump(objects: Iterable[Object]) -> str:
    """One YAML file."""
    return yaml.dump_all(objects, Dumper=yaml.CSafeDumper, sort_keys=False)


def path(obj: Object) -> str:
    """The API path of an object that names its namespace."""
    metadata = obj["metadata"]
    return f"{collection(obj['kind'], metadata['namespace'])}/{metadata['name']}"


def collection(kind: str, namespace: str) -> str:
    """The API path of a namespace's objects of a kind."""
    root = "/apis/apps/v1" if kind == "Deployment" else "/api/v1"
    return f"{root}/namespaces/{namespace}/{PLURALS[kind]}"
