"""Recovery: nothing is recorded of an Application, and objects that it asks for say that an earlier one owns them.

The agent's namespace was lost with its key, or the cluster was made again and Applications have other uids. What the key still proves in
the Application's own namespace was its own: another one there is of the same tenant. Anything else has to be handed over by a person who may
write the object, as `agent recover` does. Until then nothing of the Application is written: what is missing may have run, or be in a backup.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.engine import adopting, recording
from agent.manifests import ownership
from agent.values.errors import RecoveryNeededError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.desired.compiler import DesiredState
    from agent.engine.context import Run
    from agent.engine.live import LiveFact
    from agent.manifests.kinds import Kinds
    from agent.values.ids import ObjectId
    from agent.values.tree import Object


async def check(
    run: Run, desired: DesiredState, live: Mapping[ObjectId, LiveFact], kinds: Kinds
) -> tuple[DesiredState, Mapping[ObjectId, Object | None] | None]:
    """The desired state, all of it held where something of it has to be handed over first; and what stands of it, if that was read."""
    await recording.note_loss(run, live)
    if run.rounds.resumed:
        return desired, None  # the first round found out
    run.ledger.recovered = frozenset()
    if run.ledger.record.newest is not None:
        return desired, None
    found = await adopting.met(run, desired.objects.values(), kinds)
    stands = {
        key: met
        for key, met in found.items()
        if met is not None and adopting.is_of_another(run, key, met) and not is_left(desired.objects[key].tree)
    }
    waiting = {key for key, met in stands.items() if not adopting.is_given(run, key, met)}
    if waiting:
        errors = {key: held(key, stands=key in waiting) for key in desired.everything}
        return await run.ports.tasks.in_thread(lambda: desired.holding(errors)), found
    if stands:
        await recording.lose(run)
        run.ledger.recovered = frozenset(stands)
    return desired, found


def waits(desired: DesiredState) -> bool:
    """Whether a desired state is held until it is recovered."""
    return any(isinstance(error, RecoveryNeededError) for error in desired.held.values())


def held(key: ObjectId, *, stands: bool) -> RecoveryNeededError:
    """Why an object is not applied: it `stands` and is an earlier Application's, or another one is."""
    if stands:
        return adopting.not_given(key)
    return RecoveryNeededError(
        "waits until objects of an earlier Application are handed over to this Application",
        hint="run agent recover",
        object=key,
    )


def is_left(tree: Object) -> bool:
    """Whether an object stays as it stands."""
    return ownership.is_reconcile_disabled(tree) or ownership.is_left_to_others(tree, ours=False)
