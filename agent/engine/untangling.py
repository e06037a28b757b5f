"""After a refusal of the merged object: what others put into a list or map of ours is named, and default settings of a choice that is another one now go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.engine import polling
from agent.manifests import entangled, field_trees, handover
from agent.values.errors import ObjectInvalidError
from agent.values.text import excerpts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agent.engine.assembling import Assembled
    from agent.engine.context import Run
    from agent.engine.live import LiveFact
    from agent.manifests.entangled import Entangled
    from agent.manifests.kinds import Resource
    from agent.values.tree import Object


async def again(
    run: Run,
    item: Assembled,
    resource: Resource,
    refused: ObjectInvalidError,
    send: Callable[[LiveFact], Awaitable[Object]],
) -> Object:
    """Apply once more without default settings that the refusal names, or raise it, with who put there what it names.

    What people put there is taken over before every apply: what is left was left to them, or is another manager's.
    """
    key = item.id
    live = await polling.get_again(run, resource, key)
    if live is None:
        raise refused
    found = entangled.find(live, item.tree, refused.fields)
    if not found.unowned:
        raise _named(refused, found)
    patch = handover.patch(live, (), claimed=found.unowned)
    patched = await run.ports.target.json_patch(resource, key.namespace, key.name, patch, identity=run.grants.identity)
    return await send(run.observer.observe(patched))


def _named(refused: ObjectInvalidError, found: Entangled) -> ObjectInvalidError:
    """The refusal, with the managers and the items that it comes from where there are any."""
    if not found.owned:
        return refused
    items = dict.fromkeys(
        field_trees.show(entangled.item_of(path)) for has in found.owned.values() for path in sorted(has)
    )
    error = ObjectInvalidError(
        "fields that another field manager set do not fit those of the manifest",
        hint="remove them there, or leave the field to that manager with spec.ignore of the Application",
        managers=", ".join(found.owned),
        items=", ".join(excerpts(items, counted=False)),
    )
    return error.with_facts(**refused.facts)
