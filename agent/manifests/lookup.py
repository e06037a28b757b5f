"""What the path elements of FieldsV1 select: `f:` a field, `k:` and `v:` the item with these keys or this value, `i:` the one at an index.

The author of an object chooses both the items of a list and the elements that select some of them, thousands of each. So a list is
looked through once, not once for each element.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from agent.manifests.builtin import item_key
from agent.values.fingerprint import canonical

if TYPE_CHECKING:
    from agent.manifests.field_trees import Elements
    from agent.values.tree import Object, Path, Tree

    Step = tuple[str | int, Tree]

_KEYINGS = 4
"""As many sets of key fields a list is looked through by: an API server writes one, or another with another version of the kind."""
_DIGITS = 9


class Lookup:
    """Into one object, which stays as it is meanwhile."""

    def __init__(self, tree: Object) -> None:
        self._tree = tree
        self._lists: dict[int, dict[tuple[str, ...], dict[bytes, int]]] = {}

    def place(self, at: Elements) -> Path | None:
        """Where path elements lead, list items by index; None where nothing stands there."""
        path: Path = ()
        value: Tree = self._tree
        for element in at:
            found = self.select(value, element)
            if found is None:
                return None
            path, value = (*path, found[0]), found[1]
        return path

    def select(self, value: Tree, element: str) -> Step | None:
        """The step and the value that an element selects below a value of the object."""
        mark, _, rest = element.partition(":")
        if isinstance(value, dict):
            return (rest, value[rest]) if mark == "f" and rest in value else None
        if not isinstance(value, list):
            return None
        index = None
        if mark == "i" and rest.isdecimal() and len(rest) <= _DIGITS:
            index = int(rest)
        elif mark in {"k", "v"}:
            index = self._index(value, mark, _read(rest))
        return (index, value[index]) if index is not None and index < len(value) else None

    def _index(self, items: list[Tree], mark: str, wanted: Tree) -> int | None:
        """Of the first item that is wanted. The keys of a map are the key fields."""
        if mark == "v":
            fields: tuple[str, ...] = ()
        elif isinstance(wanted, dict) and wanted:
            fields = tuple(sorted(wanted))
        else:
            return None
        known = self._lists.setdefault(id(items), {})
        if fields not in known and len(known) < _KEYINGS:
            known[fields] = _places(items, fields)
        token = _token([wanted[field] for field in fields] if isinstance(wanted, dict) and fields else wanted)
        return known.get(fields, {}).get(token) if token is not None else None


def _places(items: list[Tree], fields: tuple[str, ...]) -> dict[bytes, int]:
    places: dict[bytes, int] = {}
    for index, item in enumerate(items):
        if not fields:
            token = _token(item)
        elif isinstance(item, dict):
            token = _token([*item_key(item, fields)])
        else:
            continue
        if token is not None:
            _ = places.setdefault(token, index)
    return places


def _token(value: Tree) -> bytes | None:
    """Equal for what is the same, sealed or not. A hash, which is compared here and goes no further."""
    try:
        return hashlib.sha256(canonical(value)).digest()
    except (UnicodeEncodeError, RecursionError):
        return None


def _read(text: str) -> Tree:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
