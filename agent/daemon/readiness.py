"""What /readyz says: that the agent works, or which of three things it waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agent.values.errors import ClusterUnavailableError, ForbiddenError

if TYPE_CHECKING:
    from agent.values.errors import AgentError

READY: Final = "ok"
STARTING: Final = "starting"
NO_RIGHTS: Final = "no rights"
CLUSTER_AWAY: Final = "cluster away"
FOR_A_WHILE: Final = (ClusterUnavailableError, ForbiddenError)
"""What a start outlasts: once the cluster is back, or rights are granted, the same process continues."""


def of(*, works: bool, met: AgentError | None) -> str:
    """`works` while Applications are known and the Lease is held; `met` is what the newest thing that it needs of the cluster ended with."""
    if works:
        return READY
    if isinstance(met, ForbiddenError):
        return NO_RIGHTS
    return CLUSTER_AWAY if isinstance(met, ClusterUnavailableError) else STARTING
