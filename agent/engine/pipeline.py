"""The walk: from a commit to the cluster, a line a stage. Read this file and you know what the agent does.

commit ─▶ documents ─▶ sealed merge ─▶ stale objects ─▶ opened, resolved, assembled ─▶ change set ─▶ API calls ─▶ record
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent.api import names
from agent.engine import (
    additions,
    adopting,
    applying,
    assembling,
    commits,
    deleting,
    endings,
    gating,
    generating,
    hook_runs,
    hooks,
    judge,
    opening,
    pace,
    plan,
    polling,
    prune,
    recording,
    recovering,
    releasing,
    resolving,
    rollouts,
    settled,
)
from agent.engine.causes import OF_GIT, Cause
from agent.engine.outcome import Outcome
from agent.values.errors import AgentError, LeaseLostError
from agent.values.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from agent.desired.compiler import DesiredState
    from agent.engine.adopting import Met
    from agent.engine.assembling import Assembled
    from agent.engine.changes import ChangeSet
    from agent.engine.context import Run
    from agent.engine.live import LiveFact
    from agent.engine.polling import Observed
    from agent.engine.results import Result
    from agent.engine.several import Origin
    from agent.engine.state import State
    from agent.manifests.kinds import Kinds
    from agent.values.ids import ObjectId, Revision


@dataclass(frozen=True, slots=True)
class Looked:
    """What a round knows before it reads anything: the kinds, the commit that was checked, or why there is none, and its sources."""

    kinds: Kinds
    checked: Revision | None
    unread: tuple[Problem, ...]
    given: Sequence[Origin]


async def look(run: Run, state: State) -> Looked:
    """Ask Git, however long that takes: no manifest is needed, so the outline of a `state` will do. Raises AgentError.

    What ran to its end is recorded first of all, and what an earlier round waited for.
    """
    run.rounds.begin()
    kinds = await run.ports.target.kinds(fresh=run.rounds.defines or not run.triggers <= OF_GIT)
    await recording.note(run, run.rounds.take_waited(), kinds)
    await endings.note(run, kinds)
    state, given = await commits.check(run, state)
    return Looked(kinds, state.checked, state.unread, given)


async def reconcile(run: Run, state: State, looked: Looked) -> Outcome:
    """One round. What stops it is its outcome: the cluster away, the audit trail not writable. Raises LeaseLostError, LargerError."""
    kinds, state = looked.kinds, replace(state, checked=looked.checked, unread=looked.unread)
    try:
        state, files = await commits.read(run, await gating.ask(run, state), kinds, looked.given)
        state, desired = await commits.compile_read(run, state, kinds, files)
        run.room.settle()
        if desired is None:
            return run.rounds.ended(Outcome(state, None, commits.untaken(state)))
        if (same := settled.again(run, state, kinds)) is not None:
            return Outcome(state, same.desired, seen=same.seen)
        state, run = replace(state, settled=None), replace(run, revision=desired.revision)
        seen = await polling.observe(run, desired.everything, kinds)
        desired, there = await recovering.check(run, _warned(desired, seen), seen.live, kinds)
        if recovering.waits(desired):
            return Outcome(state, desired, desired.problems, seen=seen.kinds)
        await releasing.note(run, desired.objects, seen.live, kinds)
        await additions.note(run, desired.objects, seen.live, seen.kinds)
        digests = _desired_digests(state)
        ran = await endings.settle(run, desired.everything, seen, digests, kinds)
        stale = run.rounds.left(ran.sift(_stale(run, desired, seen, digests)), desired.objects, ran.done)
        asked, causes = hooks.joining(run, desired, rollouts.touched(run, desired.objects, stale), digests)
        standing = judge.standing(desired.everything, causes, seen.live)
        opened = await opening.open_objects(run, desired, causes, standing, kinds)
        checked = await resolving.check(run, opened, desired.variables)
        answers = await resolving.ask(run, checked.wanted)
        # what a watch brings from here on may be of the next owner: its epoch is shown after what a write relies on was read
        live = run.ports.live.snapshot(run.application_id.uid)
        wanted = [desired.objects[key] for key in checked.opened.objects if key not in asked]
        met = await adopting.existing(run, wanted, causes, kinds, there)
        assembled = await assembling.assemble(run, desired, checked.opened, answers, digests, standing=met.standing)
        desired = await _holding(run, desired, assembled.failed)
        ready = {key: item for key, item in assembled.objects.items() if key not in desired.held}
        desired, hooked = await hooks.decide(run, desired, asked, ready, digests, live, met.objects, kinds)
        basis = replace(_basis(run, state, met), live=live, observed=seen.kinds, done=ran.done, hooked=hooked)
        changes = await _planned(run, desired, ready, causes, replace(basis, refusals={**met.refusals, **ran.refusals}))
        await recording.keep_guard(run, changes)
        changes = await releasing.explain(run, changes, live, kinds)
        desired = additions.warned(run, desired, live, changes)
        if run.application.spec.sync.mode == "detect":
            await recording.confirm(run, changes)
            return Outcome(state, desired, desired.problems, tuple(changes), pending=changes.pending, seen=seen.kinds)

        await recording.announce(run, state, desired, changes, hooked)
        return await _carry_out(run, state, desired, changes, live, ran.problems, seen, kinds)
    except LeaseLostError:
        raise
    except AgentError as error:
        return run.rounds.ended(Outcome(state, problems=(Problem(error),), stopped=True))


async def _carry_out(  # noqa: PLR0917  # what is to be done, and by what it was planned
    run: Run,
    state: State,
    desired: DesiredState,
    changes: ChangeSet,
    live: Mapping[ObjectId, LiveFact],
    problems: tuple[Problem, ...],
    seen: Observed,
    kinds: Kinds,
) -> Outcome:
    applied, kinds = await applying.apply(run, changes, live, kinds)
    if run.rounds.waits:
        await recording.note(run, run.rounds.end(changes, applied, problems), kinds)
        return Outcome(state, between=True)
    pruned = await _pruned(run, desired, changes, applied, live, kinds)
    await polling.follow(run, desired.everything, kinds)
    state = await recording.remember(run, state, desired, changes, [*applied, *pruned], kinds=kinds)
    if run.rounds.resumed or not changes.empty or pruned:
        await run.ports.audit.checkpoint(run.id)
    results = run.rounds.all_results([*applied, *pruned])
    problems = (*desired.problems, *run.rounds.problems, *problems, *_problems(changes, results))
    outcome = Outcome(state, desired, problems, run.rounds.all_changes(changes), results, seen=seen.kinds)
    return _noted(run, outcome, seen, kinds)


def _warned(desired: DesiredState, seen: Observed) -> DesiredState:
    return replace(desired, warnings=(*desired.warnings, *seen.warnings))


def _noted(run: Run, outcome: Outcome, seen: Observed, kinds: Kinds) -> Outcome:
    """The outcome, whose state knows it where there was nothing to do."""
    if outcome.desired is None or outcome.problems or outcome.changes or outcome.results:
        return outcome
    same = settled.of(run, outcome.state, outcome.desired, seen, kinds)
    return replace(outcome, state=replace(outcome.state, settled=same))


async def _pruned(  # noqa: PLR0917  # what there is, and what became of it
    run: Run,
    desired: DesiredState,
    changes: ChangeSet,
    applied: Sequence[Result],
    live: Mapping[ObjectId, LiveFact],
    kinds: Kinds,
) -> list[Result]:
    going = hook_runs.going(changes, applied)
    pruned = await deleting.prune(run, going, live, kinds, cause=run.asks, desired=desired.objects)
    return [*pruned, *await deleting.forget(run, changes.gone, kinds)]


async def _planned(
    run: Run,
    desired: DesiredState,
    ready: Mapping[ObjectId, Assembled],
    causes: Mapping[ObjectId, Cause],
    basis: plan.Basis,
) -> ChangeSet:
    objects = {key: item for key, item in ready.items() if key not in desired.hooks}
    trees = (item.tree for item in objects.values())
    return run.rounds.untried(await pace.over_all(run, trees, lambda: plan.compute(desired, objects, causes, basis)))


def _problems(changes: ChangeSet, results: Iterable[Result]) -> tuple[Problem, ...]:
    """What failed, and what is kept for a reason."""
    failures = (Problem(result.error, result.id) for result in results if result.error)
    return (*failures, *(Problem(error, key) for key, error in changes.kept.items()))


def _stale(run: Run, desired: DesiredState, seen: Observed, digests: Mapping[ObjectId, str]) -> dict[ObjectId, Cause]:
    found = judge.stale(
        desired.objects,
        record=run.ledger.record,
        live=seen.live,
        digest_of=digests,
        rotated=run.rotated,
        observed=seen.kinds,
        asks=run.changes,
    )
    return generating.with_users(desired, found, generating.due(run.ledger.record, run.ports.clock.now()))


def _desired_digests(state: State) -> Mapping[ObjectId, str]:
    return state.compiled.desired_digests if state.compiled else {}


async def _holding(run: Run, desired: DesiredState, failed: Mapping[ObjectId, AgentError]) -> DesiredState:
    return await run.ports.tasks.in_thread(lambda: desired.holding(failed)) if failed else desired


def _basis(run: Run, state: State, met: Met) -> plan.Basis:
    confirmed = run.application.annotations.get(names.ANNOTATION_CONFIRM_PRUNE, "")
    return plan.Basis(
        run.ledger.record,
        run.application_id.uid,
        prune.Policy(run.application.spec.prune, confirmed),
        before=state.applied,
        met=met.objects,
        unread=met.unread,
        asks=run.asks,
        lost=bool(run.ledger.loss),
        refusals=met.refusals,
        recovered=run.ledger.recovered,
    )


async def retire(run: Run, kinds: Kinds) -> tuple[AgentError, ...]:
    """Delete everything of an Application that goes away with `deletionPolicy: prune`; gives what could not be deleted.

    What is only deleted after a confirmation stays behind without it: the confirmation names the commit that was applied.
    """
    record = run.ledger.record
    seen = await polling.observe(run, {}, kinds)
    known = prune.standing(record, seen.live, run.application_id.uid, seen.kinds)
    confirmed = run.application.annotations.get(names.ANNOTATION_CONFIRM_PRUNE, "")
    commit = record.revision.commit if record.revision else ""
    guard = record.guard.after(prune.protected(known), confirmation=confirmed, commit=commit, last=True)
    await run.ledger.save(replace(record, guard=guard))
    await run.fence.show(afresh=True)
    results = await deleting.prune(run, sorted(known - guard.waiting), seen.live, kinds, cause=Cause.RETIREMENT)
    await run.ports.audit.checkpoint(run.id)
    return (*(result.error for result in results if result.error), *prune.unconfirmed(guard, commit).values())
