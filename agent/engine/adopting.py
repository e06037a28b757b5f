"""Taking over: what other tools made where an object is applied for the first time, and what people own before every apply."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent.api import names
from agent.engine import polling, unrolled
from agent.engine.causes import Cause
from agent.manifests import fields, ownership, people
from agent.manifests.lookup import Lookup
from agent.manifests.people import Takeover
from agent.values.errors import (
    AgentError,
    NotFoundError,
    OwnershipConflictError,
    RecoveryNeededError,
    StaleObjectError,
)
from agent.values.tree import get_object, get_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from agent.engine.changes import Step
    from agent.engine.context import Run
    from agent.engine.live import LiveFact
    from agent.engine.unrolled import Standing
    from agent.manifests.kinds import Kinds, Resource
    from agent.manifests.layers import Desired
    from agent.values.ids import ObjectId
    from agent.values.tree import Object


@dataclass(frozen=True, slots=True)
class Met:
    """What stands where objects are applied for the first time, and why some of those cannot be applied over it.

    `unread` could not be read yet: what allows that may be in the commit itself, so they are read again when it is their turn. `standing`
    is what shows whether workloads restart.
    """

    objects: Mapping[ObjectId, Object]
    refusals: Mapping[ObjectId, AgentError]
    unread: frozenset[ObjectId]
    standing: Standing


async def existing(
    run: Run,
    wanted: Iterable[Desired],
    causes: Mapping[ObjectId, Cause],
    kinds: Kinds,
    looked: Mapping[ObjectId, Object | None] | None,
) -> Met:
    """Metadata of what already stands where something is applied for the first time: one list per kind and namespace.

    Nothing stands where the kind is not served yet. `looked`: what this run found already, of all objects.
    """
    items = {item.id: item for item in wanted}
    new = {key: item for key, item in items.items() if causes[key] == Cause.NEW}
    if looked is None:
        found = await met(run, new.values(), kinds)
    else:
        found = {key: item for key, item in looked.items() if key in new}
    objects = {key: item for key, item in found.items() if item is not None}
    owned = {key: _refusal(run, key, item) for key, item in objects.items() if not ownership.is_shared(items[key].tree)}
    refusals = {key: error for key, error in owned.items() if error is not None}
    standing = await unrolled.read(run, objects, items, kinds)
    return Met(objects, refusals, frozenset(found.keys() - objects.keys()), standing)


async def met(run: Run, wanted: Iterable[Desired], kinds: Kinds) -> dict[ObjectId, Object | None]:
    """What stands of these objects: metadata or whole ones, and None where that could not be read."""
    groups: dict[tuple[Resource, str], list[ObjectId]] = {}
    for item in wanted:
        resource = kinds.served(item.api_version, item.id.kind)
        if resource is not None:
            groups.setdefault((resource, item.id.namespace), []).append(item.id)

    async def look(resource: Resource, namespace: str, wanted: Sequence[ObjectId]) -> dict[ObjectId, Object | None]:
        try:
            if len(wanted) <= 2:
                found = [await polling.get(run, resource, namespace, key.name) for key in wanted]
                return {key: item for key, item in zip(wanted, found, strict=True) if item is not None}
            names = {key.name: key for key in wanted}
            listed = await polling.list_metadata(run, resource, namespace, [key.name for key in wanted])
            by_name = {str(get_object(item, "metadata").get("name")): item for item in listed}
            return {names[name]: item for name, item in by_name.items() if name in names}
        except AgentError:
            return dict.fromkeys(wanted)

    parts = await run.ports.tasks.all([look(*group, wanted) for group, wanted in groups.items()])
    return {key: item for part in parts for key, item in part.items()}


def _owner(run: Run, key: ObjectId, met: Object) -> str | None:
    return ownership.prove(met, key, run.observer.installation, run.observer.owners)


def is_of_another(run: Run, key: ObjectId, met: Object) -> bool:
    """Whether an object says that an Application owns it, and none that lives is proven to."""
    return bool(ownership.claimed(met)) and _owner(run, key, met) not in {
        run.application_id.uid,
        *run.known_applications,
    }


def is_given(run: Run, key: ObjectId, met: Object) -> bool:
    """Whether an object of an earlier Application is this Application's to take: it was handed over, or was one's of this namespace that is gone."""
    own = run.application_id.namespace, run.application_id.name
    return ownership.new_owner(met) == own or (key.namespace == own[0] and bool(_owner(run, key, met)))


def not_given(key: ObjectId) -> RecoveryNeededError:
    """Why an object of an earlier Application is not taken over."""
    return RecoveryNeededError(
        "an earlier Application owns it, and nothing proves that it was this one",
        hint="run agent recover: it lists such objects and, once that is confirmed, hands them over",
        object=key,
    )


def _refusal(run: Run, key: ObjectId, met: Object) -> AgentError | None:
    owner = _owner(run, key, met)
    application = run.application_id
    name = f"{application.namespace}/{application.name}"
    return refusal(key, met, owner, application=application.uid, name=name, known=run.known_applications)


def refusal(
    key: ObjectId, met: Object, owner: str | None, *, application: str, name: str, known: Mapping[str, str]
) -> AgentError | None:
    """Why an object cannot be applied over what stands there: another Application owns it, and does not hand it over.

    `application` is the uid of the one that is to apply it, and `name` its namespace and name.
    """
    handed_over = "/".join(ownership.new_owner(met) or ()) == name
    return None if handed_over else conflict(key, owner, application, known)


def conflict(key: ObjectId, owner: str | None, application: str, known: Mapping[str, str]) -> AgentError | None:
    """Another Application, by uid, owns the object; one that is gone, and so not `known` by its name, owns nothing."""
    if not owner or owner == application or owner not in known:
        return None
    return OwnershipConflictError(
        "another Application owns this object",
        hint="remove it from one of them, or annotate the live object signet-gitops.dev/new-owner: <namespace>/<application>",
        object=key,
        owner=known[owner],
    )


async def adopt(run: Run, step: Step, resource: Resource, existing: Object) -> LiveFact:
    """Take over the fields of people and of known tools, so that a field deleted in Git is deleted in the cluster."""
    key, owner = step.assembled.id, _owner(run, step.assembled.id, existing)
    begins = run.ledger.record.revision is None
    if begins and is_of_another(run, key, existing) and not is_given(run, key, existing):
        raise not_given(key)
    if owner in {None, run.application_id.uid}:
        existing = await _take_fields(run, step, resource, existing, first=True)
    elif ownership.new_owner(existing) == (run.application_id.namespace, run.application_id.name):
        owner = None
    return replace(run.observer.observe(existing), owner=owner, owned_digest="")


def takeover(run: Run, step: Step, existing: Object, *, first: bool = False) -> Takeover:
    """What a step takes of what people own."""
    tree = step.assembled.tree
    left = {people.ALL} if people.keeps(existing, tree) else step.left
    return Takeover(tree, run.observer.people, left, first, step.assembled.ignored.leaves)


async def take_over(run: Run, step: Step, resource: Resource, fact: LiveFact | None) -> LiveFact | None:
    """Before an apply: what people own becomes ours, so that what of it Git does not have goes.

    The fact that it gives has the object as it stood before.
    """
    if fact is None or fact.owner not in {None, run.application_id.uid} or not owns_more(step, fact):
        return fact
    if not run.application.spec.sync.force:
        return fact
    key, before = step.assembled.id, fact.object
    if before is None:
        before = await polling.get(run, resource, key.namespace, key.name)
        await run.fence.show(afresh=before is not None)
        if before is None:
            return None
    after = await _take_fields(run, step, resource, before, first=False)
    return replace(run.observer.observe(after), object=before)


def as_owned_before(met: LiveFact | None, earlier: LiveFact | None) -> LiveFact | None:
    """What is met again after a take-over, with who owned its fields before that: it says who added what an apply removes.

    As after `take_over`, the version of its object is not the fact's.
    """
    if met is None or met.object is None or earlier is None or earlier.object is None or not _is_taken(earlier):
        return met
    before, now = get_object(earlier.object, "metadata"), get_object(met.object, "metadata")
    owners = fields.entries(earlier.object)
    newer = [
        each
        for each in fields.entries(met.object)
        if each not in owners and not fields.is_apply_of(each, names.FIELD_MANAGER)
    ]
    owned = {"managedFields": [*owners, *newer], "resourceVersion": before["resourceVersion"]}
    return replace(met, object={**met.object, "metadata": {**now, **owned}})


def _is_taken(fact: LiveFact) -> bool:
    """Whether the object of a fact is how it stood before its fields were taken over."""
    return fact.object is not None and get_text(fact.object, "metadata", "resourceVersion") != fact.resource_version


def owns_more(step: Step, fact: LiveFact) -> bool:
    """Whether people own what an apply would not take from them by itself."""
    given = Lookup(step.assembled.tree)
    return fact.shared or any(
        not people.has(given, each.at)
        and not people.is_left(each.path, step.left)
        and not step.assembled.ignored.leaves(each.at, each.manager)
        for each in fact.additions
    )


async def _take_fields(run: Run, step: Step, resource: Resource, existing: Object, *, first: bool) -> Object:
    def patch(live: Object) -> list[Object]:
        return takeover(run, step, live, first=first).patch(live) or []

    return await patched(run, resource, step.assembled.id, existing, patch)


async def patched(
    run: Run, resource: Resource, key: ObjectId, existing: Object, patch_of: Callable[[Object], list[Object]]
) -> Object:
    """An object after a change of who owns its fields.

    Controllers write status at any moment, so a patch that lost the race is made again from what stands there now.
    """
    for _ in range(polling.ATTEMPTS):
        patch = patch_of(existing)
        if not patch:
            return existing
        try:
            return await run.ports.target.json_patch(
                resource, key.namespace, key.name, patch, identity=run.grants.identity
            )
        except (NotFoundError, StaleObjectError):
            newer = await polling.get_again(run, resource, key)
            if newer is None:
                return existing
            existing = newer
    raise StaleObjectError(
        "the object keeps changing while it is adopted", hint="find out what else writes it", object=key
    )
