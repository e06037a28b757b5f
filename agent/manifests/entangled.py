"""Why an API server refuses what merges to nonsense: items and fields beside ours, in a list or map of ours, that another manager put there.

A Service with the port 80 whose live port was changed to 83 merges to both; a variable with a value, that got a `valueFrom`, to one
with two sources. The refusal names a field of the merged object, which neither side wrote like that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.api.names import FIELD_MANAGER
from agent.manifests import elements
from agent.manifests.field_trees import SELF
from agent.manifests.fields import entries
from agent.manifests.managers import RELEASED
from agent.values.tree import get, get_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agent.manifests.field_trees import Elements
    from agent.values.tree import Object

_INDEX = re.compile(r"\[[^\]]*\]")


@dataclass(frozen=True, slots=True)
class Entangled:
    """What of a live object meets the fields that a refusal names: fields of others by entry, and those that have no manager at all."""

    owned: Mapping[str, frozenset[Elements]]
    unowned: frozenset[Elements]

    def __bool__(self) -> bool:
        return bool(self.owned or self.unowned)


def find(live: Object, applied: Object, refused: Iterable[str]) -> Entangled:
    """The fields of others that `refused` fields of a merged object come from, as far as they are not in what is `applied`.

    `refused` are written as the API server has them: `spec.ports[1].name`.
    """
    stands = elements.standing(applied)
    paths = [tuple(_INDEX.sub("", field).split(".")) for field in refused]
    foreign = {
        get_text(entry, "manager"): frozenset(path for path in elements.owned(entry) if not stands(path))
        for entry in entries(live)
        if get_text(entry, "manager") not in {FIELD_MANAGER, RELEASED} and not get_text(entry, "subresource")
    }
    for exact in (True, False):
        owned = {manager: found for manager, has in foreign.items() if (found := _meeting(has, paths, exact=exact))}
        if owned:
            return Entangled(owned, frozenset())
    return Entangled({}, _unowned(live, applied, paths))


def item_of(path: Elements) -> Elements:
    """The innermost item of a list that a field is in, or the field itself."""
    last = max((index for index, element in enumerate(path) if element.startswith("k:")), default=len(path) - 1)
    return path[: last + 1]


def _meeting(has: frozenset[Elements], paths: list[tuple[str, ...]], *, exact: bool) -> frozenset[Elements]:
    """The fields at or below those that are refused, or else beside them; an item that is all theirs is taken as a whole."""
    met = {path for path in has if any(_names(path)[: len(at)] == at for at in (p if exact else p[:-1] for p in paths))}
    items = {item for path in met if (*(item := item_of(path)), SELF) in has}
    return frozenset(
        path for path in has if path in met or not items.isdisjoint(path[:length] for length in range(len(path) + 1))
    )


def _names(path: Elements) -> tuple[str, ...]:
    return tuple(element.removeprefix("f:") for element in path if element.startswith("f:"))


def _unowned(live: Object, applied: Object, paths: list[tuple[str, ...]]) -> frozenset[Elements]:
    """What the API server filled in and is refused now: the settings of a strategy that is another one by now."""
    managed = frozenset(path for entry in entries(live) for path in elements.owned(entry))
    found = (tuple(f"f:{name}" for name in path) for path in paths if get(live, *path) is not None)
    return frozenset(
        path
        for path in found
        if not elements.stands(applied, path) and not any(each[: len(path)] == path for each in managed)
    )
