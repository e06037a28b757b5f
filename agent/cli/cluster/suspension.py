"""Setting and taking back `spec.suspend` of an Application, as a field manager of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agent.adapters.kubernetes.resources import APPLICATION
from agent.api import names
from agent.values.tree import get

if TYPE_CHECKING:
    from agent.adapters.kubernetes.cluster import Cluster
    from agent.cli.cluster.reports import Report
    from agent.values.tree import Object

_MANAGER: Final = "signet-suspend"


async def suspend(cluster: Cluster, report: Report) -> None:
    """Stop the agent for this very Application."""
    await cluster.apply(APPLICATION, _asked(report, {"suspend": True}), manager=_MANAGER)


async def resume(cluster: Cluster, report: Report) -> None:
    """Let the agent go on, whatever set `spec.suspend`. Then no field manager owns the field, so that whatever applies the Application may set it."""
    await cluster.apply(APPLICATION, _asked(report, {"suspend": False}), manager=_MANAGER)
    await cluster.apply(APPLICATION, _asked(report, None), manager=_MANAGER)


def _asked(report: Report, spec: Object | None) -> Object:
    asked: Object = {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {
            "namespace": report.namespace,
            "name": report.name,
            "uid": get(report.tree, "metadata", "uid"),
        },
    }
    return asked if spec is None else {**asked, "spec": spec}
