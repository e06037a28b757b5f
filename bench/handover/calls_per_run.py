"""What a run costs: requests of a lone agent by verb and resource, as the API server counts them, for runs that write and runs that do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench import counters
from bench.handover.fleet import Fleet

if TYPE_CHECKING:
    from collections.abc import Callable

_RUNS = 10


def measure() -> dict[str, dict[str, float]]:
    """Kind of run → `VERB resource` → requests a run. The annotation that asks for a run, and its status, are among them."""
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
    leases = sum(call.resource == "leases" for call in written)
    found = {f"{verb} (with {leases} renewals in all)": count / _RUNS for verb, count in sorted(calls.items())}
    for call in written:
        if call.resource != "leases":
            of = "records" if call.namespace == agent.namespace else "objects" if call.number else call.resource
            key = f"  {call.verb} {of}"
            found[key] = found.get(key, 0.0) + 1 / _RUNS
    return found
