"""The one module of the command line that reveals secrets: where a person asked to see them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.values.reveal import reveal
from agent.values.secret import Secret
from agent.values.tree import map_leaves

if TYPE_CHECKING:
    from agent.values.tree import Leaf, Object, Path


def text(secret: Secret) -> str:
    """A secret's text; bytes that are not UTF-8 as surrogate escapes."""
    value = reveal(secret)
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)


def manifest(opened: Object) -> Object:
    """An object with every Secret in the clear; bytes that are not text, which no manifest can hold, stay a label."""

    def open_leaf(_: Path, leaf: Leaf) -> Leaf:
        if not isinstance(leaf, Secret):
            return leaf
        value = reveal(leaf)
        return f"<secret {leaf.label}, not text>" if isinstance(value, bytes) else value

    result = map_leaves(opened, open_leaf)
    assert isinstance(result, dict)
    return result
