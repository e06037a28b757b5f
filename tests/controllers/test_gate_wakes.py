"""How the driver starts again what a gate kept back: by the status of another agent's Application, and by the time of a window; and what is due later."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from test_application_holds import UID, runs, settle, tree, world

from agent.desired import dependencies
from agent.desired.gate import Gate
from agent.engine.causes import Trigger
from agent.engine.outcome import Outcome
from agent.engine.record import ObjectRecord
from agent.values.errors import SyncWindowError
from agent.values.ids import ObjectId, Revision

assert world
NEWEST = Revision("1" * 40, "main", "", 0)


def database(version: str, *, healthy: bool) -> dict:
    found = tree(version, uid="db")
    found["metadata"]["name"] = "db"
    conditions = [{"type": "Ready", "status": "True"}, {"type": "Healthy", "status": str(healthy)}]
    found["status"] = {"observedGeneration": 1, "checkedRevision": str(NEWEST), "conditions": conditions}
    return found


async def test_the_status_of_an_application_of_another_agent_starts_what_waits_for_it(world, monkeypatch):
    object.__setattr__(world.driver._settings, "mine", lambda uid: uid == UID)
    ran = []

    async def ask(run, state) -> Outcome:
        against = dependencies.check(run.application, NEWEST, run.neighbours)
        ran.append((run.triggers, bool(against)))
        return Outcome(replace(state, checked=NEWEST, gate=Gate(closed=bool(against), waits=against)))

    runs(monkeypatch, ask)
    world.live["spec"]["dependsOn"] = [{"name": "db"}]
    await world.see(database("1", healthy=False))
    await world.see(world.live)
    await settle()
    assert ran == [({Trigger.START}, True)]
    await world.see(database("2", healthy=True))
    await settle()
    assert ran[1:] == [({Trigger.DEPENDENCY}, False)]
    for healthy in (False, True):
        await world.see(database("3" if healthy else "4", healthy=healthy))
    await settle()
    assert len(ran) == 2, "it runs now, whatever becomes of the other"


async def test_a_window_that_opens_starts_what_waits_for_it(world, monkeypatch):
    until = asyncio.get_running_loop().time() + 7

    async def wait(_, state) -> Outcome:
        wait = SyncWindowError("waits for a sync window").ending(until)
        return Outcome(replace(state, checked=NEWEST, gate=Gate(closed=True, waits=(wait,))))

    runs(monkeypatch, wait)
    await world.see(world.live)
    await settle()
    assert 0 < world.driver._schedule.wake_at() - until < 0.3


async def test_a_certificate_that_is_due_starts_a_run_then(world, monkeypatch):
    due = asyncio.get_running_loop().time() + 7

    async def made(run, state) -> Outcome:
        secret = ObjectId("", "Secret", "shop", "tls")
        objects = {secret: ObjectRecord("v1", "1", made={"data.a": 0, "data.b": int(due) + 100, "data.c": int(due)})}
        run.ledger.record = replace(run.ledger.record, objects=objects)
        return Outcome(replace(state, checked=NEWEST))

    runs(monkeypatch, made)
    await world.see(world.live)
    await settle()
    assert abs(world.driver._schedule.wake_at() - int(due)) < 0.3
