"""Observing the cluster: by watches, and kinds that the agent may not list and watch by reading their objects as the tenant.

The latter are read when a run asks Git too. They are applied as all others are. What is not seen is a change between two intervals,
which is then healed late.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.engine.live import reports
from agent.values.errors import AgentError, ForbiddenError, NotWatchedError
from agent.values.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from agent.engine.context import Run
    from agent.engine.live import LiveFact
    from agent.manifests.kinds import Kinds, Resource
    from agent.manifests.layers import Desired
    from agent.values.ids import ObjectId
    from agent.values.tree import Object

ATTEMPTS: Final = 4
"""How often a write is sent where the object changes in between each time."""


@dataclass(frozen=True, slots=True)
class Observed:
    """Live facts at one moment. `kinds` are the groups and kinds of which they are all known; `warnings` name those that are read late."""

    live: Mapping[ObjectId, LiveFact]
    kinds: frozenset[tuple[str, str]]
    warnings: tuple[Problem, ...]


async def get(run: Run, resource: Resource, namespace: str, name: str) -> Object | None:
    """A live object, read as the agent or, where that is refused, as the tenant."""
    try:
        return await run.ports.target.get(resource, namespace, name)
    except ForbiddenError:
        if run.grants.identity is None:
            raise
        return await run.ports.target.get(resource, namespace, name, identity=run.grants.identity)


async def get_again(run: Run, resource: Resource, key: ObjectId) -> Object | None:
    """What stands there after a write that was refused, for another one: the caller shows first that the Application is still ours."""
    found = await get(run, resource, key.namespace, key.name)
    await run.fence.show(afresh=True)
    return found


async def list_metadata(run: Run, resource: Resource, namespace: str, names: Sequence[str]) -> Sequence[Object]:
    """Metadata of a namespace's objects; where a list is refused, of those with these names."""
    try:
        return await run.ports.target.list_metadata(resource, namespace=namespace)
    except ForbiddenError:
        found = [await get(run, resource, namespace, name) for name in names]
        return [each for each in found if each is not None]


async def observe(run: Run, objects: Mapping[ObjectId, Desired], kinds: Kinds) -> Observed:
    """Watch every kind that the Application has, and read what cannot be watched."""
    resources = _resources(run, objects, kinds)
    followed = await run.ports.live.follow(resources)
    unwatched = (resources - followed) & run.ports.live.refused()
    read = await _read(run, objects, kinds, unwatched)
    known = frozenset((resource.group, resource.kind) for resource in followed | read)
    return Observed(run.ports.live.snapshot(run.application_id.uid), known, _not_watched(unwatched))


async def follow(run: Run, objects: Mapping[ObjectId, Desired], kinds: Kinds) -> None:
    """Watch the kinds that a run has just defined, too."""
    await run.ports.live.follow(_resources(run, objects, kinds))


def _resources(run: Run, objects: Mapping[ObjectId, Desired], kinds: Kinds) -> frozenset[Resource]:
    wanted = (kinds.served(item.api_version, key.kind) for key, item in objects.items())
    recorded = (kinds.of(key) for key in run.ledger.record.objects)
    return frozenset(resource for resource in (*wanted, *recorded) if resource is not None)


async def _read(
    run: Run, objects: Collection[ObjectId], kinds: Kinds, unwatched: Collection[Resource]
) -> frozenset[Resource]:
    """Observe the objects of these kinds where a run asks Git too; gives the kinds of which all could be read."""
    if not unwatched or not run.checks_source:
        return frozenset()
    by_kind = {(resource.group, resource.kind): resource for resource in unwatched}
    unread: set[Resource] = set()
    for key in sorted({*objects, *run.ledger.record.objects}):
        resource = by_kind.get((key.group, key.kind)) and kinds.of(key)
        if resource is None:
            continue
        try:
            found = await get(run, resource, key.namespace, key.name)
        except AgentError:
            unread.add(by_kind[key.group, key.kind])
            continue
        has_conditions = await reports(run.ports.target, resource)
        fact = run.observer.observe(found, reports=has_conditions) if found is not None else None
        run.fence.check()
        run.ports.live.observed(run.application_id.uid, key, fact)
    return frozenset(unwatched) - unread


def _not_watched(resources: Iterable[Resource]) -> tuple[Problem, ...]:
    """A warning for each kind, with the rule that the agent's role lacks."""
    return tuple(
        Problem(
            NotWatchedError(
                "the agent may not watch this kind, so it sees changes only at the interval",
                kind=resource.kind,
                rule=f'apiGroups: ["{resource.group}"], resources: [{resource.plural}], verbs: [get, list, watch]',
            )
        )
        for resource in sorted(resources, key=lambda each: (each.group, each.kind))
    )
