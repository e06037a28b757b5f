"""Which objects need doing, and why: desired against record against live, without any plaintext."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.engine.causes import Cause
from agent.manifests import ownership

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from agent.engine.live import LiveFact
    from agent.engine.record import ApplicationRecord, ObjectRecord
    from agent.manifests.layers import Desired
    from agent.values.fingerprint import Fingerprinter
    from agent.values.ids import ObjectId

TRANSFORMATION = "1"
"""Raised when the agent itself would make another object of the same sealed merge."""


def recipes(fingerprinter: Fingerprinter, application: str, objects: Mapping[ObjectId, Desired]) -> dict[ObjectId, str]:
    """The recipe fingerprint of each desired object."""
    return {
        key: fingerprinter.tree(application, key.key, [TRANSFORMATION, desired.api_version, desired.tree])
        for key, desired in objects.items()
    }


def drifted(record: ObjectRecord, fact: LiveFact | None) -> bool:
    """Whether the live object is not what was last applied. `fact` None: it is not there.

    A record without a projection is of an object that was left to others.
    """
    if not record.projection:
        return False
    return fact is None or (fact.projection != record.projection and not fact.terminating)


def stale(
    objects: Mapping[ObjectId, Desired],
    *,
    record: ApplicationRecord,
    live: Mapping[ObjectId, LiveFact],
    recipe_of: Mapping[ObjectId, str],
    rotated: Collection[ObjectId],
    observed: Collection[tuple[str, str]],
    asks: Cause = Cause.COMMIT,
) -> dict[ObjectId, Cause]:
    """The objects that an apply may be needed for, with the first reason that holds.

    `observed` are the groups and kinds that are watched: of others, nothing live is known. `asks` is why another object is asked for.
    """
    result: dict[ObjectId, Cause] = {}
    for key, desired in objects.items():
        known = record.objects.get(key)
        cause: Cause
        if known is None or not known.uid:
            cause = Cause.NEW
        elif known.recipe != recipe_of[key]:
            cause = asks
        elif key in rotated:
            cause = Cause.SECRET
        elif (key.group, key.kind) in observed and drifted(known, live.get(key)):
            cause = Cause.EDIT if key in live else Cause.DELETION
        else:
            continue
        if ownership.is_reconcile_disabled(desired.tree):
            continue
        if ownership.is_apply_if_absent(desired.tree) and (
            key in live or (known and known.uid and not known.projection)
        ):
            continue
        result[key] = cause
    return result
