"""Hooks of a chart apart from the objects that stand: what runs, and what is run for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent.manifests import documents, hooks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agent.desired.compiler import DesiredState
    from agent.manifests.documents import Document
    from agent.values.ids import ObjectId


def apart(desired: DesiredState, given: Iterable[Document]) -> DesiredState:
    """The desired state with its hooks apart. `given` are the documents of which it was compiled: of a held one nothing else says that it is a hook."""
    found = {
        key: replace(item, hook=hook)
        for key, item in desired.objects.items()
        if item.rendered_from and (hook := hooks.of(item.tree)) is not None
    }
    left = {key: item for key, item in desired.objects.items() if key not in found}
    unread = [
        str(key) if key is not None else document.file
        for document in given
        if document.rendered_from and hooks.of(document.tree) is not None
        for key in _unread(document, desired)
    ]
    return replace(desired, objects=left, hooks=found, unread_hooks=tuple(dict.fromkeys(unread)))


def _unread(document: Document, desired: DesiredState) -> Iterator[ObjectId | None]:
    """What a document of a hook declares that is no object; None where it does not say which."""
    identity = documents.identity_of(document.tree)
    if identity is None:
        yield None
        return
    group, kind, _, name = identity
    yield from (
        key
        for key in desired.held
        if key not in desired.objects and (key.group, key.kind, key.name) == (group, kind, name)
    )
