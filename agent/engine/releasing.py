"""Leaving fields to others before an apply: what is ignored of an object, and replicas that an autoscaler sets."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from agent.engine import adopting, judge, polling
from agent.engine.causes import Cause
from agent.manifests import autoscaling, elements, leaving
from agent.manifests.elements import REPLICAS
from agent.manifests.managers import is_person
from agent.values.errors import AgentError, ForbiddenError, NotFoundError, StaleObjectError
from agent.values.ids import ObjectId
from agent.values.tree import get_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from agent.engine.assembling import Assembled
    from agent.engine.changes import ChangeSet
    from agent.engine.context import Run
    from agent.engine.live import LiveFact
    from agent.engine.ports import TargetPort
    from agent.manifests.kinds import Kinds, Resource
    from agent.manifests.leaving import Leaving
    from agent.values.tree import Object

_POINTER: Final = "/" + "/".join(autoscaling.POINTER)


async def ready(run: Run, item: Assembled, resource: Resource, fact: LiveFact, kinds: Kinds) -> tuple[Object, LiveFact]:
    """What to apply over what stands there, whose other fields are left to others by then. Raises StaleObjectError."""
    scaled = await _is_scaled(run, item, fact, kinds)
    if not item.ignored and not fact.released and not scaled:
        return item.tree, fact
    live = fact.object
    if live is None or get_text(live, "metadata", "resourceVersion") != fact.resource_version:
        live = await polling.get_again(run, resource, item.id)
        if live is None:
            raise StaleObjectError("the object no longer exists")
    left = _leaving(item, live, scaled=scaled)
    if patch := left.patch(live):
        try:
            live = await run.ports.target.json_patch(
                resource, item.id.namespace, item.id.name, patch, identity=run.grants.identity
            )
        except NotFoundError:
            raise StaleObjectError("the object no longer exists") from None
    return left.kept, run.observer.observe(live)


async def note(run: Run, objects: Collection[ObjectId], live: Mapping[ObjectId, LiveFact], kinds: Kinds) -> None:
    """Record as ignored what people set of replicas beside an autoscaler, before anything is judged by it: they are its to set again."""
    record = run.ledger.record
    asked = [
        key
        for key, known in record.objects.items()
        if key in objects
        and (fact := live.get(key)) is not None
        and _POINTER not in known.pointers
        and any(each.at == REPLICAS for each in judge.additions(fact))
    ]
    scaled = await run.ports.tasks.all([is_target(run.ports.target, kinds, key) for key in asked])
    changed = {
        key: replace(record.objects[key], pointers=(*record.objects[key].pointers, _POINTER))
        for key, is_scaled in zip(asked, scaled, strict=True)
        if is_scaled
    }
    if changed:
        await run.ledger.save(record.with_objects(changed))


async def explain(run: Run, changes: ChangeSet, live: Mapping[ObjectId, LiveFact], kinds: Kinds) -> ChangeSet:
    """The change set without what only seems to have drifted: an ignored manager, or an autoscaler, took a field that was ours."""
    asked = [
        (step, fact)
        for step in changes.steps
        if step.cause == Cause.EDIT
        and (fact := live.get(step.assembled.id)) is not None
        and (step.assembled.ignored.managers or fact.scalers or _has_lost_replicas(step.assembled.tree, fact))
        and not adopting.owns_more(step, fact)
    ]
    stand = await run.ports.tasks.all([_stands(run, step.assembled, fact, kinds) for step, fact in asked])
    return changes.confirming(
        {
            step.assembled.id: replace(
                step.assembled.record, uid=fact.uid, owned_digest=fact.owned_digest, left=step.left
            )
            for (step, fact), stands in zip(asked, stand, strict=True)
            if stands
        }
    )


async def _stands(run: Run, item: Assembled, fact: LiveFact, kinds: Kinds) -> bool:
    """Whether an apply would change nothing, asked by dry run."""
    resource = kinds.served(item.record.api_version, item.id.kind)
    if resource is None or fact.object is None:
        return False
    try:
        left = _leaving(item, fact.object, scaled=await _is_scaled(run, item, fact, kinds))
        answer = await run.ports.target.apply(resource, left.kept, identity=run.grants.identity, dry_run=True)
    except AgentError:
        return False
    return not left.patch(fact.object) and run.observer.observe(answer).owned_digest == fact.owned_digest


async def _is_scaled(run: Run, item: Assembled, fact: LiveFact, kinds: Kinds) -> bool:
    target, people = run.ports.target, run.grants.people
    return await is_scaled(target, kinds, item.id, item.tree, ours=fact.replicas, scalers=fact.scalers, people=people)


def _leaving(item: Assembled, live: Object, *, scaled: bool) -> Leaving:
    tree = elements.without(item.tree, {REPLICAS}) if scaled else item.tree
    return leaving.compute(tree, live, item.ignored, replicas=scaled)


async def created(run: Run, item: Assembled, resource: Resource, made: Object) -> Object:
    """The object that was just made, once what is ignored of it is left to others."""
    if not item.ignored.resolved:
        return made

    def patch(live: Object) -> list[Object]:
        return _leaving(item, live, scaled=False).patch(live)

    return await adopting.patched(run, resource, item.id, made, patch)


async def is_scaled(
    target: TargetPort,
    kinds: Kinds,
    key: ObjectId,
    tree: Object,
    *,
    ours: bool,
    scalers: Iterable[str],
    people: Iterable[str],
) -> bool:
    """Whether an autoscaler sets the replicas of an object that stands: of one whose manifest has some, or dropped some that are `ours`.

    Who scaled it last shows an autoscaler, but not whether a HorizontalPodAutoscaler still stands; and a person is none, but may
    have written over what one set.
    """
    if not elements.stands(tree, REPLICAS):
        return ours and await is_target(target, kinds, key)
    found = [name for name in scalers if not is_person(name, people=people)]
    return any(name != autoscaling.CONTROLLER for name in found) or (
        (bool(found) or not ours) and await is_target(target, kinds, key)
    )


def _has_lost_replicas(tree: Object, fact: LiveFact) -> bool:
    """Whether the replicas of Git are another manager's by now."""
    return not fact.replicas and elements.stands(tree, REPLICAS)


async def is_target(target: TargetPort, kinds: Kinds, key: ObjectId) -> bool:
    """Whether a HorizontalPodAutoscaler scales an object; where that may not be known, one may."""
    resource = kinds.of(ObjectId(autoscaling.GROUP, autoscaling.KIND, "", ""))
    if resource is None:
        return False
    try:
        found = await target.list(resource, namespace=key.namespace)
    except ForbiddenError:
        return True
    return any(autoscaling.target(each, key.namespace) == key for each in found)
