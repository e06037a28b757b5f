"""`spec.source` as a test wants it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from agent.api.model import validate
from agent.api.sources import Source

if TYPE_CHECKING:
    from agent.values.tree import Tree


def make_source(url: str, **fields: object) -> Source:
    """Of the branch main, unless `fields` say otherwise."""
    tree: dict[str, object] = {"url": url, "revision": {"branch": "main"}, **fields}
    return validate(Source, cast("Tree", tree))
