"""Kinds that the agent may not list and watch: their objects are read as the tenant, when a run asks Git too.

They are applied as all others are. What is not seen is a change between two intervals, which is then healed late.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.desired.compiler import Problem
from agent.values.errors import AgentError, ForbiddenError, NotWatchedError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from agent.engine.context import Memory, Run
    from agent.manifests.kinds import Kinds, Resource
    from agent.values.ids import ObjectId
    from agent.values.tree import Object


async def get(run: Run, resource: Resource, namespace: str, name: str) -> Object | None:
    """A live object, read as the agent or, where that is refused, as the tenant."""
    try:
        return await run.ports.target.get(resource, namespace, name)
    except ForbiddenError:
        if run.grants.identity is None:
            raise
        return await run.ports.target.get(resource, namespace, name, identity=run.grants.identity)


async def list_metadata(run: Run, resource: Resource, namespace: str, names: Sequence[str]) -> Sequence[Object]:
    """Metadata of a namespace's objects; where a list is refused, of those with these names."""
    try:
        return await run.ports.target.list_metadata(resource, namespace=namespace)
    except ForbiddenError:
        found = [await get(run, resource, namespace, name) for name in names]
        return [each for each in found if each is not None]


async def read(
    run: Run, memory: Memory, wanted: Collection[ObjectId], kinds: Kinds, unwatched: Collection[Resource]
) -> frozenset[Resource]:
    """Observe the objects of these kinds where a run asks Git too; gives the kinds of which all could be read."""
    if not unwatched or not run.checks_source:
        return frozenset()
    by_kind = {(resource.group, resource.kind): resource for resource in unwatched}
    unread: set[Resource] = set()
    for key in sorted({*wanted, *memory.record.objects}):
        resource = by_kind.get((key.group, key.kind)) and kinds.of(key)
        if resource is None:
            continue
        try:
            found = await get(run, resource, key.namespace, key.name)
        except AgentError:
            unread.add(by_kind[key.group, key.kind])
            continue
        fact = run.observer.observe(found) if found is not None else None
        run.fence.check()
        run.ports.live.observed(run.application_id.uid, key, fact)
    return frozenset(unwatched) - unread


def not_watched(resources: Iterable[Resource]) -> list[Problem]:
    """A warning for each kind, with the rule that the agent's role lacks."""
    return [
        Problem(
            NotWatchedError(
                "the agent may not watch this kind, so what changes is seen at the interval",
                kind=resource.kind,
                rule=f'apiGroups: ["{resource.group}"], resources: [{resource.plural}], verbs: [get, list, watch]',
            )
        )
        for resource in sorted(resources, key=lambda each: (each.group, each.kind))
    ]
