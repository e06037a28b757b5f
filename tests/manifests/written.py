"""Manifests written as text, for the tests of this folder."""

from __future__ import annotations

from textwrap import dedent

from agent.manifests import documents, layers
from agent.manifests.kinds import Kinds, Resource
from agent.manifests.places import Places
from agent.values.reveal import reveal
from agent.values.secret import Secret
from agent.values.tree import map_leaves
from agent.yaml.read import manifests as yaml

KINDS = Kinds(
    [
        Resource("", "v1", "ConfigMap", "configmaps", namespaced=True),
        Resource("", "v1", "Namespace", "namespaces", namespaced=False),
        Resource("", "v1", "Pod", "pods", namespaced=True),
        Resource("", "v1", "Secret", "secrets", namespaced=True),
        Resource("", "v1", "Service", "services", namespaced=True),
        Resource("apps", "v1", "Deployment", "deployments", namespaced=True),
        Resource("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", namespaced=False),
        Resource(
            "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False
        ),
        Resource("example.com", "v1", "Database", "databases", namespaced=True),
    ],
    unavailable=["metrics.k8s.io"],
)


def tree(text: str):
    (document,) = yaml.parse(dedent(text).encode(), file="case.yaml")
    return document.tree


def files(*by_layer: dict[str, str]) -> list[documents.File]:
    return [
        documents.File(path, f"blob of {path}", dedent(text).encode(), layer)
        for layer, given in enumerate(by_layer)
        for path, text in given.items()
    ]


def parsed(*by_layer: dict[str, str]) -> documents.Parsed:
    return documents.parse(files(*by_layer))


def merged(*by_layer: dict[str, str], allowed=()) -> layers.Merged:
    found = parsed(*by_layer)
    assert found.failures == ()
    return layers.merge(found.documents, kinds=KINDS, places=Places("shop", allowed, allowed))


def merged_one(*texts: str):
    """The one object that one document per layer gives."""
    result = merged(*({f"layer{index}/a.yaml": text} for index, text in enumerate(texts)))
    assert [str(failure.error) for failure in result.failures] == []
    (desired,) = result.objects.values()
    return desired.tree


def shown(value):
    """A tree with its secrets in the clear, to compare with what was expected."""
    return map_leaves(value, lambda _, leaf: reveal(leaf) if isinstance(leaf, Secret) else leaf)
