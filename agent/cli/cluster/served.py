"""The resource of a manifest that a command applies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.values.errors import UnknownKindError
from agent.values.tree import get_text

if TYPE_CHECKING:
    from typing import LiteralString

    from agent.manifests.kinds import Kinds, Resource
    from agent.values.tree import Object


def served(kinds: Kinds, manifest: Object, *, hint: LiteralString) -> Resource:
    """Raises UnknownKindError with this hint where the cluster does not serve it."""
    kind = get_text(manifest, "kind")
    resource = kinds.served(get_text(manifest, "apiVersion"), kind)
    if resource is None:
        raise UnknownKindError("the cluster does not serve this kind", hint=hint, kind=kind)
    return resource
