"""The walk: from a commit to the cluster, a line a step. Read this file and you know what the agent does.

commit ─▶ documents ─▶ sealed merge ─▶ stale objects ─▶ opened, resolved, finished ─▶ plan ─▶ API calls ─▶ record
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from agent.api import names
from agent.desired.compiler import Problem, UnknownChangeError
from agent.engine import applying, commits, deleting, judge, plan, polling, prune, sealing
from agent.engine.ports import AuditEntry
from agent.engine.record import ObjectRecord
from agent.values.errors import AgentError, SourceError
from agent.values.tree import is_large

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.desired.compiler import DesiredState
    from agent.engine.context import Memory, Run
    from agent.engine.finish import Finished
    from agent.engine.judge import Cause
    from agent.engine.live import LiveFact
    from agent.engine.plan import Plan
    from agent.engine.results import Result
    from agent.manifests.kinds import Kinds, Resource
    from agent.manifests.layers import Desired
    from agent.values.ids import ObjectId, Revision

_MANY: Final = 20_000
"""Maps, lists and leaves that are gone through at once; more take long enough to keep everything else waiting."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to. `pending` are the objects that detection would have applied or pruned."""

    desired: DesiredState | None
    problems: tuple[Problem, ...] = ()
    results: tuple[Result, ...] = ()
    pending: frozenset[ObjectId] = frozenset()

    @property
    def revision(self) -> Revision | None:
        return self.desired.revision if self.desired else None

    @property
    def transient(self) -> bool:
        """Whether trying again soon may help without anybody's doing."""
        return any(problem.error.transient for problem in self.problems)


async def reconcile(run: Run, memory: Memory) -> Outcome:
    """One run. Raises what stops a whole run: the cluster away, the audit trail not writable, the lease lost."""
    kinds = await run.ports.target.kinds(fresh=not run.causes <= {"live", "secret", "interval"})
    desired, current = await _desired_state(run, memory, kinds)
    if desired is None:
        return Outcome(None, current)
    run = replace(run, revision=desired.revision)
    resources = _resources(kinds, desired, memory)
    followed = await run.ports.live.follow(resources)
    unwatched = (resources - followed) & run.ports.live.refused()
    read = await polling.read(run, memory, desired.objects, kinds, unwatched)
    observed = frozenset((resource.group, resource.kind) for resource in followed | read)
    desired = replace(desired, warnings=(*desired.warnings, *polling.not_watched(unwatched)))
    await _note_loss(run, memory)

    recipe_of = await _recipes(run, memory, desired.objects)
    stale = judge.stale(
        desired.objects,
        record=memory.record,
        live=run.ports.live.snapshot(run.application_id.uid),
        recipe_of=recipe_of,
        rotated=run.rotated,
        observed=observed,
    )
    desired, finished, causes = await sealing.finish(run, memory, desired, stale, recipe_of)
    # what a watch brings from here on may be of the next owner: its epoch is to be shown after what a write relies on was read
    live = run.ports.live.snapshot(run.application_id.uid)
    steps = await _plan(run, memory, desired, finished, causes, live=live, observed=observed)
    if run.application.spec.sync.mode == "detect":
        pending = frozenset(step.finished.id for step in steps.steps) | frozenset(steps.pruned)
        return Outcome(desired, desired.problems, pending=pending)

    await _announce(run, memory, desired, steps)
    applied, kinds = await applying.apply(run, steps, kinds, live)
    pruned = await deleting.prune(run, steps, kinds, live, desired.objects)
    await run.ports.live.follow(_resources(kinds, desired, memory))
    await _remember(run, memory, desired, steps, [*applied, *pruned])
    if not steps.empty:
        await run.ports.audit.checkpoint(run.id)
    failures = [Problem(result.error, result.id) for result in [*applied, *pruned] if result.error]
    kept = [Problem(error, key) for key, error in steps.kept.items()]
    return Outcome(desired, (*desired.problems, *failures, *kept), (*applied, *pruned))


async def _plan(
    run: Run,
    memory: Memory,
    desired: DesiredState,
    finished: Mapping[ObjectId, Finished],
    causes: Mapping[ObjectId, Cause],
    *,
    live: Mapping[ObjectId, LiveFact],
    observed: frozenset[tuple[str, str]],
) -> Plan:
    """Where a commit changed objects, they are compared with the commit before: of large ones beside the loop."""
    record, before = memory.record, memory.applied
    word = run.application.annotations.get(names.ANNOTATION_CONFIRM_PRUNE, "")

    def work() -> Plan:
        return plan.compute(
            desired,
            finished,
            causes,
            record=record,
            live=live,
            application=run.application_id.uid,
            policy=prune.Policy(run.application.spec.prune, word),
            observed=observed,
            before=before,
        )

    return await run.ports.tasks.apart(work) if is_large((item.tree for item in finished.values()), _MANY) else work()


