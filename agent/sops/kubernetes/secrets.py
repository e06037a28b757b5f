"""What of a Kubernetes Secret is secret: the values below `data` and `stringData`.

Encrypted whole, as sops does by default, a Secret looks like any other object, to a Git review and to the agent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.sops.format.selection import Selected, Selection
from agent.yaml.nodes import Mapping, Sequence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agent.yaml.nodes import Value

SELECTION = Selection("encrypted_regex", "^(data|stringData)$")
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""The annotation in which `kubectl apply` keeps a copy of the whole object, values and all."""


def secrets(documents: Iterable[Mapping]) -> tuple[Mapping, ...]:
    """The Secrets among a file's objects, those in Lists too."""
    return tuple(each for each in _objects(documents) if isinstance(each, Mapping) and _is_secret(each))


def only_secrets(documents: Iterable[Mapping]) -> bool:
    """Whether a file has Secrets and nothing else.

    It has one rule for all its documents, and `data` of another kind need not be all that is secret of it.
    """
    found = list(_objects(documents))
    return bool(found) and all(isinstance(each, Mapping) and _is_secret(each) for each in found)


def copy_in_clear(secret: Mapping, selection: Selection) -> bool:
    """Whether an annotation holds the values a second time, and the selection leaves it clear."""
    metadata = secret.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    if not isinstance(annotations, Mapping) or annotations.get(LAST_APPLIED) is None:
        return False
    selected = Selected(selection)
    inside = False
    for key in ("metadata", "annotations", LAST_APPLIED):
        inside = selected.enters(inside, key)
    return not selected.encrypts(inside, marked=False)


def _is_secret(each: Mapping) -> bool:
    return (each.get("apiVersion"), each.get("kind")) == ("v1", "Secret")


def _objects(documents: Iterable[Mapping]) -> Iterator[Value]:
    for document in documents:
        items = document.get("items")
        if document.get("kind") in {"List", "SecretList"} and isinstance(items, Sequence):
            yield from items.values()
        elif any(True for _ in document.entries()):
            yield document
