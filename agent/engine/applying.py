"""Applying a plan: wave by wave, each wave at once, intent before and outcome after."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent.api import names
from agent.engine import (
    adopting,
    audit_entries,
    deleting,
    hook_runs,
    polling,
    releasing,
    replacing,
    rounds,
    untangling,
    written,
)
from agent.engine.assembling import applied_as
from agent.engine.causes import Cause
from agent.engine.changes import waiting
from agent.engine.live import Departed, LiveFact, reports
from agent.engine.ports import ABSENT
from agent.engine.record import ObjectRecord
from agent.engine.results import Result, stop_if_lease_lost
from agent.manifests import health, order
from agent.values.errors import (
    AgentError,
    ClusterUnavailableError,
    HeldError,
    ImmutableFieldError,
    LeaseLostError,
    ObjectInvalidError,
    StaleObjectError,
    UnknownKindError,
)
from agent.values.tree import get_object, get_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent.engine.changes import ChangeSet, Step
    from agent.engine.context import Run
    from agent.manifests.kinds import Kinds, Resource
    from agent.values.ids import ObjectId
    from agent.values.tree import Object

_ESTABLISHED_SECONDS = 60.0


async def apply(
    run: Run, changes: ChangeSet, live: Mapping[ObjectId, LiveFact], kinds: Kinds
) -> tuple[list[Result], Kinds]:
    """Apply the waves of a change set. A failed step is a result; AuditError ends the run, and so does LeaseLostError, outcomes written.

    Ends where the round does. Gives the kinds as well: they are asked for again where definitions were applied.
    """
    before = run.rounds.results
    results: dict[ObjectId, Result] = dict(before)
    outage, hooking = _Outage(), hook_runs.Progress(run)
    for index, wave in enumerate(changes.waves):
        await run.fence.show()
        await run.ports.audit.write(audit_entries.of_step(run, step, "intent") for step in wave)

        async def one(step: Step, kinds: Kinds = kinds) -> Result:
            try:
                outage.check()
                await run.fence.show()
                _check(step, results)
                hooking.check(step, results)
                if step.hooked is not None:
                    return replace(await hooking.carry_out(step, kinds), why=step.why)
                return replace(await _apply_step(run, step, kinds, live.get(step.assembled.id)), why=step.why)
            except AgentError as error:
                outage.note(error)
                return Result(step.assembled.id, step.action, error.with_facts(object=step.assembled.id), why=step.why)

        done = await run.ports.tasks.all([one(step) for step in wave])
        results.update({result.id: result for result in done})
        await run.ports.audit.write(
            audit_entries.of_step(run, step, "outcome", result) for step, result in zip(wave, done, strict=True)
        )
        stop_if_lease_lost(done)
        if run.rounds.waits:
            break
        results.update(await hooking.ran(wave, changes.waves[index + 1 :], results, kinds))
        if index + 1 < len(changes.waves):
            results.update(await _settle(run, kinds, wave, results))
        if run.rounds.waits:
            break
        if any(step.assembled.id.kind == "CustomResourceDefinition" for step in wave):
            kinds = await run.ports.target.kinds(fresh=True)
    return [each for key, each in results.items() if each is not before.get(key)], kinds


class _Outage:
    """Once the API server or the Lease is away, the rest of a run need not each find out."""

    __slots__ = ("error",)

    def __init__(self) -> None:
        self.error: AgentError | None = None

    def check(self) -> None:
        if isinstance(self.error, LeaseLostError):
            raise LeaseLostError("not tried: this agent lost its Lease")
        if self.error is not None:
            raise ClusterUnavailableError("not tried: the API server does not answer")

    def note(self, error: AgentError) -> None:
        if isinstance(error, ClusterUnavailableError | LeaseLostError):
            self.error = error


def _check(step: Step, results: Mapping[ObjectId, Result]) -> None:
    """Raises why a step cannot be made as things stand."""
    refusal = step.refusal or waiting(step, {key for key, result in results.items() if result.error is not None})
    if refusal is not None:
        raise refusal


async def _apply_step(run: Run, step: Step, kinds: Kinds, fact: LiveFact | None) -> Result:
    key = step.assembled.id
    resource = kinds.served(step.assembled.record.api_version, key.kind)
    if resource is None:
        raise UnknownKindError(
            "the cluster does not serve this kind at this version", hint="apply its CRD first", object=key
        )
    return await _write(run, step, resource, kinds, await _before(run, step, resource, fact))


@dataclass(frozen=True, slots=True)
class _Met:
    """What an object is sent over. `stood` is the version that it was met at; `deleted`: it was deleted to run again."""

    found: Result | LiveFact | None
    stood: str = ""
    deleted: bool = False


async def _write(run: Run, step: Step, resource: Resource, kinds: Kinds, before: _Met) -> Result:
    """Send an object over what was met of it, until that is what stands there."""
    met, stood, deleted = before.found, before.stood, before.deleted
    key, action = step.assembled.id, step.action
    for _ in range(polling.ATTEMPTS):
        if isinstance(met, Result):
            return met
        fact = met
        if fact is not None and fact.terminating and step.assembled.record.content:
            raise _going(key)  # it would be taken for what has run
        owned = adopting.conflict(key, fact.owner if fact else None, run.application_id.uid, run.known_applications)
        if owned is not None:
            raise owned
        try:
            answer = await _send(run, step, resource, kinds, fact)
        except StaleObjectError:
            met = await _meet_again(run, step, resource, fact)
            stood = _version(met)
            action = "adopt" if isinstance(met, LiveFact) and action == "create" else action
            continue
        except AgentError as error:
            if not isinstance(error, ObjectInvalidError) or fact is None:
                if not deleted:
                    raise
                return _not_made(run, step, action, error)
            met = await _make_way(run, step, resource, fact, error)
            if met is None:
                action, deleted = "replace", True
            else:
                stood = _version(met)
            continue
        now = run.observer.observe(answer, reports=await reports(run.ports.target, resource))
        return written.result(run, step, action, now, answer, fact.object if fact is not None else None, stood)
    raise StaleObjectError(
        "the object keeps changing while it is applied", hint="find out what else writes it", object=key
    )


async def _make_way(
    run: Run, step: Step, resource: Resource, fact: LiveFact, error: ObjectInvalidError
) -> Result | LiveFact | None:
    """After a refusal: None where the object is deleted for a new one, else what stands there and is judged again, or stays.

    What changed since it was read may be a write of our own, such as one of who owns its fields.
    """
    try:
        return await _clear_the_way(run, step, resource, fact, error)
    except StaleObjectError as stale:
        met = await _meet_again(run, step, resource, fact)
        if met is None:
            raise stale from None  # another client deleted it: the next run says so
        return met


def _not_made(run: Run, step: Step, action: str, error: AgentError) -> Result:
    """An object that was deleted for a new one, and could not be made again: it is one that is still to be made."""
    key = step.assembled.id
    if not isinstance(error, LeaseLostError):
        run.ports.live.observed(run.application_id.uid, key, None)
    begun = ObjectRecord(step.assembled.record.api_version, files=step.assembled.record.files)
    return Result(key, action, error.with_facts(object=key, deleted="yes"), record=begun)


def _version(met: Result | LiveFact | None) -> str:
    return met.resource_version if isinstance(met, LiveFact) else ""


async def _before(run: Run, step: Step, resource: Resource, fact: LiveFact | None) -> _Met:
    """What stands there when an object is applied: made ready for that, or deleted where it is to run again."""
    key, existing = step.assembled.id, step.met
    if step.unread or (fact is None and step.cause != Cause.NEW):
        existing = await polling.get(run, resource, key.namespace, key.name)
        await run.fence.show(afresh=existing is not None)
    if existing is not None:
        return _Met(await _meet(run, step, resource, existing), get_text(existing, "metadata", "resourceVersion"))
    if step.cause == Cause.RERUN and fact is not None:
        await _run_again(run, step, resource, fact)
        return _Met(None, deleted=True)
    return _Met(await adopting.take_over(run, step, resource, fact), _version(fact))


async def _send(run: Run, step: Step, resource: Resource, kinds: Kinds, fact: LiveFact | None) -> Object:
    """Apply the object over what stands there, or where nothing does."""
    item = step.assembled
    tree = item.whole
    if fact is not None:
        tree, fact = await releasing.ready(run, item, resource, fact, kinds)
    elif tree is None:
        raise _gone()

    async def send(tree: Object, fact: LiveFact | None) -> Object:
        return await run.ports.target.apply(
            resource, _guarded(tree, fact), identity=run.grants.identity, force=run.application.spec.sync.force
        )

    try:
        answer = await send(tree, fact)
    except ObjectInvalidError as error:
        if fact is None:
            raise
        refused = error
    else:
        return answer if fact is not None else await releasing.created(run, item, resource, answer)
    return await untangling.again(run, item, resource, refused, functools.partial(send, tree))


def _gone() -> AgentError:
    return StaleObjectError("the object is gone; the next run creates it with its ignored fields")


async def _meet(run: Run, step: Step, resource: Resource, existing: Object) -> Result | LiveFact:
    """Take over what stands where an object is applied for the first time, or leave it to others where the object says so."""
    key, record = step.assembled.id, step.assembled.record
    if step.leaves:
        left = ObjectRecord(record.api_version, get_text(existing, "metadata", "uid"), files=record.files)
        return Result(key, "leave", None, None, left)
    if step.assembled.fresh:
        raise StaleObjectError("the object appeared while a value was made for it, which the next run takes from there")
    fact = run.observer.observe(existing)
    if fact.terminating and fact.owner == run.application_id.uid:
        raise _going(key)  # a deletion of ours that Git took back: what is applied now goes with the object
    return await adopting.adopt(run, step, resource, existing)


async def _meet_again(run: Run, step: Step, resource: Resource, fact: LiveFact | None) -> Result | LiveFact | None:
    """After a 409: what stands there now. Where nothing did, and the object is new, it is met for the first time."""
    key = step.assembled.id
    newer = await polling.get_again(run, resource, key)
    if newer is None:
        if step.assembled.whole is None:
            raise _gone()
        return None
    first = fact is None and step.cause == Cause.NEW
    if first:
        return await _meet(run, step, resource, newer)
    met = await adopting.take_over(run, step, resource, run.observer.observe(newer))
    return adopting.as_owned_before(met, fact)


async def _clear_the_way(
    run: Run, step: Step, resource: Resource, fact: LiveFact, refusal: ObjectInvalidError
) -> Result | None:
    """Delete an object that stands so that a new one takes its place; what is said where it stays. Raises why it may not go, or need not."""
    key, tree = step.assembled.id, step.assembled.whole or step.assembled.tree
    if fact.terminating:
        raise _going(key)
    attempt = replacing.Attempt(run.ports.target, resource, key, tree, run.grants.identity)
    found = await replacing.judge(attempt, refusal)
    if isinstance(found, ImmutableFieldError) and _is_same_run(run, step, fact):
        record = applied_as(step.assembled, uid=fact.uid, owned_digest=fact.owned_digest, left=step.left)
        return Result(key, "leave", None, None, replace(record, ended=fact.ended))
    refused = replacing.refuse(
        key,
        tree,
        found,
        uid=fact.uid,
        ours=fact.owner == run.application_id.uid,
        commit=run.revision.commit if run.revision else "",
        confirmed=run.application.annotations.get(names.ANNOTATION_CONFIRM_PRUNE, ""),
    )
    if refused is not None:
        raise refused from None
    return None if await _delete(run, resource, step, fact) else Result(key, "replace", _going(key))


def _is_same_run(run: Run, step: Step, fact: LiveFact) -> bool:
    """Whether what stands runs, or ran, what the step would run: only values differ, and they run nothing again."""
    known, content = run.ledger.record.objects.get(step.assembled.id), step.assembled.record.content
    return known is not None and known.uid == fact.uid and bool(content) and known.content == content


async def _run_again(run: Run, step: Step, resource: Resource, fact: LiveFact) -> None:
    """Delete what ran to its end so that it can run again. Raises why it may not be."""
    key = step.assembled.id
    for _ in range(polling.ATTEMPTS):
        if fact.owner != run.application_id.uid or not fact.ended:
            raise HeldError(
                "left as it is: not proven to belong to this Application, or already running again", object=key
            )
        try:
            if await _delete(run, resource, step, fact):
                return
            raise _going(key)
        except StaleObjectError:
            # the request counts as handled, so it is not given up because a label was set
            newer = await polling.get_again(run, resource, key)
            if newer is None:
                return
            fact = run.observer.observe(newer)
    raise StaleObjectError(
        "the object keeps changing while it is deleted", hint="find out what else writes it", object=key
    )


async def _delete(run: Run, resource: Resource, step: Step, fact: LiveFact) -> bool:
    """Make room for a new object; whether there is, or a finalizer keeps the old one. Raises HeldError where none could be made."""
    key = step.assembled.id
    if step.assembled.whole is None:
        raise HeldError(
            "left as it is: its ignored fields were not decrypted, so it could not be created again", object=key
        )
    return await deleting.send(run, resource, key, fact) != "deleting"


def _going(key: ObjectId) -> AgentError:
    error = HeldError("waits until the object that it replaces is gone", hint="check its finalizers", object=key)
    return error.as_transient()


def _guarded(tree: Object, fact: LiveFact | None) -> Object:
    """The object with preconditions: uid and resourceVersion as they are known, or that there is none yet."""
    preconditions = {"uid": fact.uid, "resourceVersion": fact.resource_version} if fact else {"resourceVersion": ABSENT}
    return {**tree, "metadata": {**get_object(tree, "metadata"), **preconditions}}


async def _settle(
    run: Run, kinds: Kinds, wave: Sequence[Step], results: Mapping[ObjectId, Result]
) -> dict[ObjectId, Result]:
    """Wait for what the next wave needs: definitions established, namespaces active, and healthy objects where waves are explicit."""
    waits: dict[ObjectId, rounds.Wait] = {}
    now = run.ports.clock.monotonic()
    for step in wave:
        key = step.assembled.id
        if results[key].error is None:
            if order.wave_of(key, step.assembled.tree) == order.DEFINITIONS:
                limit = _ESTABLISHED_SECONDS
            elif order.is_explicit(step.assembled.tree):
                limit = float(run.application.spec.sync.timeout)
            else:
                continue
            fact = results[key].fact
            done = functools.partial(_is_ready, run, kinds.of(key), key, fact.uid if fact is not None else "")
            late = HeldError("not ready in time for the next wave", object=key, seconds=int(limit))
            waits[key] = rounds.Wait(done, run.rounds.since.setdefault(key, now) + limit, late)
    errors = await rounds.wait(run, waits)
    return {key: rounds.too_late(results[key], error) for key, error in errors.items()}


async def _is_ready(run: Run, resource: Resource | None, key: ObjectId, uid: str) -> bool:
    """Whether an object is healthy, or completed and is gone by now: then its `uid` says that it was this one."""
    departed = run.ports.live.departed(run.application_id.uid).get(key)
    if resource is None or (uid and departed == Departed(uid, "Complete")):
        return resource is not None
    live = await run.ports.target.get(resource, key.namespace, key.name)
    if live is None:
        return False
    found = health.compute(live, reports=await reports(run.ports.target, resource))
    return found.at(run.ports.clock.now()).status == "Healthy"
