"""What a change set calls that which becomes of an object."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from agent.engine.causes import Cause
from agent.engine.changes import ChangeSet, Step
from agent.values.errors import HeldError, OwnershipConflictError
from agent.values.ids import ObjectId

if TYPE_CHECKING:
    from agent.engine.assembling import Assembled
    from agent.values.errors import AgentError
    from agent.values.tree import Object

KEY = ObjectId("", "ConfigMap", "shop", "a")


def step(
    cause: Cause,
    *,
    met: Object | None = None,
    leaves: bool = False,
    refusal: AgentError | None = None,
) -> Step:
    finished = SimpleNamespace(id=KEY, tree={})
    return Step(cast("Assembled", finished), cause, met=met, refusal=refusal, leaves=leaves)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (step(Cause.NEW), "create"),
        (step(Cause.NEW, leaves=True), "create"),
        (step(Cause.NEW, met={}), "adopt"),
        (step(Cause.NEW, met={}, leaves=True), "leave"),
        (step(Cause.COMMIT, met={}), "update"),
        (step(Cause.SECRET), "rotate"),
        (step(Cause.ROLL), "roll"),
        (step(Cause.EDIT), "heal"),
        (step(Cause.DELETION), "heal"),
        (step(Cause.RERUN), "rerun"),
        (step(Cause.NEW, met={}, refusal=OwnershipConflictError("x")), "conflict"),
        (step(Cause.NEW, met={}, refusal=HeldError("x")), "hold"),
    ],
)
def test_a_step_is_called_by_what_becomes_of_its_object(given: Step, expected: str) -> None:
    (change,) = ChangeSet(waves=((given,),))
    assert change.action == expected
