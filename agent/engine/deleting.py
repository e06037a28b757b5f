"""Deleting what a plan lets go: with preconditions, and only what is proven ours to the last. What is not ours any more is forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agent.engine import audit_entries, polling
from agent.engine.causes import Why
from agent.engine.results import Answer, Result, stop_if_lease_lost
from agent.manifests import order, sealed_secrets
from agent.values.errors import AgentError, PruneRefusedError, StaleObjectError, UnknownKindError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from agent.engine.causes import Cause
    from agent.engine.context import Run
    from agent.engine.live import LiveFact
    from agent.engine.ports import Deletion
    from agent.manifests.kinds import Kinds, Resource
    from agent.values.ids import ObjectId

_DELETIONS: Final[dict[Deletion, Answer]] = {
    "deleted": Answer.OK,
    "deleting": Answer.DELETING,
    "gone": Answer.GONE,
}


async def prune(
    run: Run,
    pruned: Sequence[ObjectId],
    live: Mapping[ObjectId, LiveFact],
    kinds: Kinds,
    *,
    cause: Cause,
    desired: Collection[ObjectId] = (),
) -> list[Result]:
    """Delete what a change set lets go. What is gone by then, or proven not ours any more, is left as it is.

    A SealedSecret whose Secret is `desired` goes alone: its controller made it the Secret's owner, and the Secret would go with it.
    """
    if not pruned:
        return []
    why = Why(cause)
    await run.fence.show()
    await run.ports.audit.write(audit_entries.of_prune(run, Result(key, "prune", why=why), "intent") for key in pruned)

    async def one(key: ObjectId) -> Result:
        try:
            await run.fence.show()
            secret = sealed_secrets.secret_id(key)
            answer = await _delete(run, kinds, key, live.get(key), orphan=secret != key and secret in desired)
        except AgentError as error:
            return Result(key, "prune", error.with_facts(object=key), why=why)
        return Result(key, "prune", answer=answer, why=why)

    results: list[Result] = []
    for wave in reversed(order.waves({key: {} for key in pruned})):
        results += await run.ports.tasks.all([one(key) for key in wave])
    await run.ports.audit.write(audit_entries.of_prune(run, result, "outcome") for result in results)
    stop_if_lease_lost(results)
    return results


async def forget(run: Run, gone: Collection[ObjectId], kinds: Kinds) -> list[Result]:
    """Say what became of recorded objects of which nothing that is ours stands. One of which that cannot be said now stays recorded."""
    recorded, why = run.ledger.record.objects, Why(run.asks)

    async def one(key: ObjectId) -> Result | None:
        if not recorded[key].uid:
            return Result(key, "forget", answer=Answer.NEVER_MADE, why=why)
        resource = kinds.of(key)
        try:
            found = await polling.get(run, resource, key.namespace, key.name) if resource is not None else None
        except AgentError:
            return None
        answer = _whose(run, run.observer.observe(found) if found is not None else None)
        return None if answer == Answer.OK else Result(key, "forget", answer=answer, why=why)

    results = [each for each in await run.ports.tasks.all([one(key) for key in sorted(gone)]) if each is not None]
    await run.ports.audit.write(
        audit_entries.of_prune(run, result, "event") for result in results if result.answer != Answer.NEVER_MADE
    )
    return results


def _whose(run: Run, fact: LiveFact | None) -> Answer:
    """OK: it is there, and ours."""
    if fact is None:
        return Answer.GONE
    if fact.owner is None:
        return Answer.NOT_OURS
    return Answer.OK if fact.owner == run.application_id.uid else Answer.HANDED_OVER


async def send(run: Run, resource: Resource, key: ObjectId, fact: LiveFact, *, orphan: bool = False) -> Deletion:
    """Delete an object as it was read. Raises StaleObjectError where it is another one by now, or changed."""
    return await run.ports.target.delete(
        resource,
        key.namespace,
        key.name,
        uid=fact.uid,
        resource_version=fact.resource_version,
        identity=run.grants.identity,
        orphan=orphan,
    )


async def _delete(run: Run, kinds: Kinds, key: ObjectId, fact: LiveFact | None, *, orphan: bool) -> Answer:
    resource = kinds.of(key)
    if resource is None:
        raise UnknownKindError(
            "the cluster does not serve this kind at the moment, so the object may still exist", object=key
        )
    if key.namespace and not run.places.grants(key.namespace):
        raise PruneRefusedError(
            "the operator no longer lets the Application write into this namespace",
            hint="the operator can grant it with `destinations` in the operator's file; or delete the object by hand",
            object=key,
            namespace=key.namespace,
        )
    if fact is None:
        found = await polling.get(run, resource, key.namespace, key.name)
        fact = run.observer.observe(found) if found is not None else None
        await run.fence.show(afresh=fact is not None)
    for _ in range(polling.ATTEMPTS):
        whose = _whose(run, fact)
        if fact is None or whose != Answer.OK:
            return whose
        if fact.keep:
            raise PruneRefusedError("kept by its own annotation signet-gitops.dev/prune", object=key)
        try:
            done = await send(run, resource, key, fact, orphan=orphan)
        except StaleObjectError:
            newer = await polling.get_again(run, resource, key)
            fact = run.observer.observe(newer) if newer is not None else None
        else:
            return _DELETIONS[done]
    raise StaleObjectError("the object keeps changing while it is deleted", object=key)
