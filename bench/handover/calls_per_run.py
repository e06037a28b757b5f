"""What a run costs a lone agent in requests to the API server: a run that changes nothing, one that applies, one that heals."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from bench import counters
from bench.handover.fleet import Fleet

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.handover.calls import Call

_RUNS = 10


def measure() -> dict[str, dict[str, float]]:
    """Kind of run → verb, and what was written → requests a run, by the agent's own count and by the audit log."""
    with Fleet() as fleet:
        fleet.begin(1)
        [commits] = fleet.commits
        heal = commits.tenant.path("configmaps", "core-0")

        def no_op() -> None:
            pass

        def change() -> None:
            _ = commits.commit(change=["configmaps/core-0"])

        def one(prepare: Callable[[], None]) -> None:
            prepare()
            _ = commits.tenant.sync()

        def edit() -> None:
            _ = fleet.controlplane.merge(heal, {"data": {"commit": "edited"}})
            _ = commits.tenant.until(lambda _: commits.tenant.data("core-0")["commit"] != "edited", "healed")

        return {
            "no-op": _counted(fleet, lambda: one(no_op)),
            "one object changed": _counted(fleet, lambda: one(change)),
            "one object healed": _counted(fleet, edit),
        }


def _counted(fleet: Fleet, run: Callable[[], None]) -> dict[str, float]:
    run()
    counters.wait_at_rest(fleet.controlplane)
    agent = fleet.agents[0]
    before, since = counters.agent_calls(agent.metrics()), len(fleet.log.read())
    for _ in range(_RUNS):
        run()
    counters.wait_at_rest(fleet.controlplane)
    calls = counters.agent_calls(agent.metrics()) - before
    written = [call for call in fleet.log.read()[since:] if call.agent]
    found = {verb: count / _RUNS for verb, count in sorted(calls.items())}
    wrote = Counter(_what(call, agent.namespace) for call in written)
    return found | {f"of these, {what}": count / _RUNS for what, count in sorted(wrote.items())}


def _what(call: Call, namespace: str) -> str:
    """What a write was of: the Lease is renewed by the clock, and not by the run."""
    if call.resource == "leases":
        return "renewals of the Lease, each with a list of them"
    if call.namespace == namespace:
        return f"{call.verb} of a record" if "-record-" in call.name else f"{call.verb} of the audit anchor"
    return f"{call.verb} of an object" if call.number else f"{call.verb} of {call.resource}"
