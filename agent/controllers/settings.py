"""What the driver is given beside its ports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.api.application import Application
    from agent.api.operator import Limits
    from agent.engine.context import Fingerprints, Grants
    from agent.engine.live import Observer


@dataclass(frozen=True, slots=True)
class Settings:
    """`agent` is this agent's name. `grants` says what the operator lets an Application do, or raises.

    `mine` says whether this agent is the one to run an Application; `term` grows whenever its Lease had lapsed; `recheck` asks which
    agents there are, at once. `memory` is what all Applications may have for their manifests, in bytes.
    """

    agent: str
    observer: Observer
    fingerprints: Fingerprints
    grants: Callable[[Application], Grants]
    mine: Callable[[str], bool]
    term: Callable[[], int]
    recheck: Callable[[], None]
    limits: Limits
    random_bytes: Callable[[int], bytes]
    probe_interval: float = 30.0
    parallel_runs: int = 8
    memory: int = 400 * 1024 * 1024
