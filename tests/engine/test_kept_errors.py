"""What is kept of a run's errors is what they say: a traceback would keep the variables of all functions that it passed, manifests and values too."""

from __future__ import annotations

import gc
from types import FunctionType, ModuleType, SimpleNamespace, TracebackType
from typing import TYPE_CHECKING

import pytest
from test_run_holds import CASES, Case, prepared

from agent.controllers.managed import ManagedApplication
from agent.controllers.rooms import Rooms
from agent.controllers.running import Runs
from agent.controllers.turns import Turns
from agent.engine.causes import Trigger
from agent.values.errors import AuditError, ClusterUnavailableError, LimitError, SourceUnavailableError
from agent.values.ids import ApplicationId

if TYPE_CHECKING:
    from whole_runs.installation import Installation


STOPPED = {
    "a Git server that does not answer": ("git", "fetch", SourceUnavailableError("away")),
    "a repository that lists too much": ("git", "files", LimitError("too much")),
    "a cluster that is away": ("_cluster", "kinds", ClusterUnavailableError("away")),
    "an audit trail that cannot be written": ("audit", "write", AuditError("full")),
}
"""A port, its method, and what that raises."""


def frames(*kept: object) -> list[str]:
    """The functions whose variables are kept."""
    found: list[str] = []
    seen, left = set[int](), [*kept]
    while left:
        each = left.pop()
        if id(each) in seen or isinstance(each, type | ModuleType | FunctionType):
            continue
        seen.add(id(each))
        if isinstance(each, TracebackType):
            found.append(each.tb_frame.f_code.co_name)
        else:
            left += gc.get_referents(each)
    return found


async def run(world: Installation) -> list[str]:
    """The frames that a run leaves behind."""
    managed = ManagedApplication(ApplicationId("shop", "web", "u"), state=world._state)
    managed.hold = SimpleNamespace(fence=world._held[0])  # pyright: ignore[reportAttributeAccessIssue]
    nothing = SimpleNamespace(waits=lambda *_: None)
    runs = Runs(nothing, nothing, nothing, nothing, nothing, Rooms(1 << 30, Turns(2), nothing), {})  # pyright: ignore[reportArgumentType]
    outcome = await runs._rounds(managed, world._run(frozenset({Trigger.INTERVAL})), frozenset)
    assert outcome.problems
    return frames(outcome, managed.state)


@pytest.mark.parametrize("name", CASES)
async def test_no_variables_of_a_run_are_kept_with_its_errors(name: str) -> None:
    assert await run(await prepared(CASES[name])) == []


@pytest.mark.parametrize("name", STOPPED)
async def test_nor_with_an_error_that_stops_a_run(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    port, method, error = STOPPED[name]

    async def fail(*_: object, **__: object) -> None:
        raise error

    world = await prepared(Case({}, []))
    await world._ready()
    monkeypatch.setattr(type(getattr(world, port)), method, fail)
    assert await run(world) == []
