"""Fields go from one field manager to another, their values untouched: a JSON patch of `managedFields`, as client-go's csaupgrade makes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from agent.api.names import FIELD_MANAGER
from agent.manifests.elements import node, owned
from agent.manifests.fields import entries, is_apply_of
from agent.values.tree import get_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from agent.manifests.field_trees import Elements
    from agent.values.tree import Object, Tree

    _Entry = tuple[Object, frozenset[Elements]]


@dataclass(frozen=True, slots=True)
class Move:
    """Fields that entries of `managedFields` lose, and the manager that applies them then."""

    fields: Collection[Elements]
    source: Callable[[Object], bool]
    to: str


def patch(live: Object, moves: Iterable[Move], claimed: frozenset[Elements] = frozenset()) -> list[Object]:
    """The JSON patch that makes the moves; empty where nothing moves. `claimed` fields, which had no manager, are ours then.

    The write to resourceVersion fails with 409 where the object changed in the meantime.
    """
    listed = [(entry, owned(entry)) for entry in entries(live)]
    before = listed
    for move in moves:
        listed = _moved(listed, move)
    listed = [(entry, has | claimed if is_apply_of(entry, FIELD_MANAGER) else has) for entry, has in listed]
    if listed == before:
        return []
    # what does not move stays as it is written, also where it is deeper than is distinguished
    fresh: list[Tree] = [
        entry if (entry, fields) == known else {**entry, "fieldsV1": node(fields)}
        for (entry, fields), known in zip_longest(listed, before)
        if fields
    ]
    version = get_text(live, "metadata", "resourceVersion")
    return [
        {"op": "replace", "path": "/metadata/managedFields", "value": fresh},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
    ]


def _moved(listed: list[_Entry], move: Move) -> list[_Entry]:
    fields = frozenset(move.fields)
    given = [(entry, taken) for entry, has in listed if move.source(entry) and (taken := has & fields)]
    if not given:
        return listed
    left = [(entry, has - fields if move.source(entry) else has) for entry, has in listed]
    if not any(is_apply_of(entry, move.to) for entry, _ in left):
        like = {key: value for key, value in given[0][0].items() if key != "subresource"}
        left.append(({**like, "manager": move.to, "operation": "Apply"}, frozenset()))
    moved = frozenset(path for _, taken in given for path in taken)
    return [(entry, has | moved if is_apply_of(entry, move.to) else has) for entry, has in left]
