"""One Application under this agent's care: what the driver keeps of it between runs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.api.status import ApplicationStatus
from agent.reconcile.context import Memory

if TYPE_CHECKING:
    from agent.api.application import Application
    from agent.reconcile.fence import Fence
    from agent.reconcile.fights import Fight
    from agent.reconcile.pipeline import Outcome
    from agent.values.errors import AgentError
    from agent.values.ids import ApplicationId, ObjectId
    from agent.values.tree import Object


@dataclass(slots=True)
class Managed:
    """`application` None: its spec of this `generation` is not valid, for the reason `refusal`.

    `fence` is this agent's hold on it, with which `memory` begins and ends, and `since` when that began, in Unix seconds. `turn` is held by the run under way: one that lost its hold may still be ending.

    `found` is the status as the watch last brought it, `reported` the one that this agent wrote last. `rotated` is what the next run
    refreshes.

    `drift_seen` tells when each drift was seen, in seconds of the monotonic clock. Whoever computes a status from `reported` and writes
    it holds `reporting`: of two writes that overtake one another the older would stay.
    """

    id: ApplicationId
    application: Application | None
    refusal: AgentError | None = None
    generation: int = 0
    memory: Memory = field(default_factory=Memory)
    found: Object = field(default_factory=dict)
    reported: ApplicationStatus = field(default_factory=ApplicationStatus)
    fence: Fence | None = None
    since: float = 0.0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    outcome: Outcome | None = None
    rotated: frozenset[ObjectId] = frozenset()
    fights: dict[ObjectId, Fight] = field(default_factory=dict["ObjectId", "Fight"])
    drift_seen: dict[ObjectId, float] = field(default_factory=dict["ObjectId", float])
    report_due: bool = False
    reporting: asyncio.Lock = field(default_factory=asyncio.Lock)

    def leave(self) -> None:
        """Forget what belonged to a hold that is over."""
        if self.fence is not None:
            self.fence.end()
        self.fence, self.memory, self.outcome, self.drift_seen = None, Memory(), None, {}
