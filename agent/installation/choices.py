"""What an operator chooses of an installation."""

from __future__ import annotations

from enum import Enum
from importlib import metadata
from typing import Final

from agent.values.dataclass import dataclass

NAMESPACE: Final = "signet-system"
TENANT: Final = "shop"
"""The namespaces that the files name."""
IMAGE: Final = f"signet:{metadata.version('signet')}"
AGENT: Final = "signet-agent"
"""What the workload, its ServiceAccount and their roles are called."""
OPERATOR: Final = "signet-operator"
"""The Secret with the operator's file."""


class Mode(Enum):
    """Which workload runs the agent."""

    DEPLOYMENT = "Deployment"
    DAEMON_SET = "DaemonSet"
    NONE = "none"
    """An agent outside the cluster: only its definitions, account and roles."""


@dataclass(frozen=True, slots=True)
class Choices:
    """`available` is for Deployments: two agents, apart from one another, that are disturbed one at a time."""

    namespace: str = NAMESPACE
    mode: Mode = Mode.DEPLOYMENT
    image: str = IMAGE
    available: bool = False
    monitored: bool = False
    webhooks: bool = False
