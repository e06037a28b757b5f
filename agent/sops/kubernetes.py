"""What of a Kubernetes Secret is secret: the values below `data` and `stringData`.

Encrypted whole, as sops does where nobody chose, a Secret cannot be told from any other object, by Git review or by the agent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.sops.selection import Selection
from agent.yaml.nodes import Mapping, Sequence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agent.yaml.nodes import Value

SELECTION = Selection("encrypted_regex", "^(data|stringData)$")
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""The annotation in which `kubectl apply` keeps a copy of the whole object, values and all."""


def secrets(documents: Iterable[Mapping]) -> tuple[Mapping, ...]:
    """The Secrets that a file consists of, those in Lists too; none where it holds anything else.

    A file has one rule for all its documents, and `data` of another kind need not be all that is secret of it.
    """
    found: list[Mapping] = []
    for each in _objects(documents):
        if not isinstance(each, Mapping) or (each.get("apiVersion"), each.get("kind")) != ("v1", "Secret"):
            return ()
        found.append(each)
    return tuple(found)


def holds_secret(documents: Iterable[Mapping]) -> bool:
    """Whether any of the objects is a Secret."""
    return any(secrets([each]) for each in _objects(documents) if isinstance(each, Mapping))


def holds_copy(secret: Mapping) -> bool:
    """Whether an annotation holds the values a second time."""
    metadata = secret.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    return isinstance(annotations, Mapping) and annotations.get(LAST_APPLIED) is not None


def _objects(documents: Iterable[Mapping]) -> Iterator[Value]:
    for document in documents:
        items = document.get("items")
        if document.get("kind") in {"List", "SecretList"} and isinstance(items, Sequence):
            yield from items.values()
        elif any(True for _ in document.entries()):
            yield document
