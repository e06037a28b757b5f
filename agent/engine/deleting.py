"""Deleting what a plan lets go: with preconditions, and only what is proven ours to the last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.engine import audit_entries, polling
from agent.engine.results import Result, stop_if_lease_lost
from agent.manifests import order, sealed_secrets
from agent.values.errors import AgentError, PruneRefusedError, StaleObjectError, UnknownKindError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from agent.engine.context import Run
    from agent.engine.live import LiveFact
    from agent.manifests.kinds import Kinds
    from agent.values.ids import ObjectId

_ATTEMPTS = 4


async def prune(
    run: Run,
    pruned: Sequence[ObjectId],
    live: Mapping[ObjectId, LiveFact],
    kinds: Kinds,
    desired: Collection[ObjectId] = (),
) -> list[Result]:
    """Delete what a change set lets go. What is gone already, or proven not ours any more, is forgotten.

    A SealedSecret whose Secret is `desired` goes alone: its controller made it the Secret's owner, and the Secret would go with it.
    """
    if not pruned:
        return []
    await run.fence.show()
    await run.ports.audit.write(audit_entries.of_prune(run, key, "intent") for key in pruned)

    async def one(key: ObjectId) -> Result:
        try:
            await run.fence.show()
            secret = sealed_secrets.secret_id(key)
            await _delete(run, kinds, key, live.get(key), orphan=secret != key and secret in desired)
        except AgentError as error:
            return Result(key, "prune", error.with_facts(object=key))
        return Result(key, "prune")

    results: list[Result] = []
    for wave in reversed(order.waves({key: {} for key in pruned})):
        results += await run.ports.tasks.all([one(key) for key in wave])
    await run.ports.audit.write(audit_entries.of_prune(run, result.id, "outcome", result) for result in results)
    stop_if_lease_lost(results)
    return results


async def _delete(run: Run, kinds: Kinds, key: ObjectId, fact: LiveFact | None, *, orphan: bool) -> None:
    resource = kinds.of(key)
    if resource is None:
        raise UnknownKindError(
            "the cluster does not serve this kind now, which is not proof that the object is gone", object=key
        )
    if fact is None:
        found = await polling.get(run, resource, key.namespace, key.name)
        fact = run.observer.observe(found) if found is not None else None
        await run.fence.show(afresh=fact is not None)
    for _ in range(_ATTEMPTS):
        if fact is None or fact.owner != run.application_id.uid:
            return
        if fact.keep:
            raise PruneRefusedError("kept by its own annotation signet-gitops.dev/prune", object=key)
        try:
            await run.ports.target.delete(
                resource,
                key.namespace,
                key.name,
                uid=fact.uid,
                resource_version=fact.resource_version,
                identity=run.grants.identity,
                orphan=orphan,
            )
        except StaleObjectError:
            newer = await polling.get(run, resource, key.namespace, key.name)
            await run.fence.show(afresh=True)
            fact = run.observer.observe(newer) if newer is not None else None
        else:
            return
    raise StaleObjectError("the object keeps changing while it is deleted", object=key)
