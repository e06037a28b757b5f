"""Running a hook: its object is made for what the release holds, waited for until it has ended, and deleted where its policy says so.

Each step is recorded before the next one, so that no agent that comes after runs it again: that it is sent before it is, how it ended
before its object goes.
"""

from __future__ import annotations

import functools
import re
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from agent.engine import adopting, deleting, endings, hooks, plan, polling
from agent.engine.causes import Cause
from agent.engine.live import Departed
from agent.engine.ports import ABSENT
from agent.engine.record import BEGUN, Runs
from agent.engine.results import Result
from agent.engine.rounds import Wait
from agent.manifests import endings as runs_to_end
from agent.manifests import hooks as hook_annotations
from agent.manifests.ownership import ANNOTATION_HOOK
from agent.values.errors import HeldError, OwnershipConflictError, StaleObjectError, UnknownKindError
from agent.values.tree import get, get_object, get_text

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from agent.engine.changes import ChangeSet, HookRun, Step
    from agent.engine.context import Run
    from agent.engine.live import LiveFact
    from agent.engine.record import ObjectRecord
    from agent.manifests.hooks import Phase
    from agent.manifests.kinds import Kinds, Resource
    from agent.values.ids import ObjectId
    from agent.values.tree import Object

_REASON: Final = re.compile(r"[A-Za-z]{1,64}")
_PAUSE, _LONGEST_PAUSE = 0.2, 2.0
_GONE_SECONDS: Final = 60.0
"""For the object of an earlier run, which is deleted to make room."""


async def carry_out(run: Run, step: Step, kinds: Kinds, until: float) -> Result:
    """Run a hook, or go on waiting for one that was begun, `until` a time of the monotonic clock. Raises why it cannot be sent."""
    key = step.assembled.id
    resource = kinds.served(step.assembled.record.api_version, key.kind)
    if resource is None:
        raise UnknownKindError("the cluster does not serve this kind at this version", object=key)
    found = await polling.get(run, resource, key.namespace, key.name)
    await run.fence.show(afresh=found is not None)
    if not runs_to_end.ends(step.assembled.tree):
        return await _support(run, step, resource, found)
    assert step.hooked is not None
    known = run.rounds.hooks.get(key)
    if known is not None and known.uid == get_text(found or {"metadata": {"uid": known.uid}}, "metadata", "uid"):
        return await _ended(run, step, resource, kinds, known, until)
    fact = run.observer.observe(found) if found is not None else None
    if found is None and step.hooked.begun and runs_to_end.expires(step.assembled.tree):
        return await _gone(run, step, kinds, _unsettled(step.assembled.record))
    if found is None or fact is None or not _is_of(run, step.hooked, found, fact):
        await _make_room(run, step, resource, found, fact)
        fact = await _begin(run, step, resource, kinds)
    return await _ended(run, step, resource, kinds, fact, until)


def _is_of(run: Run, hooked: HookRun, found: Object, fact: LiveFact) -> bool:
    """Whether what stands there is this run of the hook."""
    return hooks.is_run_for(run, found, fact, hooked.content) and not (hooked.again and bool(fact.ended))


async def _support(run: Run, step: Step, resource: Resource, found: Object | None) -> Result:
    """Apply what hooks need, such as a ServiceAccount, over what stands."""
    fact = run.observer.observe(found) if found is not None else None
    _check_owner(run, step.assembled.id, fact)
    answer = await _send(run, resource, step.assembled.whole or step.assembled.tree, fact)
    uid = get_text(answer, "metadata", "uid")
    return Result(step.assembled.id, step.action, record=replace(step.assembled.record, uid=uid))


def _check_owner(run: Run, key: ObjectId, fact: LiveFact | None) -> None:
    owned = adopting.conflict(key, fact.owner if fact else None, run.application_id.uid, run.known_applications)
    if owned is not None:
        raise owned


async def _send(run: Run, resource: Resource, tree: Object, fact: LiveFact | None) -> Object:
    metadata = get_object(tree, "metadata")
    preconditions = {"uid": fact.uid, "resourceVersion": fact.resource_version} if fact else {"resourceVersion": ABSENT}
    guarded: Object = {**tree, "metadata": {**metadata, **preconditions}}
    return await run.ports.target.apply(resource, guarded, identity=run.grants.identity, force=True)


