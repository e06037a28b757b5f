"""Leaving fields to others: what is ignored of an object, and replicas that an autoscaler sets.

Server-side apply removes what its manager leaves out. So a field of ours that is left to others is handed to another manager of ours
first, at the value that stands there; and it is taken back before it is applied, or removed, again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.engine import adopting, polling
from agent.manifests import autoscaling, elements, handover
from agent.manifests.elements import REPLICAS
from agent.manifests.handover import Move
from agent.manifests.managers import RELEASED, is_person
from agent.manifests.ownership import FIELD_MANAGER
from agent.values.errors import ForbiddenError, NotFoundError, StaleObjectError
from agent.values.ids import ObjectId

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.engine.context import Run
    from agent.engine.finishing import Finished
    from agent.engine.live import LiveFact
    from agent.manifests.elements import Elements
    from agent.manifests.kinds import Kinds, Resource
    from agent.values.tree import Object


async def ready(run: Run, item: Finished, resource: Resource, fact: LiveFact, kinds: Kinds) -> tuple[Object, LiveFact]:
    """What to apply over what stands there, whose other fields are left to others by then. Raises StaleObjectError."""
    tree, scaled = item.tree, False
    if elements.stands(tree, REPLICAS):
        if await _scales(run, item.id, fact.scalers, kinds):
            tree = elements.without(tree, {REPLICAS})
    else:
        scaled = fact.replicas and not item.ignored.pointers and await _is_target(run, item.id, kinds)
    if not item.ignored and not fact.released and not scaled:
        return tree, fact
    live = fact.object
    if live is None:
        live = await polling.get(run, resource, item.id.namespace, item.id.name)
        await run.fence.show(afresh=True)
        if live is None:
            raise StaleObjectError("there is no such object any more")
    theirs = item.ignored.of_managers(live)
    kept = elements.without(tree, theirs) if theirs else tree
    patch = handover.patch(live, _moves(item, tree, kept, live, replicas=scaled))
    if patch:
        try:
            live = await run.ports.target.json_patch(
                resource, item.id.namespace, item.id.name, patch, identity=run.grants.identity
            )
        except NotFoundError:
            raise StaleObjectError("there is no such object any more") from None
    return kept, run.observer.observe(live)


async def created(run: Run, item: Finished, resource: Resource, made: Object) -> Object:
    """The object that was just made, once what is ignored of it is left to others."""
    if not item.ignored.pointers:
        return made

    def patch(live: Object) -> list[Object]:
        return handover.patch(live, _moves(item, item.tree, item.tree, live, replicas=False))

    return await adopting.patched(run, resource, item.id, made, patch)


def _moves(item: Finished, tree: Object, kept: Object, live: Object, *, replicas: bool) -> list[Move]:
    """What goes from one of our managers to the other before `kept` is applied: `tree` without what ignored managers own."""

    def left(owned: Iterable[Elements], *, replicas: bool) -> frozenset[Elements]:
        unapplied = frozenset(path for path in owned if not elements.stands(kept, path))
        return item.ignored.among(unapplied) | {
            path
            for path in unapplied
            if (replicas and path == REPLICAS)
            or elements.stands(tree, path)
            or any(path[:length] in item.fields for length in range(1, len(path) + 1))
        }

    ours, released = elements.applied_by(live, FIELD_MANAGER), elements.applied_by(live, RELEASED)
    return [
        Move(
            left(ours - item.ignored.of_managers(live), replicas=replicas),
            lambda entry: elements.is_apply_of(entry, FIELD_MANAGER),
            RELEASED,
        ),
        # replicas that nothing sets any more stay: to remove them is to scale down to one
        Move(
            released - left(released, replicas=True),
            lambda entry: elements.is_apply_of(entry, RELEASED),
            FIELD_MANAGER,
        ),
    ]


async def _scales(run: Run, key: ObjectId, scalers: Iterable[str], kinds: Kinds) -> bool:
    """Whether who scaled an object last is an autoscaler that still is: a person is none."""
    found = [name for name in scalers if not is_person(name, people=run.grants.people)]
    return any(name != autoscaling.CONTROLLER for name in found) or (bool(found) and await _is_target(run, key, kinds))


async def _is_target(run: Run, key: ObjectId, kinds: Kinds) -> bool:
    """Whether a HorizontalPodAutoscaler scales an object; where the agent may not know, one may."""
    resource = kinds.of(ObjectId(autoscaling.GROUP, autoscaling.KIND, "", ""))
    if resource is None:
        return False
    try:
        found = await run.ports.target.list(resource, namespace=key.namespace)
    except ForbiddenError:
        return True
    return key in autoscaling.targets((run.observer.identify(each), each) for each in found)
