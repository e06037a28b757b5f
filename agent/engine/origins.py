"""What caused a step, as people see it: which source of a secret has another version, and which Secret rolls a workload."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.engine.causes import Cause, Why
from agent.manifests import order, references

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.engine.assembling import Assembled
    from agent.engine.live import LiveFact
    from agent.engine.record import ObjectRecord
    from agent.values.ids import ObjectId


def cause_of(cause: Cause, known: ObjectRecord | None, fact: LiveFact | None, wanted: ObjectRecord) -> Cause:
    """The first that holds, now that it is known what is `wanted`.

    What was applied is applied again: whatever else was looked for, the live object differs. And an object that differs may have got
    another version from a store, or another roll, besides.
    """
    if cause == Cause.NEW or known is None or not known.uid:
        return cause
    if known.applied == wanted.applied:
        return Cause.DELETION if fact is None else Cause.EDIT
    if cause not in {Cause.DELETION, Cause.EDIT}:
        return cause
    if any(known.stores.get(text, version) != version for text, version in wanted.stores.items()):
        return Cause.SECRET
    return Cause.ROLL if wanted.roll and known.roll != wanted.roll else cause


def why(
    cause: Cause,
    item: Assembled,
    assembled: Mapping[ObjectId, Assembled],
    recorded: Mapping[ObjectId, ObjectRecord],
) -> Why:
    """The cause with its detail."""
    if cause == Cause.SECRET:
        return Why(cause, _sources(recorded.get(item.id), item.record))
    if cause == Cause.ROLL:
        return Why(cause, _secrets(item, assembled, recorded))
    return Why(cause)


def _sources(known: ObjectRecord | None, record: ObjectRecord) -> tuple[str, ...]:
    """The labels of values of which another version was read; of all that have none, where a store keeps none."""
    changed = {
        text: version for text, version in record.stores.items() if known is None or known.stores.get(text) != version
    }
    return tuple(_label(text, version) for text, version in sorted((changed or record.stores).items()))


def _label(text: str, version: int) -> str:
    reference = references.parse(text)
    name = f"vault:{reference.store}/{reference.path}#{reference.key}"
    return f"{name}@{version}" if version > 0 else f"{name} (missing)" if version < 0 else name


def _secrets(
    item: Assembled, assembled: Mapping[ObjectId, Assembled], recorded: Mapping[ObjectId, ObjectRecord]
) -> tuple[str, ...]:
    """The Secrets that it names and that changed in this run; all that it names, where they did in an earlier one."""
    named = [key for key in sorted(order.depends_on(item.tree)) if key.kind == "Secret"]
    changed = [
        key
        for key in named
        if key in assembled and (key not in recorded or recorded[key].applied != assembled[key].record.applied)
    ]
    return tuple(map(str, changed or named))
