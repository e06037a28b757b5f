"""Setting and taking back `spec.suspend` of an Application, as a field manager of its own: what `agent suspend` and `agent resume` share."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from agent.adapters.kubernetes.resources import APPLICATION
from agent.cli import terminal
from agent.cli.cluster import connection, reports
from agent.values.errors import AgentError

if TYPE_CHECKING:
    from pathlib import Path

    from agent.adapters.kubernetes.cluster import Cluster
    from agent.cli.cluster.reports import Report

_MANAGER: Final = "signet-suspend"


def change(name: str, namespace: str, *, kubeconfig: Path | None, context: str | None, suspend: bool) -> int:
    """Suspend or resume an Application, say so, and give the exit code."""
    try:
        terminal.note(asyncio.run(_change(name, namespace, kubeconfig=kubeconfig, context=context, suspend=suspend)))
    except AgentError as error:
        terminal.error(error)
        return 2
    return 0


async def _change(name: str, namespace: str, *, kubeconfig: Path | None, context: str | None, suspend: bool) -> str:
    settings = connection.settings(kubeconfig, context)
    async with connection.connect(settings) as connected:
        report = await reports.get_one(connected, *reports.place(name, namespace, settings.namespace))
        shown = f"{report.namespace}/{report.name}"
        if suspend:
            await _suspend(connected, report)
            return f"suspended {shown}: nothing is fetched, applied, healed or pruned"
        if not report.suspended:
            return f"{shown} is not suspended"
        await _resume(connected, report)
        return f"resumed {shown}"


async def _suspend(cluster: Cluster, report: Report) -> None:
    await cluster.apply(APPLICATION, {**reports.asked(report), "spec": {"suspend": True}}, manager=_MANAGER)


async def _resume(cluster: Cluster, report: Report) -> None:
    """Whatever set `spec.suspend`. Then no field manager owns the field, so that whatever applies the Application may set it."""
    await cluster.apply(APPLICATION, {**reports.asked(report), "spec": {"suspend": False}}, manager=_MANAGER)
    await cluster.apply(APPLICATION, reports.asked(report), manager=_MANAGER)
