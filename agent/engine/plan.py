"""The plan: what a run will do, as a value. Applying, the audit trail, detection and status consume the same one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent.engine import prune
from agent.manifests import diff, order
from agent.values.text import excerpts
from agent.values.tree import show_path

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from agent.desired.compiler import DesiredState
    from agent.engine.finish import Finished
    from agent.engine.judge import Cause
    from agent.engine.live import LiveFact
    from agent.engine.record import ApplicationRecord, ObjectRecord
    from agent.values.errors import AgentError
    from agent.values.ids import ObjectId


@dataclass(frozen=True, slots=True)
class Step:
    """One apply, and why. `fields` are the first paths that a commit changed, where the one before is known."""

    finished: Finished
    cause: Cause
    fields: tuple[str, ...] = ()

    @property
    def action(self) -> str:
        """What the audit trail calls it."""
        return {"new": "create", "git": "update", "secret": "rotate", "live": "heal"}[self.cause]


@dataclass(frozen=True, slots=True)
class Plan:
    """`confirmed` are objects whose record changes though nothing has to be sent: the same object came of another recipe."""

    waves: tuple[tuple[Step, ...], ...]
    confirmed: Mapping[ObjectId, ObjectRecord]
    pruned: tuple[ObjectId, ...]
    kept: Mapping[ObjectId, AgentError]

    @property
    def steps(self) -> tuple[Step, ...]:
        return tuple(step for wave in self.waves for step in wave)

    @property
    def empty(self) -> bool:
        return not self.waves and not self.pruned


def compute(
    desired: DesiredState,
    finished: Mapping[ObjectId, Finished],
    causes: Mapping[ObjectId, Cause],
    *,
    record: ApplicationRecord,
    live: Mapping[ObjectId, LiveFact],
    application: str,
    policy: prune.Policy,
    observed: Collection[tuple[str, str]],
    before: DesiredState | None,
) -> Plan:
    """The plan for finished objects. `before` is the state that was applied last.

    An object that finished to what was applied, and still stands so, needs no request.
    """
    confirmed: dict[ObjectId, ObjectRecord] = {}
    steps: dict[ObjectId, Step] = {}
    for key, item in finished.items():
        known, fact = record.objects.get(key), live.get(key)
        if known and fact and known.applied == item.record.applied and known.projection == fact.projection:
            confirmed[key] = replace(item.record, uid=known.uid, projection=known.projection)
        else:
            cause: Cause = (
                "live"
                if known and fact and known.recipe == item.record.recipe and causes[key] == "git"
                else causes[key]
            )
            steps[key] = Step(item, cause, _changed(key, desired, before) if cause == "git" else ())
    waves = order.waves({key: step.finished.tree for key, step in steps.items()})
    decision = prune.decide(
        desired, record=record, live=live, application=application, policy=policy, observed=observed
    )
    return Plan(
        tuple(tuple(steps[key] for key in wave) for wave in waves), confirmed, decision.allowed, decision.refused
    )


def _changed(key: ObjectId, desired: DesiredState, before: DesiredState | None) -> tuple[str, ...]:
    """Where the sealed merge of two commits differs for one object: it is compared as far as is shown."""
    if before is None or key not in before.objects:
        return ()
    changes = diff.compare(before.objects[key].tree, desired.objects[key].tree)
    return excerpts((show_path(change.path) for change in changes), counted=False)
