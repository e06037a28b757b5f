"""The objects of an installation, as functions of what an operator chooses."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from agent.api import crd
from agent.installation.choices import NAMESPACE, TENANT, Mode
from agent.values.tree import Tree, get_object, get_text
from agent.yaml.read import manifests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.installation.choices import Choices
    from agent.values.tree import Object


def of(choices: Choices) -> list[Object]:
    """All of them, in the order in which they are applied."""
    objects = [*read("namespace.yaml"), crd.definition(), *read("rbac.yaml")]
    if choices.mode is not Mode.NONE:
        objects += [*read("network.yaml")]
        if choices.mode is Mode.DEPLOYMENT and choices.available:
            objects += read("available.yaml")
        objects += [_workload(choices)]
        objects += [*read("monitor.yaml"), *read("alerts.yaml")] if choices.monitored else []
        objects += read("webhooks.yaml") if choices.webhooks else []
    return [_placed(each, choices.namespace) for each in objects]


def tenant(namespace: str) -> list[Object]:
    """A namespace that may hold Applications."""
    return [_placed(each, namespace, of=TENANT) for each in read("tenant.yaml")]


def platform(namespace: str) -> list[Object]:
    """A namespace whose Applications may install what the whole cluster has."""
    return [*tenant(namespace), *(_placed(each, namespace, of=TENANT) for each in read("platform.yaml"))]


def text(name: str) -> str:
    """A file of the folder, comments and all."""
    return resources.files("agent.installation").joinpath("manifests", name).read_text("utf-8")


def read(name: str) -> list[Object]:
    """The objects of a file of the folder."""
    return [get_object(each.tree) for each in manifests.parse(text(name).encode(), file=name)]


def _workload(choices: Choices) -> Object:
    (manifest,) = read("deployment.yaml")
    if choices.available and choices.mode is Mode.DEPLOYMENT:
        (patch,) = read("available.patch.yaml")
        manifest = get_object(_patched(manifest, patch))
    spec = get_object(manifest, "spec")
    for container in _containers(spec):
        container["image"] = choices.image
    if choices.mode is Mode.DAEMON_SET:
        kept = {key: spec[key] for key in ("selector", "template")}
        manifest |= {"kind": "DaemonSet", "spec": {"updateStrategy": {"type": "RollingUpdate"}, **kept}}
    return manifest


def _containers(spec: Object) -> Iterator[Object]:
    found = get_object(spec, "template", "spec").get("containers")
    yield from (get_object(each) for each in found) if isinstance(found, list) else ()


def _patched(tree: Tree, patch: Tree) -> Tree:
    """A patch in which no list meets a list."""
    if not isinstance(tree, dict) or not isinstance(patch, dict):
        return patch
    return tree | {key: _patched(tree.get(key), value) for key, value in patch.items()}


def _placed(manifest: Object, namespace: str, *, of: str = NAMESPACE) -> Object:
    """With its own namespace, or the name of it, and that of subjects, where these are the one that the file names."""

    def moved(tree: Object, key: str) -> None:
        if tree.get(key) == of:
            tree[key] = namespace

    moved(get_object(manifest, "metadata"), "namespace")
    if get_text(manifest, "kind") == "Namespace":
        moved(get_object(manifest, "metadata"), "name")
    subjects = manifest.get("subjects")
    for subject in subjects if isinstance(subjects, list) else []:
        moved(get_object(subject), "namespace")
    return manifest