async def _make_room(run: Run, step: Step, resource: Resource, found: Object | None, fact: LiveFact | None) -> None:
    """Delete the object of an earlier run. Raises why it may not go, or has not gone."""
    key = step.assembled.id
    until = run.rounds.since.setdefault(key, run.ports.clock.monotonic()) + _GONE_SECONDS
    while found is not None and fact is not None:
        _check_owner(run, key, fact)
        if fact.owner != run.application_id.uid and not hook_annotations.is_marked(found):
            raise OwnershipConflictError(
                "an object stands there that is no hook, and not this Application's",
                hint="delete it, or give the hook another name",
                object=key,
            )
        if runs_to_end.ends(found) and not fact.ended and not fact.terminating:
            raise HeldError("waits until an earlier run of the hook has ended", object=key).as_transient()
        if not fact.terminating and run.ports.clock.monotonic() <= until:
            with suppress(StaleObjectError):  # it changed since, and is read again
                await deleting.send(run, resource, key, fact)
        elif _is_patient(run, key, until, functools.partial(_is_gone, run, resource, key, fact.uid)):
            await run.ports.tasks.sleep(_LONGEST_PAUSE)
        else:
            raise HeldError(
                "waits until the object that it replaces is gone", hint="check its finalizers", object=key
            ).as_transient()
        found = await polling.get_again(run, resource, key)
        fact = run.observer.observe(found) if found is not None else None


async def _begin(run: Run, step: Step, resource: Resource, kinds: Kinds) -> LiveFact:
    """Record that the hook is sent, and send it with the digest of what it runs for."""
    await _record(run, step, kinds, BEGUN, _unsettled(replace(step.assembled.record, uid="", ended="")))
    tree = step.assembled.whole or step.assembled.tree
    metadata = get_object(tree, "metadata")
    hooked = step.hooked
    assert hooked is not None
    marked = {**get_object(metadata, "annotations"), ANNOTATION_HOOK: hooked.content}
    answer = await _send(run, resource, {**tree, "metadata": {**metadata, "annotations": marked}}, None)
    return run.observer.observe(answer)


async def _record(run: Run, step: Step, kinds: Kinds, how: str, known: ObjectRecord) -> None:
    key, hooked, record = step.assembled.id, step.hooked, run.ledger.record
    assert hooked is not None
    before = record.ran.get(key) or Runs(await endings.namespace_uid(run, kinds, key.namespace), {})
    ran = {key: before.having_run(hooked.content, how)}
    await run.ledger.save(record.with_objects({key: known}).with_runs(ran))


def _unsettled(record: ObjectRecord) -> ObjectRecord:
    """As it is recorded until the hook has completed: such that the next run looks again."""
    return replace(record, desired_digest="")


async def _ended(  # noqa: PLR0917  # what was sent, and how long it is waited for
    run: Run, step: Step, resource: Resource, kinds: Kinds, fact: LiveFact, until: float
) -> Result:
    """Wait for the end, and record it. The result has a HookFailedError, or a HeldError where it takes longer than a run may wait."""
    key, pause, found, ended = step.assembled.id, _PAUSE, fact.object, fact.ended
    record = _unsettled(replace(step.assembled.record, uid=fact.uid))
    while not ended:
        run.fence.check()
        if found is None:
            found = await polling.get(run, resource, key.namespace, key.name)
            ended = _how(run, key, found, fact.uid)
            if ended is None:
                return await _gone(run, step, kinds, record)
            continue
        if not _is_patient(run, key, until, functools.partial(_is_over, run, resource, key, fact.uid)):
            run.rounds.hooks[key] = replace(fact, object=None)
            error = HeldError("waits for the hook, which has not ended", hint="look at its Pods", object=key)
            return Result(key, step.action, error.as_transient(), record=record)
        await run.ports.tasks.sleep(pause)
        pause, found = min(pause * 2, _LONGEST_PAUSE), None
    failed = ended == "Failed"
    record = replace(record, ended=ended, desired_digest="" if failed else step.assembled.record.desired_digest)
    await _record(run, step, kinds, ended, record)
    error = hooks.failed(key, ended, _condition(found or {})) if failed else None
    return Result(key, step.action, error, record=record)


def _is_patient(run: Run, key: ObjectId, until: float, done: Callable[[], Awaitable[bool]]) -> bool:
    """Whether this round goes on waiting. What a later one may still wait for is left to that."""
    now = run.ports.clock.monotonic()
    if now <= min(until, run.rounds.patience(now)):
        return True
    if now <= until:
        run.rounds.waits[key] = Wait(done, until)
    return False


async def _is_gone(run: Run, resource: Resource, key: ObjectId, uid: str) -> bool:
    found = await polling.get(run, resource, key.namespace, key.name)
    return get_text(found or {}, "metadata", "uid") != uid


async def _is_over(run: Run, resource: Resource, key: ObjectId, uid: str) -> bool:
    found = await polling.get(run, resource, key.namespace, key.name)
    return get_text(found or {}, "metadata", "uid") != uid or bool(runs_to_end.ended(found or {}))


