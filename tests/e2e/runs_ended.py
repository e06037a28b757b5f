"""When runs ended, by the agent's metrics: one that changed nothing shows nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench import counters
from testbed.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testbed.installation import Tenant


def at_rest(tenants: Sequence[Tenant]) -> float:
    """When the last run of these ended, in Unix seconds, once none is under way."""
    wait_until(lambda: not any(_time(each, "running_since") for each in tenants), 60, "no run")
    return max(_time(each, "run_ended") for each in tenants)


def wait_for_all(tenants: Sequence[Tenant], since: float) -> None:
    """Wait until a run of each ended later than `since`."""
    wait_until(lambda: all(_time(each, "run_ended") > since for each in tenants), 60, "a run of each", interval=0.2)


def _time(tenant: Tenant, of: str) -> float:
    """0 where there is none."""
    labels = {"namespace": tenant.namespace, "application": tenant.application.name}
    return counters.total(tenant.installation.agent.metrics(), f"signet_{of}_timestamp_seconds", **labels)
