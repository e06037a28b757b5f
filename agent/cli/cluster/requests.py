"""Asking the agent to reconcile an Application now, and waiting until it has."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from agent.adapters.kubernetes.resources import APPLICATION
from agent.api import durations, names
from agent.cli import terminal
from agent.cli.cluster import reports
from agent.cli.cluster.liveness import Leases
from agent.cli.errors import UsageError
from agent.values.errors import ClusterError
from agent.values.tree import get_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.adapters.kubernetes.cluster import Cluster
    from agent.cli.cluster.reports import Report
    from agent.values.tree import Object

_MANAGER: Final = "signet-sync"
_PAUSE_SECONDS: Final = 0.3


def seconds(text: str) -> int:
    """Of `--timeout`. Raises UsageError."""
    try:
        return durations.parse(text)
    except ValueError:
        raise UsageError("--timeout takes a duration", hint="such as 90s, 5m or 1h", timeout=text) from None


async def ask(connected: Cluster, report: Report, given: Mapping[str, str]) -> None:
    """Write the annotations on this very object."""
    requested = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    annotations: Object = {names.ANNOTATION_REQUESTED_AT: requested, **given}
    await connected.apply(APPLICATION, reports.asked(report, annotations=annotations), manager=_MANAGER)


async def handled(connected: Cluster, before: Report, seconds: int) -> Report:
    """The Application once our request, or a later one that took its place, was handled. Raises ClusterError."""
    terminal.progress(f"waiting for the agent to sync {before.namespace}/{before.name}")
    started = time.monotonic()
    leases = Leases(connected)
    alive: bool | None = None
    doubted = False
    while True:
        report = await reports.get_one(connected, before.namespace, before.name)
        requested = get_text(report.tree, "metadata", "annotations", names.ANNOTATION_REQUESTED_AT)
        if get_text(report.status, "lastHandledRequestedAt") == requested:
            return report
        alive = alive or await leases.alive()
        if alive is False:
            raise ClusterError(
                "no agent is alive: none renews its Lease",
                hint="kubectl get pods -n signet-system; the request stays, and the first agent that runs handles it",
                application=f"{before.namespace}/{before.name}",
            )
        if alive is None and leases.silent and not doubted:
            doubted = True
            terminal.note(f"no agent has renewed its Lease since {leases.last}; waiting on")
        if time.monotonic() - started > seconds:
            raise ClusterError(
                "the agent did not handle the request in time",
                hint="is it running? kubectl get pods -n signet-system; a long sync may still be under way",
                application=f"{before.namespace}/{before.name}",
                seconds=seconds,
            )
        await asyncio.sleep(_PAUSE_SECONDS)