def _how(run: Run, key: ObjectId, found: Object | None, uid: str) -> str | None:
    """How an object ended, empty where it has not; None where it is gone, and it is not known."""
    if found is not None and get_text(found, "metadata", "uid") == uid:
        return runs_to_end.ended(found)
    departed = run.ports.live.departed(run.application_id.uid).get(key)
    return departed.ended or None if isinstance(departed, Departed) and departed.uid == uid else None


async def _gone(run: Run, step: Step, kinds: Kinds, record: ObjectRecord) -> Result:
    """It went while it was waited for: by itself once it had ended, or deleted by a person, and then it runs again."""
    key = step.assembled.id
    if runs_to_end.expires(step.assembled.tree):
        await _record(run, step, kinds, endings.UNKNOWN, replace(record, ended=endings.UNKNOWN))
        return Result(
            key, step.action, hooks.failed(key, endings.UNKNOWN), record=replace(record, ended=endings.UNKNOWN)
        )
    error = HeldError("the hook was deleted before it ended, and runs again", object=key)
    return Result(key, step.action, error.as_transient(), record=replace(record, uid=""))


def _condition(live: Object) -> str:
    """Why it failed, in a word of the API: its message may be text of the program that ran."""
    conditions = get(live, "status", "conditions")
    for each in conditions if isinstance(conditions, list) else []:
        if get_text(each, "type") == "Failed" and get_text(each, "status") == "True":
            reason = get_text(each, "reason")
            return f"Failed ({reason})" if _REASON.fullmatch(reason) else "Failed"
    return "Failed"


class Progress:
    """How the hooks of one run fare."""

    __slots__ = ("_run", "_stopped")

    def __init__(self, run: Run) -> None:
        self._run = run
        self._stopped: ObjectId | None = None

    def check(self, step: Step, results: Mapping[ObjectId, Result]) -> None:
        """Raises why a step waits for hooks, or a hook for the objects that it runs behind. What only heals waits for none."""
        if self._stopped is not None and not step.heals:
            raise plan.behind(self._stopped)
        if step.hooked is not None:
            wrong = next((key for key, result in results.items() if result.error is not None), None)
            if wrong is not None:
                raise HeldError("waits for an object that failed", hint="fix that object first", needs=wrong)

    async def carry_out(self, step: Step, kinds: Kinds) -> Result:
        """Run a hook. All hooks of a run are waited for as long as one wave is: the next run goes on waiting."""
        rounds, now = self._run.rounds, self._run.ports.clock.monotonic()
        if rounds.hooks_until is None:
            rounds.hooks_until = now + self._run.application.spec.sync.timeout
        return await carry_out(self._run, step, kinds, rounds.hooks_until)

    async def ran(
        self, wave: Sequence[Step], rest: Sequence[Sequence[Step]], results: Mapping[ObjectId, Result], kinds: Kinds
    ) -> dict[ObjectId, Result]:
        """After each wave. Once the hooks of a phase have run, or one failed, the objects that are not to stay go; gives what could not."""
        hook = wave[0].hooked
        if hook is None:
            return {}
        for step in wave:
            self._run.rounds.hooked[step.assembled.id, hook.phase] = _goes(step, results[step.assembled.id])
        failed = next((step.assembled.id for step in wave if results[step.assembled.id].error is not None), None)
        first = failed is not None and self._stopped is None
        self._stopped = self._stopped or failed
        following = rest[0][0].hooked if rest else None
        if not first and (self._stopped is not None or (following is not None and following.phase == hook.phase)):
            return {}
        return await self._tidy(hook.phase, results, kinds)

    async def _tidy(self, phase: Phase, results: Mapping[ObjectId, Result], kinds: Kinds) -> dict[ObjectId, Result]:
        """Where a hook has not ended yet, all stay: it may need them."""
        ran = {key: goes for (key, at), goes in self._run.rounds.hooked.items() if at == phase}
        if any(isinstance(results[key].error, HeldError) for key in ran):
            return {}
        keys = {key for key, goes in ran.items() if goes}
        pruned = await deleting.prune(self._run, sorted(keys), {}, kinds, cause=Cause.HOOK)
        return {each.id: each for each in pruned if each.error is not None}


def _goes(step: Step, result: Result) -> bool:
    """Whether an object that was made goes by the hook's policy; definitions never do, as with Helm."""
    if step.hooked is None or result.record is None or step.assembled.id.kind == "CustomResourceDefinition":
        return False
    return step.hooked.hook.goes(failed=result.error is not None)


def going(changes: ChangeSet, results: Sequence[Result]) -> tuple[ObjectId, ...]:
    """What is deleted in the end: nothing where a run stopped at a hook."""
    ran = {step.assembled.id for step in changes.steps if step.hooked is not None}
    stopped = any(each.error is not None and each.id in ran for each in results)
    return () if stopped else changes.pruned
