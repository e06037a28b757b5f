"""One Application under this agent's care: what the driver keeps of it between runs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.api.application import Application
    from agent.api.status import ApplicationStatus
    from agent.reconcile.context import Memory
    from agent.reconcile.fights import Fight
    from agent.reconcile.pipeline import Outcome
    from agent.values.ids import ApplicationId, ObjectId


@dataclass(slots=True)
class Managed:
    """`application` None: its spec is not valid. `reported` is the status as written, `rotated` what the next run refreshes.

    `drift_seen` tells when each drift was seen, in seconds of the monotonic clock. Whoever computes a status from `reported` and writes
    it holds `reporting`: of two writes that overtake one another the older would stay.
    """

    id: ApplicationId
    application: Application | None
    memory: Memory
    reported: ApplicationStatus
    loaded: bool = False
    outcome: Outcome | None = None
    rotated: frozenset[ObjectId] = frozenset()
    fights: dict[ObjectId, Fight] = field(default_factory=dict["ObjectId", "Fight"])
    drift_seen: dict[ObjectId, float] = field(default_factory=dict["ObjectId", float])
    report_due: bool = False
    reporting: asyncio.Lock = field(default_factory=asyncio.Lock)
