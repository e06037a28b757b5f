"""Planning: from assembled objects, what stands in the cluster and the record to the change set."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from agent.engine import additions, hooks, judge, origins, prune
from agent.engine.causes import Cause
from agent.engine.changes import ChangeSet, Step, waiting
from agent.manifests import diff, order, ownership
from agent.values.errors import HeldError, PruneRefusedError
from agent.values.text import excerpts
from agent.values.tree import show_path

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from agent.desired.compiler import DesiredState
    from agent.engine.assembling import Assembled
    from agent.engine.hooks import Hooked
    from agent.engine.live import LiveFact
    from agent.engine.record import ApplicationRecord, ObjectRecord
    from agent.values.errors import AgentError
    from agent.values.ids import ObjectId
    from agent.values.tree import Object


@dataclass(frozen=True, slots=True)
class Basis:
    """What a change set is judged by.

    `live` are the facts of the Application's objects, `observed` the groups and kinds of which they are all known, and `application` the
    uid that proves an object ours. `before` is the state that was applied last. `met` is what stands where an object is applied for the
    first time, `unread` where that could not be read, `refusals` say why one cannot be applied. `asks` is why other objects are asked for
    than before, and `lost` says that the record of those before is lost. `done` ran to its end, and has these records. `hooked` are the hooks
    that run, and `recovered` what an earlier Application made.
    """

    record: ApplicationRecord
    application: str
    policy: prune.Policy
    live: Mapping[ObjectId, LiveFact] = field(default_factory=dict["ObjectId", "LiveFact"])
    observed: Collection[tuple[str, str]] = ()
    before: DesiredState | None = None
    met: Mapping[ObjectId, Object] = field(default_factory=dict["ObjectId", "Object"])
    unread: Collection[ObjectId] = ()
    refusals: Mapping[ObjectId, AgentError] = field(default_factory=dict["ObjectId", "AgentError"])
    asks: Cause = Cause.COMMIT
    lost: bool = False
    done: Mapping[ObjectId, ObjectRecord] = field(default_factory=dict["ObjectId", "ObjectRecord"])
    hooked: Hooked = hooks.NONE
    recovered: Collection[ObjectId] = ()


def compute(
    desired: DesiredState,
    assembled: Mapping[ObjectId, Assembled],
    causes: Mapping[ObjectId, Cause],
    basis: Basis,
) -> ChangeSet:
    """The change set of assembled objects.

    An object that comes out as what was applied, and still stands so, needs no request.
    """
    confirmed: dict[ObjectId, ObjectRecord] = {**basis.done, **basis.hooked.settled}
    steps: dict[ObjectId, Step] = {}
    for key, item in assembled.items():
        known, fact = basis.record.objects.get(key), basis.live.get(key)
        if known and fact and _stands(known, item.record, fact):
            confirmed[key] = replace(
                item.record, uid=known.uid, owned_digest=known.owned_digest, left=known.left, ended=known.ended
            )
        else:
            seen = fact is not None or (key.group, key.kind) in basis.observed
            cause = origins.cause_of(causes[key], known, fact, item.record) if seen else causes[key]
            added = additions.removed(item.tree, known, fact) if known and fact else ()
            fields = _changed(key, desired, basis.before) if cause in {basis.asks, Cause.VARIABLES} else added
            shown = cause if cause != Cause.NEW else Cause.RECORD if basis.lost and key in basis.met else basis.asks
            changed = (
                known is not None
                and known.desired_digest != item.record.desired_digest
                and known.applied != item.record.applied
            )
            steps[key] = Step(
                item,
                cause,
                fields,
                basis.met.get(key),
                basis.refusals.get(key),
                left=_left(basis, key, changed=changed, seen=fact is not None),
                unread=key in basis.unread,
                leaves=ownership.is_left_to_others(item.tree, ours=fact is not None),
                why=origins.why(shown, item, assembled, basis.record.objects),
            )
    waves = tuple(_gated(_with_waiting(_waves(steps, basis.hooked)), basis.hooked))
    decision = prune.decide(
        desired,
        record=basis.record,
        live=basis.live,
        application=basis.application,
        policy=basis.policy,
        observed=basis.observed,
    )
    pruned, kept = _pruned(decision, waves, basis.hooked)
    return ChangeSet(
        waves,
        confirmed,
        pruned,
        kept,
        desired.held,
        decision.gone,
        decision.guard,
    )


def _left(basis: Basis, key: ObjectId, *, changed: bool, seen: bool) -> Mapping[str, str]:
    known, recovered = basis.record.objects.get(key), key in basis.recovered
    return additions.left_by(known, changed=changed, seen=basis.record.noted or seen, recovered=recovered)


def _stands(known: ObjectRecord, wanted: ObjectRecord, fact: LiveFact) -> bool:
    same = known.applied == wanted.applied and known.managers == wanted.managers
    return same and known.owned_digest == fact.owned_digest and not judge.fresh(replace(wanted, left=known.left), fact)


def _with_waiting(waves: Iterable[Sequence[Step]]) -> Iterator[tuple[Step, ...]]:
    """What names an object of an earlier wave that is refused is refused as well."""
    refused: set[ObjectId] = set()
    for wave in waves:
        checked = [replace(step, refusal=step.refusal or waiting(step, refused)) for step in wave] if refused else wave
        refused |= {step.assembled.id for step in checked if step.refusal}
        yield tuple(checked)


def _waves(steps: Mapping[ObjectId, Step], hooked: Hooked) -> Iterator[Sequence[Step]]:
    """Objects wave by wave, and each hook in a wave of its own: behind definitions, or behind all."""
    waves = order.waves({key: step.assembled.tree for key, step in steps.items()})
    first = [wave for wave in waves if order.wave_of(wave[0], steps[wave[0]].assembled.tree) <= order.DEFINITIONS]
    for part, behind in ((first, hooked.before), (waves[len(first) :], hooked.after)):
        yield from ([steps[key] for key in wave] for wave in part)
        yield from ([step] for step in behind)


def _gated(waves: Iterable[tuple[Step, ...]], hooked: Hooked) -> Iterator[tuple[Step, ...]]:
    """Nothing of the release is changed behind a hook that cannot run. What stands goes on being healed."""
    error = hooked.blocked
    for wave in waves:
        steps = wave
        if error is not None:
            steps = tuple(step if step.heals else replace(step, refusal=step.refusal or error) for step in wave)
        refused = next((step for step in steps if step.hooked is not None and step.refusal is not None), None)
        error = error or (behind(refused.assembled.id) if refused is not None else None)
        yield steps


def behind(hook: ObjectId) -> HeldError:
    """Why a change waits."""
    return HeldError(
        "waits for a hook of the chart that did not complete", hint="see what is said of the hook", needs=hook
    )


def _pruned(
    decision: prune.Decision, waves: Iterable[Sequence[Step]], hooked: Hooked
) -> tuple[tuple[ObjectId, ...], Mapping[ObjectId, AgentError]]:
    """What goes and what is kept: nothing goes before hooks have run. Objects of hooks that have ended do."""
    stopped = hooked.blocked is not None or any(step.hooked and step.refusal for wave in waves for step in wave)
    if not stopped:
        return (*decision.allowed, *hooked.over), decision.refused
    reason = PruneRefusedError("not pruned until the hooks of the chart have run", hint="see what is said of the hook")
    return hooked.over, {**dict.fromkeys(decision.allowed, reason), **decision.refused}


def _changed(key: ObjectId, desired: DesiredState, before: DesiredState | None) -> tuple[str, ...]:
    """Where the sealed merge of two commits differs for one object: it is compared as far as is shown."""
    if before is None or key not in before.objects:
        return ()
    changes = diff.compare(before.objects[key].tree, desired.objects[key].tree)
    return excerpts((show_path(change.path) for change in changes if change.path), counted=False)
