"""What a repository shows to all who read it, or lets them exchange: Secrets in the clear, and clear values in encrypted files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent.sops.format.metadata import ENTRY
from agent.sops.kubernetes import clear, meaning
from agent.values.errors import AgentError, ClearValuesError, PlaintextSecretError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent.sops.stores import Store
    from agent.values.tree import Object
    from agent.yaml.nodes import Mapping

_SECRET = rb"""\bkind["']?\s*:\s*["']?Secret"""


def of(data: bytes, store: Store, *, file: str) -> tuple[AgentError, ...]:
    """A warning for each Secret in the clear of a file; none where it does not parse, as a template."""
    if store.flat or store.single or re.search(_SECRET, data) is None:
        return ()
    try:
        documents = store.parse_plain(data, file=file)
    except AgentError:
        return ()
    return tuple(among(documents, file=file))


def among(documents: Sequence[Mapping], *, file: str) -> Iterator[AgentError]:
    """The same of what was parsed already."""
    for line, tree in _objects(documents, file):
        fields = clear.listed(clear.plaintext(tree))
        if fields:
            yield PlaintextSecretError("a Secret is in the clear", file=file, line=line, fields=fields)


def unbound(documents: Sequence[Mapping], *, file: str) -> Iterator[AgentError]:
    """A warning where an encrypted file has values that the MAC does not hold in their places."""
    fields = clear.listed(field for _, tree in _objects(documents, file) for field in clear.unbound(tree))
    if fields:
        yield ClearValuesError(
            "the MAC does not cover where clear-text values are, so they can be swapped unnoticed",
            file=file,
            fields=fields,
        )


def _objects(documents: Sequence[Mapping], file: str) -> Iterator[tuple[int, Object]]:
    for document in documents:
        line = next((entry.line for entry in document.entries()), 0)
        try:
            tree = meaning.tree(document, {}, file=file)
        except AgentError:
            continue  # a duplicate key, which is reported elsewhere
        tree.pop(ENTRY, None)
        yield from ((line, found) for found in clear.objects(tree) if isinstance(found, dict))
