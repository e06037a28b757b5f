"""What a run writes into the record: new objects before anything is sent, and what became of each afterwards."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from agent.engine import endings
from agent.engine.causes import Trigger
from agent.engine.ports import AuditEntry
from agent.engine.record import ObjectRecord
from agent.engine.results import Answer
from agent.values.errors import (
    FieldConflictError,
    ForbiddenError,
    HeldError,
    ImmutableFieldError,
    NotFoundError,
    ObjectInvalidError,
    OwnershipConflictError,
    UnknownKindError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from agent.desired.compiler import DesiredState
    from agent.engine.changes import ChangeSet
    from agent.engine.context import Run
    from agent.engine.hooks import Hooked
    from agent.engine.live import LiveFact
    from agent.engine.record import ApplicationRecord
    from agent.engine.results import Result
    from agent.engine.state import State
    from agent.manifests.kinds import Kinds
    from agent.values.ids import ObjectId

_REFUSALS: Final = (
    FieldConflictError,
    ForbiddenError,
    HeldError,
    ImmutableFieldError,
    NotFoundError,
    ObjectInvalidError,
    OwnershipConflictError,
    UnknownKindError,
)
"""Errors by which an object was certainly not made: the API server said so, or was not asked."""


async def note_loss(run: Run, live: Mapping[ObjectId, LiveFact]) -> None:
    """Report objects that were applied, and no record of it: the record was deleted, or does not verify."""
    unrecorded, run.ledger.unrecorded = run.ledger.unrecorded, False
    if unrecorded and any(fact.owner == run.application_id.uid for fact in live.values()):
        await lose(run)


async def lose(run: Run) -> None:
    """Go on without what was recorded, and say so once."""
    if run.ledger.loss:
        return
    run.ledger.loss = "RecordLost"
    await run.ports.audit.write(
        [AuditEntry("event", run.id, Trigger.START, run.application_id, run.revision, "record-lost")]
    )
    await run.ports.home.event(
        run.application_id,
        kind="Warning",
        reason=run.ledger.loss,
        message="the record of what was applied is gone, though live objects show that it existed; everything is applied again",
    )


async def keep_guard(run: Run, changes: ChangeSet) -> None:
    """Record what waits for a confirmation and what is confirmed, before a new object or a deletion changes what that is judged by."""
    if changes.guard != run.ledger.record.guard:
        await run.ledger.save(replace(run.ledger.record, guard=changes.guard))


async def confirm(run: Run, changes: ChangeSet) -> None:
    """Record that objects stand as they did, though another field of them is another manager's now: nothing else is written here."""
    record = run.ledger.record
    known = {
        key: replace(record.objects[key], owned_digest=item.owned_digest)
        for key, item in changes.confirmed.items()
        if key in record.objects and record.objects[key].owned_digest != item.owned_digest
    }
    if known:
        await run.ledger.save(record.with_objects(known))


async def announce(run: Run, state: State, desired: DesiredState, changes: ChangeSet, hooked: Hooked) -> None:
    """Record new objects, the commit, what the spec asks of it, and which hooks run, before anything is sent: so it is known whatever happens.

    So the epoch is shown as well: by that write, or by a read where there is nothing to record.
    """
    if changes.empty:
        return
    record = run.ledger.record
    new = {
        step.assembled.id: ObjectRecord(
            step.assembled.record.api_version,
            holds_secret=step.assembled.record.holds_secret,
            files=step.assembled.record.files,
            roll=step.assembled.record.roll,
            stood=step.assembled.record.stood,
            token=step.assembled.record.token,
        )
        for step in changes.steps
        if step.assembled.id not in record.objects
    }
    applying = desired.revision if desired.revision != record.revision else None
    asked = _asked(run, state, desired)
    record = record.with_objects({**new, **hooked.settled}).with_runs(hooked.ran)
    record = replace(record, applying=applying, asked=asked).with_standing(desired.standing)
    if not await run.ledger.save(record):
        await run.fence.show(afresh=True)


async def remember(
    run: Run, state: State, desired: DesiredState, changes: ChangeSet, results: Sequence[Result], *, kinds: Kinds
) -> State:
    """Record what was applied and deleted, and give the next state."""
    record = replace(
        _with(run, changes.confirmed, results),
        revision=desired.revision,
        applying=None,
        generation=state.compiled.generation if state.compiled else run.application.generation,
        asked=_asked(run, state, desired),
        verified=dict(state.verified),
    ).with_standing(desired.standing)
    await run.ledger.save(await endings.marked(run, kinds, record, _ended(results)))
    return replace(state, applied=desired)


async def note(run: Run, results: Sequence[Result], kinds: Kinds) -> None:
    """Record what was applied so far, by a run that goes on."""
    if results:
        await run.ledger.save(await endings.marked(run, kinds, _with(run, {}, results), _ended(results)))


def _ended(results: Iterable[Result]) -> list[tuple[ObjectId, str, str]]:
    return [(each.id, each.fact.uid, each.fact.ended) for each in results if each.fact and each.fact.ended]


def _with(run: Run, confirmed: Mapping[ObjectId, ObjectRecord], results: Sequence[Result]) -> ApplicationRecord:
    """The record with what became of objects, which the live facts learn as well."""
    known = run.ledger.record.objects
    recorded: dict[ObjectId, ObjectRecord] = dict(confirmed)
    recorded.update({result.id: result.record for result in results if result.record is not None})
    gone = frozenset(result.id for result in results if result.error is None and result.action in {"prune", "forget"})
    never_made = frozenset(
        result.id
        for result in results
        if isinstance(result.error, _REFUSALS)
        and result.action != "wait"
        and result.record is None
        and result.id in known
        and not known[result.id].uid
        and not known[result.id].ended
    )
    run.fence.check()
    for result in results:
        if result.fact is not None or (result.id in gone and result.answer != Answer.DELETING):
            run.ports.live.observed(run.application_id.uid, result.id, result.fact)
    return run.ledger.record.with_objects(recorded, gone | never_made)


def _asked(run: Run, state: State, desired: DesiredState) -> str:
    """What the record says of the spec; that of an older agent says nothing, and is not written again for that alone."""
    before, compiled = run.ledger.record, state.compiled
    if compiled is None or (
        not before.asked and before.generation == compiled.generation and before.revision == desired.revision
    ):
        return before.asked
    return compiled.asked
