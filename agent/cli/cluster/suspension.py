"""Setting and taking back `spec.suspend` of an Application, as a field manager of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agent.adapters.kubernetes.resources import APPLICATION
from agent.cli.cluster import reports

if TYPE_CHECKING:
    from agent.adapters.kubernetes.cluster import Cluster
    from agent.cli.cluster.reports import Report

_MANAGER: Final = "signet-suspend"


async def suspend(cluster: Cluster, report: Report) -> None:
    """Stop the agent for this very Application."""
    await cluster.apply(APPLICATION, {**reports.asked(report), "spec": {"suspend": True}}, manager=_MANAGER)


async def resume(cluster: Cluster, report: Report) -> None:
    """Let the agent go on, whatever set `spec.suspend`. Then no field manager owns the field, so that whatever applies the Application may set it."""
    await cluster.apply(APPLICATION, {**reports.asked(report), "spec": {"suspend": False}}, manager=_MANAGER)
    await cluster.apply(APPLICATION, reports.asked(report), manager=_MANAGER)
