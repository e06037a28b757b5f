"""Fights: an object that somebody else keeps changing is healed ever more slowly, and named."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

WINDOW: Final = 60.0
PATIENCE: Final = 5
"""Heals of one object within the window before the first wait."""
LONGEST: Final = 300.0


@dataclass(frozen=True, slots=True)
class Fight:
    """How often one object was healed lately. Times are seconds of a monotonic clock."""

    since: float
    heals: int = 0
    until: float = 0.0

    @property
    def fought(self) -> bool:
        return self.heals > PATIENCE


def healed(fight: Fight | None, now: float) -> Fight:
    """Count a heal. The window begins anew when the object was left alone for as long as the last wait and a window."""
    if fight is None or now - max(fight.since, fight.until) > WINDOW:
        return Fight(now, 1)
    heals = fight.heals + 1
    wait = 0.0 if heals <= PATIENCE else min(2.0 ** (heals - PATIENCE - 1), LONGEST)
    return replace(fight, heals=heals, until=now + wait)


def delay(fight: Fight | None, now: float) -> float:
    """Seconds to wait before the next heal."""
    return max(0.0, fight.until - now) if fight else 0.0
