"""After a refusal of the merged object: what others put into a list or map of ours is taken out where people did, and else named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.engine import polling
from agent.manifests import elements, entangled, handover
from agent.manifests.handover import Move
from agent.manifests.managers import is_person
from agent.manifests.ownership import FIELD_MANAGER
from agent.values.errors import ObjectInvalidError
from agent.values.text import excerpts
from agent.values.tree import get_text

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agent.engine.context import Run
    from agent.engine.finishing import Finished
    from agent.engine.live import LiveFact
    from agent.manifests.entangled import Entangled
    from agent.manifests.kinds import Resource
    from agent.values.ids import ObjectId
    from agent.values.tree import Object


async def again(
    run: Run,
    item: Finished,
    resource: Resource,
    refused: ObjectInvalidError,
    send: Callable[[LiveFact], Awaitable[Object]],
) -> Object:
    """Apply once more without what people put beside ours, or raise the refusal, with who did.

    People's fields become ours first, so that the same apply removes them: by themselves they may not be removable, as the only port of
    a Service. Where it is refused again, they are given back.
    """
    key = item.id
    live = await polling.get(run, resource, key.namespace, key.name)
    await run.fence.show(afresh=True)
    if live is None:
        raise refused
    found = entangled.find(live, item.tree, _fields(refused))
    people = [name for name in found.owned if is_person(name, people=run.grants.people)]
    left = item.ignored.among(path for has in found.owned.values() for path in has)
    taken = frozenset(path for name in people for path in found.owned[name]) - left
    if not run.application.spec.sync.force or not (taken or found.unowned):
        raise _named(refused, found, besides=())
    moves = [
        Move(
            taken,
            lambda entry: get_text(entry, "manager") in people and not get_text(entry, "subresource"),
            FIELD_MANAGER,
        )
    ]
    patch = handover.patch(live, moves, claimed=found.unowned)
    patched = await run.ports.target.json_patch(resource, key.namespace, key.name, patch, identity=run.grants.identity)
    try:
        return await send(run.observer.observe(patched))
    except ObjectInvalidError as error:
        await _give_back(run, resource, key, live, patched)
        raise _named(error, found, besides=people) from None


async def _give_back(run: Run, resource: Resource, key: ObjectId, before: Object, now: Object) -> None:
    patch = handover.owners(now, elements.entries(before))
    await run.ports.target.json_patch(resource, key.namespace, key.name, patch, identity=run.grants.identity)


def _fields(refused: ObjectInvalidError) -> list[str]:
    return [field for field in str(refused.facts.get("fields", refused.facts.get("field", ""))).split(", ") if field]


def _named(
    refused: ObjectInvalidError, found: Entangled, *, besides: list[str] | tuple[str, ...]
) -> ObjectInvalidError:
    """The refusal, with the managers and the items that it comes from where there are any."""
    others = {name: has for name, has in found.owned.items() if name not in besides}
    if not others:
        return refused
    items = dict.fromkeys(elements.shown(entangled.item_of(path)) for has in others.values() for path in sorted(has))
    error = ObjectInvalidError(
        "what another field manager put beside the fields of the manifest does not fit them",
        hint="take it out there, or leave the field to that manager: spec.ignore of the Application",
        managers=", ".join(others),
        items=", ".join(excerpts(items, counted=False)),
    )
    return error.with_facts(**refused.facts)
