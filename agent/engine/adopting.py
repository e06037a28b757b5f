"""First meetings: what already stands where an object is applied for the first time, and taking it over from other tools."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.engine import polling
from agent.engine.live import LiveFact
from agent.manifests import fields, ownership
from agent.values.errors import AgentError, StaleObjectError
from agent.values.tree import get_object

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.engine.context import Run
    from agent.engine.plan import Step
    from agent.manifests.kinds import Kinds, Resource
    from agent.values.ids import ObjectId
    from agent.values.tree import Object

_ATTEMPTS = 4


async def existing(run: Run, wave: Sequence[Step], kinds: Kinds) -> dict[ObjectId, Object | AgentError]:
    """Metadata of what already stands where something is applied for the first time: one list per kind and namespace."""
    groups: dict[tuple[Resource, str], list[ObjectId]] = {}
    for step in wave:
        key = step.finished.id
        resource = kinds.served(step.finished.record.api_version, key.kind)
        if step.cause == "new" and resource is not None:
            groups.setdefault((resource, key.namespace), []).append(key)

    async def look(
        resource: Resource, namespace: str, wanted: Sequence[ObjectId]
    ) -> dict[ObjectId, Object | AgentError]:
        try:
            if len(wanted) <= 2:
                found = [await polling.get(run, resource, namespace, key.name) for key in wanted]
                return {key: item for key, item in zip(wanted, found, strict=True) if item is not None}
            names = {key.name: key for key in wanted}
            listed = await polling.list_metadata(run, resource, namespace, [key.name for key in wanted])
            by_name = {str(get_object(item, "metadata").get("name")): item for item in listed}
            return {names[name]: item for name, item in by_name.items() if name in names}
        except AgentError as error:
            return dict.fromkeys(wanted, error)

    found = await run.ports.tasks.all([look(*group, wanted) for group, wanted in groups.items()])
    return {key: item for part in found for key, item in part.items()}


async def adopt(run: Run, resource: Resource, key: ObjectId, existing: Object) -> LiveFact:
    """Take over the fields of known tools, so that a field deleted in Git is deleted in the cluster."""
    owner = ownership.prove(existing, key, run.observer.installation, run.observer.owners)
    if owner in {None, run.application_id.uid}:
        existing = await _take_fields(run, resource, key, existing)
    elif ownership.new_owner(existing) == (run.application_id.namespace, run.application_id.name):
        owner = None
    fact = run.observer.observe(existing)
    return LiveFact(fact.uid, fact.resource_version, owner, "", fact.health)


async def _take_fields(run: Run, resource: Resource, key: ObjectId, existing: Object) -> Object:
    """Controllers write status at any moment, so a patch that lost the race is made again from what stands there now."""
    for _ in range(_ATTEMPTS):
        patch = fields.adoption(existing, ownership.FIELD_MANAGER)
        if not patch:
            return existing
        try:
            return await run.ports.target.json_patch(
                resource, key.namespace, key.name, patch, identity=run.grants.identity
            )
        except StaleObjectError:
            newer = await polling.get(run, resource, key.namespace, key.name)
            await run.fence.show(afresh=True)
            if newer is None:
                return existing
            existing = newer
    raise StaleObjectError("the object keeps changing while it is adopted", hint="see who else writes it", object=key)
