"""A control plane on which the agent is installed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.api import names

if TYPE_CHECKING:
    from testbed.controlplane import ControlPlane

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def installed(controlplane: ControlPlane) -> ControlPlane:
    """The control plane with deploy/install.yaml and the tenant of deploy/tenant.yaml applied."""
    for file in ("install.yaml", "tenant.yaml"):
        controlplane.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "deploy" / file))
    controlplane.kubectl("wait", "--for=condition=Established", f"crd/{names.CRD_NAME}", "--timeout=30s")
    return controlplane
