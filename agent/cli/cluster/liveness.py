"""Whether an agent is alive, by the Leases: those of live agents are renewed. Clocks need not agree, since renewals are seen."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import datetime
from typing import TYPE_CHECKING, Final

from agent.adapters.kubernetes.leases import LABEL_MEMBER
from agent.adapters.kubernetes.membership import Terms
from agent.adapters.kubernetes.resources import LEASE
from agent.cli import terminal
from agent.values.errors import AgentError, ForbiddenError
from agent.values.tree import get_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.adapters.kubernetes.cluster import Cluster
    from agent.values.tree import Object

_TERMS: Final = Terms()
SECONDS: Final = _TERMS.renew + 0.5
"""Within these a live agent renews its Lease, wherever in its round it was."""
_PAUSE_SECONDS: Final = 0.5
_SELECTOR: Final = f"{LABEL_MEMBER}=true"


class Leases:
    """The Leases of all agents, as seen by one command. Who may not read them learns nothing, and waits as before."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._began = time.monotonic()
        self._first: dict[str, str] | None = None
        self._readable = True
        self.last = ""
        """When a Lease was renewed last, by its agent's clock; empty where there is none."""
        self.recent = False
        """Whether that was so lately, if the clocks agree, that its agent may be alive."""

    @property
    def silent(self) -> bool:
        """Whether a live agent would have renewed its Lease by now."""
        return self._readable and time.monotonic() - self._began >= SECONDS

    @property
    def given_up(self) -> bool:
        """Whether another look would show no more."""
        return self.silent or not self._readable

    async def alive(self) -> bool | None:
        """True where one was renewed since the first look; False where none can be alive; None where that is not known."""
        if not self._readable:
            return None
        try:
            found = await self._list()
        except AgentError:
            self._readable = False
            return None
        renewed = {get_text(each, "metadata", "uid"): get_text(each, "spec", "renewTime") for each in found}
        self.last = max(renewed.values(), default="")
        if self._first is None:
            self._first = renewed
        if renewed.items() - self._first.items():
            return True
        self.recent = any(_is_recent(each) for each in renewed.values())
        return False if self.silent and not self.recent else None

    async def settled(self) -> bool | None:
        """As `alive`, as soon as another look would show no more."""
        while True:
            alive = await self.alive()
            if alive is not None or self.recent or self.given_up:
                return alive
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _list(self) -> Sequence[Object]:
        """Of all namespaces; where that is not allowed, of the one that the agent is usually in."""
        try:
            return await self._cluster.list(LEASE, selector=_SELECTOR)
        except ForbiddenError:
            namespace = os.environ.get("SIGNET_AGENT_NAMESPACE") or "signet-system"
            return await self._cluster.list(LEASE, namespace=namespace, selector=_SELECTOR)


async def warn_where_silent(cluster: Cluster) -> None:
    """Warn where no agent is alive: what the Applications report is then old."""
    leases = Leases(cluster)
    if await leases.settled() is False:
        since = f" since {leases.last}" if leases.last else ""
        terminal.warn(f"no agent is alive: none has renewed its Lease{since}, so everything shown is as of then")


def _is_recent(renewed: str) -> bool:
    """Whether a Lease has not run out yet, if the clocks agree."""
    try:
        return abs(time.time() - datetime.fromisoformat(renewed).timestamp()) < _TERMS.duration
    except ValueError:
        return False
