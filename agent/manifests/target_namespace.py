"""`spec.targetNamespace`: what else names a namespace that all objects are moved to. As kustomize's namespace transformer does it.

kustomize: api/filters/namespace, and the name references of api/internal/konfig/builtinpluginconsts. `metadata.namespace` is not
here: each object gets it with its identity.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent.manifests.builtin import group_of
from agent.values.tree import Object, get, get_object, get_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agent.manifests.documents import Document
    from agent.manifests.places import Places
    from agent.values.tree import Tree

_RBAC = "rbac.authorization.k8s.io"
_WEBHOOKS = frozenset({"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"})


def moved(given: tuple[Document, ...], places: Places) -> tuple[Document, ...]:
    """The documents with every reference to a ServiceAccount or Service of theirs, and every Namespace, where all objects go to one place."""
    if not places.only:
        return given
    namespace = places.default
    accounts = set(_named(given, "ServiceAccount"))
    services = set(_named(given, "Service"))

    def subject(item: Object) -> Object:
        ours = (item.get("kind") == "ServiceAccount" and _is_one(item, accounts)) or item.get("name") == "default"
        return {**item, "namespace": namespace} if ours else item

    def webhook(item: Object) -> Object:
        service = get_object(item, "clientConfig", "service")
        return _set(item, ("clientConfig", "service", "namespace"), namespace) if _is_one(service, services) else item

    def changed(tree: Object) -> Object:
        group, kind = group_of(get_text(tree, "apiVersion")), get_text(tree, "kind")
        if (group, kind) == ("", "Namespace"):
            return _set(tree, ("metadata", "name"), namespace)
        if group == _RBAC and kind in {"RoleBinding", "ClusterRoleBinding"}:
            return _mapped(tree, "subjects", subject)
        if group == "admissionregistration.k8s.io" and kind in _WEBHOOKS:
            return _mapped(tree, "webhooks", webhook)
        if (group, kind) == ("apiregistration.k8s.io", "APIService") and get_object(tree, "spec", "service"):
            return _set(tree, ("spec", "service", "namespace"), namespace)
        service = ("spec", "conversion", "webhook", "clientConfig", "service")
        if kind == "CustomResourceDefinition" and get(tree, *service, "namespace") is not None:
            return _set(tree, (*service, "namespace"), namespace)
        return tree

    return tuple(replace(each, tree=changed(each.tree)) for each in given)


def _named(given: Iterable[Document], kind: str) -> Iterable[tuple[str, str]]:
    """Name and namespace of each object of a kind of the core group."""
    for each in given:
        if get_text(each.tree, "apiVersion") == "v1" and get_text(each.tree, "kind") == kind:
            yield get_text(each.tree, "metadata", "name"), get_text(each.tree, "metadata", "namespace")


def _is_one(reference: Object, named: set[tuple[str, str]]) -> bool:
    """Whether one of the objects is meant: by its name, in the namespace that it names itself."""
    name, namespace = get_text(reference, "name"), get_text(reference, "namespace")
    return (name, namespace) in named or (name, "") in named or (not namespace and any(name == of for of, _ in named))


def _mapped(tree: Object, field: str, change: Callable[[Object], Object]) -> Object:
    items = tree.get(field)
    if not isinstance(items, list):
        return tree
    found: list[Tree] = [change(item) if isinstance(item, dict) else item for item in items]
    return {**tree, field: found}


def _set(tree: Object, path: tuple[str, ...], value: str) -> Object:
    step, *rest = path
    return {**tree, step: _set(get_object(tree, step), tuple(rest), value) if rest else value}
