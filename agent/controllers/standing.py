"""How the objects of an Application stand: the health of each, whether it is as it was applied, and which of them are the worst."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from agent.engine import judge
from agent.engine.additions import FIGHT
from agent.manifests import endings, ownership
from agent.manifests.health import Health

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from agent.engine.live import LiveFact
    from agent.engine.record import ApplicationRecord, ObjectRecord
    from agent.manifests.layers import Desired
    from agent.values.errors import AgentError
    from agent.values.ids import ObjectId

Sync: TypeAlias = Literal["Synced", "OutOfSync", "Held", "Failed"]

LISTED: Final = 100
"""Objects that a status has room for, the worst first."""
_WORST: Final = ("Degraded", "Progressing", "Unknown", "Healthy")


@dataclass(frozen=True, slots=True)
class Stand:
    """How one object stands. `created` is in RFC 3339, empty where it is not there; `files` are those that had a say in it.

    `rendered_from` is the folder of the overlay or chart that gave it.
    """

    object: ObjectId
    health: Health
    sync: Sync
    created: str
    files: tuple[str, ...]
    rendered_from: str = ""

    @property
    def rank(self) -> tuple[int, bool, ObjectId]:
        """What needs attention comes first."""
        return (_WORST.index(self.health.status), self.sync == "Synced", self.object)


@dataclass(frozen=True, slots=True)
class Walked:
    """What a walk over the objects finds.

    `worst` are as many as are listed; `settles_at` is when the first changes by itself, in Unix seconds; `finished` counts those that ran
    to their end and are gone; `fought` is the first to which removed fields are added again.
    """

    drifted: frozenset[ObjectId]
    worst: tuple[Stand, ...]
    settles_at: float | None
    finished: int
    fought: ObjectId | None


@dataclass(frozen=True, slots=True)
class _Object:
    """What is known of one: `known` from the record, `fact` from the cluster, of which nothing is `seen` where its kind cannot be read."""

    id: ObjectId
    known: ObjectRecord | None
    fact: LiveFact | None
    desired: Desired | None
    held: AgentError | None
    failed: AgentError | None
    seen: bool

    @property
    def is_applied(self) -> bool:
        return self.known is not None and bool(self.known.uid)

    @property
    def is_hook(self) -> bool:
        """Whether it stands only to run."""
        return self.desired is not None and self.desired.hook is not None

    @property
    def is_idle(self) -> bool:
        """Whether it is a hook that never ran."""
        return self.is_hook and self.fact is None and not self.is_applied and not (self.held or self.failed)

    @property
    def drifted(self) -> bool:
        """Whether it does not stand as Git says."""
        if self.known is None or not self.known.uid or (self.fact is None and not self.seen):
            return False
        return judge.differs(self.known, self.fact)

    @property
    def finished(self) -> Health | None:
        """How it ended, where it ran to its end and is gone."""
        return endings.health(self.known.ended) if self.fact is None and self.known is not None else None

    @property
    def missing(self) -> bool:
        """Whether it should be there and is not."""
        if self.fact is not None or (self.desired is None and self.held is None) or self.is_hook:
            return False
        if self.is_applied:
            return self.drifted
        return self.desired is None or not ownership.is_reconcile_disabled(self.desired.tree)

    def stand(self, now: float) -> Stand:
        wrong = self.missing or self.drifted or self.desired is None
        sync: Sync = "Held" if self.held else "Failed" if self.failed else "OutOfSync" if wrong else "Synced"
        folder = self.desired.rendered_from if self.desired else ""
        return Stand(self.id, self._health(now), sync, self.fact.created if self.fact else "", self._files, folder)

    @property
    def _files(self) -> tuple[str, ...]:
        """Those that had a say in it; of what is held before it is known, the one that holds it."""
        declared = self.desired or self.known
        if declared is not None:
            return declared.files
        file = self.held.facts.get("file") if self.held is not None else None
        return (str(file),) if file else ()

    def _health(self, now: float) -> Health:
        refusal = self.held or self.failed
        if self.fact is None:
            if self.missing:
                return Health("Degraded", "it is not there" + (f": {refusal.message}" if refusal else ""))
            if self.finished is not None:
                return self.finished
            unread = self.is_applied and not self.seen
            return Health("Unknown", "its kind cannot be read at the moment") if unread else Health("Healthy")
        found = self.fact.health.at(now)
        if refusal is not None and found.status == "Healthy":
            return Health("Progressing", f"its last version stays in place: {refusal.message}")
        return found


def walk(
    record: ApplicationRecord,
    live: Mapping[ObjectId, LiveFact],
    desired: Mapping[ObjectId, Desired],
    *,
    held: Mapping[ObjectId, AgentError],
    failed: Mapping[ObjectId, AgentError],
    seen: Collection[tuple[str, str]] | None,
    now: float,
) -> Walked:
    """Go through the objects once. `seen` are the groups and kinds of which all live objects are known, None for all of them."""
    keys: list[ObjectId] = list(record.objects)
    keys += (desired.keys() | held.keys()) - record.objects.keys()
    found = [
        _Object(
            key,
            record.objects.get(key),
            live.get(key),
            desired.get(key),
            held.get(key),
            failed.get(key),
            seen is None or (key.group, key.kind) in seen,
        )
        for key in keys
    ]
    found = [each for each in found if not each.is_idle]
    waits = [
        each.fact.health.until
        for each in found
        if each.fact is not None and each.fact.health.then is not None and each.fact.health.until > now
    ]
    drifted = [each for each in found if each.desired is not None and each.drifted]
    fought = (each.id for each in drifted if each.known is not None and FIGHT in each.known.left.values())
    return Walked(
        frozenset(each.id for each in drifted),
        tuple(heapq.nsmallest(LISTED, (each.stand(now) for each in found), key=lambda stand: stand.rank)),
        min(waits, default=None),
        sum(each.desired is not None and each.finished is not None for each in found),
        min(fought, default=None),
    )
