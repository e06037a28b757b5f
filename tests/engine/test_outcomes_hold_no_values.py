"""An outcome is kept until the next run: nothing that it leads to is an object or a value."""

from __future__ import annotations

import gc
from types import ModuleType

from whole_runs import manifests as m
from whole_runs.installation import Installation

from agent.engine import pipeline
from agent.values.secret import Secret


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
