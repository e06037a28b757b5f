"""A status that could not be written stands as soon as the API server takes it, whatever it says, and though nothing else happens."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from test_application_holds import World, runs, tree, world

from agent.controllers import loop, reporting, schedule
from agent.values.errors import ClusterUnavailableError

__all__ = ["world"]

SPECS = {
    "a run": tree(),
    "a suspended one": {**tree(), "spec": {**tree()["spec"], "suspend": True}},
    "one that cannot be run": {**tree(), "spec": {}},
}


@pytest.mark.parametrize("live", SPECS.values(), ids=SPECS)
async def test_it_is_written_again(world: World, monkeypatch: pytest.MonkeyPatch, live: dict) -> None:
    for module, name in ((loop, "_REFRESH_SECONDS"), (reporting, "_AGAIN"), (schedule, "FIRST_RETRY")):
        monkeypatch.setattr(module, name, 0.01)
    ran, tries, written = [], [], asyncio.Event()

    async def remember(run, _) -> None:
        ran.append(run)

    async def update_status(_, status: dict) -> None:
        tries.append(status)
        if len(tries) < 3:
            raise ClusterUnavailableError("the API server does not answer")
        written.set()

    runs(monkeypatch, remember)
    monkeypatch.setattr(world, "update_status", update_status)
    world.live = live
    driving = asyncio.create_task(world.driver.run())
    await world.see(live)
    try:
        await asyncio.wait_for(written.wait(), 30)
    finally:
        world.driver.stop()
        with contextlib.suppress(asyncio.CancelledError):
            await driving
    said = [[each["reason"] for each in status["conditions"]] for status in tries]
    assert said[0] == said[1] == said[2]
    assert len(ran) <= 1, "no run is needed for that"
