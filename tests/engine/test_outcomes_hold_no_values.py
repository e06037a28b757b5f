"""An outcome is kept until the next run: nothing that it leads to is an object or a value."""

from __future__ import annotations

import gc
from types import ModuleType
from typing import TYPE_CHECKING

from whole_runs import manifests as m
from whole_runs.installation import Installation

from agent.engine import pipeline
from agent.engine.assembling import Assembled
from agent.engine.changes import ChangeSet, Step
from agent.values.errors import ObjectInvalidError
from agent.values.secret import Secret

if TYPE_CHECKING:
    from agent.values.ids import ObjectId


async def test_no_value_is_reachable_from_what_a_run_came_to(monkeypatch) -> None:
    outcomes = []
    reconcile = pipeline.reconcile

    async def kept(run, state, looked):
        outcomes.append(await reconcile(run, state, looked))
        return outcomes[-1]

    monkeypatch.setattr(pipeline, "reconcile", kept)
    world = Installation(files={"db.yaml": m.secret("db", "vault://main/kv/db#password")})
    world.stores.write("kv/db", password="canary")
    await world.run()

    outcome = outcomes.pop()
    assert [each.action for each in outcome.changes] == ["create"]
    values = [outcome.changes, outcome.results, outcome.problems, outcome.pending]
    seen: set[int] = set()
    while values:
        value = values.pop()
        if id(value) in seen or isinstance(value, type | ModuleType):
            continue
        seen.add(id(value))
        assert not isinstance(value, Secret)
        values += gc.get_referents(value)


async def test_nothing_that_was_opened_is_kept_while_a_run_waits() -> None:
    files = {
        "db.yaml": m.secret("db", "vault://main/kv/db#password"),
        "job.yaml": m.workload("migrate", "db", annotations={"wave": "25"}, kind="Job"),
        "bad.yaml": m.config("bad"),
        "web.yaml": m.workload("web", "db"),
    }
    world = Installation(files=files)
    world.stores.write("kv/db", password="canary")

    def admit(key: ObjectId, _: object) -> None:
        if key.name == "bad":
            raise ObjectInvalidError("refused")

    world.server.admission.append(admit)
    alive: list[int] = []

    def look() -> None:
        gc.collect()
        alive.append(sum(type(each) in {Assembled, Step, ChangeSet} for each in gc.get_objects()))

    look()
    world.between.append(look)
    ran = await world.run()
    assert ran.problems == ["ObjectInvalid ConfigMap/bad", "Held Job/migrate"]
    assert alive == [alive[0], alive[0]]
