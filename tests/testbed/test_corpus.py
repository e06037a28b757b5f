"""What `make corpus` says of three layouts that follow public conventions: what renders, what applies as a tenant, and why the rest does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from testbed import agent as agents
from testbed.corpus.__main__ import measured, text

if TYPE_CHECKING:
    from testbed.controlplane import ControlPlane

LAYOUTS = Path(__file__).with_name("layouts")
MONITOR = "no kind ServiceMonitor of monitoring.coreos.com: its CRD is missing"
# By unit: objects, those that apply, and why others do not.
FOUND: dict[str, dict[str, tuple[int, int, dict[str, int]]]] = {
    "cluster-template": {
        "flux cluster-apps": (4, 2, {"Sink": 1, MONITOR: 1}),
        "flux cluster-elsewhere": (0, 0, {"no such folder in this checkout": 1}),
    },
    "team-catalogue": {
        "argo cache": (0, 0, {"a Helm chart": 1}),
        "argo payments": (2, 2, {}),
        "argo plain": (1, 1, {}),
        "kustomization services/remote": (0, 0, {"RemoteBase": 1}),
    },
    "environments": {
        "kustomization overlays/broken": (0, 0, {"Render": 1}),
        "kustomization overlays/dev": (3, 3, {}),
        "kustomization overlays/prod": (4, 3, {"403 Forbidden": 1}),
    },
}


def said(report: dict[str, Any]) -> dict[str, tuple[int, int, dict[str, int]]]:
    return {
        f"{row['kind']} {row['name']}": (
            row["objects"],
            row["applied"],
            {row["why"]: 1} if row["why"] else {**row["held"], **row["refused"]},
        )
        for row in report["units"]
    }


@pytest.mark.parametrize("layout", FOUND)
def test_a_layout_is_measured_unit_by_unit(controlplane: ControlPlane, layout: str) -> None:
    agents.install(controlplane)
    report = measured(LAYOUTS / layout, controlplane)
    assert said(report) == FOUND[layout], json.dumps(report, indent=1)
    wholes = [name for name, (objects, applied, why) in FOUND[layout].items() if objects == applied and not why]
    assert report["counts"]["applied"] == len(wholes)
    shown = text(report)
    for why in {reason for _, _, reasons in FOUND[layout].values() for reason in reasons}:
        assert why in shown


def test_variables_of_secrets_in_the_clear_and_no_more_units_than_asked_for() -> None:
    report = measured(LAYOUTS / "cluster-template", None, limit=1, disclose=True)
    assert said(report) == {"flux cluster-apps": (4, 0, {})}
    assert report["counts"]["notTried"] == 1
    assert report["counts"]["applied"] is None