async def _desired_state(run: Run, memory: Memory, kinds: Kinds) -> tuple[DesiredState | None, tuple[Problem, ...]]:
    """What the newest commit asks for; where that cannot be known, what the last good one asked for."""
    if memory.unread and not run.checks_source:
        return await commits.last_good(run, memory, kinds, memory.unread), memory.unread
    try:
        found = await commits.read(run, memory, kinds)
    except UnknownChangeError as error:
        memory.unread = error.problems
    except SourceError as error:
        memory.unread = (Problem(error),)
    else:
        memory.unread = ()
        return found, ()
    return await commits.last_good(run, memory, kinds, memory.unread), memory.unread


async def _recipes(run: Run, memory: Memory, objects: Mapping[ObjectId, Desired]) -> Mapping[ObjectId, str]:
    """Fingerprinted once per desired state: most runs heal, and find the one that they know."""
    if memory.recipes is None or memory.recipes[0] is not objects:
        fingerprinter, application = run.fingerprints.recipes, run.application_id.uid

        def fingerprint() -> dict[ObjectId, str]:
            return judge.recipes(fingerprinter, application, objects)

        large = is_large((item.tree for item in objects.values()), _MANY)
        found = await run.ports.tasks.apart(fingerprint) if large else fingerprint()
        memory.recipes = (objects, found)
    return memory.recipes[1]


def _resources(kinds: Kinds, desired: DesiredState, memory: Memory) -> frozenset[Resource]:
    wanted = (kinds.served(item.api_version, key.kind) for key, item in desired.objects.items())
    recorded = (kinds.of(key) for key in memory.record.objects)
    return frozenset(resource for resource in (*wanted, *recorded) if resource is not None)


async def _note_loss(run: Run, memory: Memory) -> None:
    """Objects that were applied, and no record of it: somebody deleted the record, or it does not verify."""
    unrecorded, memory.unrecorded = memory.unrecorded, False
    live = run.ports.live.snapshot(run.application_id.uid)
    if unrecorded and any(fact.owner == run.application_id.uid for fact in live.values()):
        memory.loss = "RecordLost"
        await run.ports.audit.write(
            [AuditEntry("event", run.id, "start", run.application_id, run.revision, "record-lost")]
        )
        await run.ports.home.event(
            run.application_id,
            kind="Warning",
            reason=memory.loss,
            message="there is no record of what was applied, though live objects show that there was one; all is applied again",
        )


async def _announce(run: Run, memory: Memory, desired: DesiredState, steps: Plan) -> None:
    """Record new objects, and the commit, before anything is sent: whatever happens in between, they are known to be ours.

    So the epoch is shown as well: by that write, or by a read where there is nothing to record.
    """
    if steps.empty:
        return
    new = {
        step.finished.id: ObjectRecord(
            step.finished.record.api_version,
            holds_secret=step.finished.record.holds_secret,
            files=step.finished.record.files,
        )
        for step in steps.steps
        if step.finished.id not in memory.record.objects
    }
    applying = desired.revision if desired.revision != memory.record.revision else None
    if not await memory.save(run, replace(memory.record.with_objects(new), applying=applying)):
        await run.fence.show(afresh=True)


async def _remember(run: Run, memory: Memory, desired: DesiredState, steps: Plan, results: list[Result]) -> None:
    done = {result.id: result for result in results if result.error is None}
    recorded: dict[ObjectId, ObjectRecord] = dict(steps.confirmed)
    recorded.update({key: result.record for key, result in done.items() if result.record is not None})
    gone = frozenset(key for key, result in done.items() if result.action == "prune")
    # what is known of live objects is by now that of the next hold, where this one is over
    run.fence.check()
    for key, result in done.items():
        if result.fact is not None or key in gone:
            run.ports.live.observed(run.application_id.uid, key, result.fact)
    memory.applied = desired
    record = replace(
        memory.record.with_objects(recorded, gone),
        revision=desired.revision,
        applying=None,
        generation=run.application.generation,
        verified=dict(memory.verified),
    )
    await memory.save(run, record)


async def retire(run: Run, memory: Memory, kinds: Kinds) -> tuple[AgentError, ...]:
    """Delete everything of an Application that goes away with `deletionPolicy: prune`; gives what could not be deleted.

    What is only ever deleted by a person's word stays behind without it: the word names the commit that was applied.
    """
    live = run.ports.live.snapshot(run.application_id.uid)
    known = {key for key, fact in live.items() if fact.owner == run.application_id.uid} | set(memory.record.objects)
    applied = memory.record.revision
    word = run.application.annotations.get(names.ANNOTATION_CONFIRM_PRUNE, "")
    refused: dict[ObjectId, AgentError] = {}
    if applied is None or not prune.confirms(word, applied):
        refused = prune.refuse_precious(known, applied.commit if applied else "")
    steps = plan.Plan((), {}, tuple(sorted(known - refused.keys())), refused)
    await run.fence.show(afresh=True)
    results = await deleting.prune(run, steps, kinds, live)
    await run.ports.audit.checkpoint(run.id)
    return (*(result.error for result in results if result.error), *refused.values())
