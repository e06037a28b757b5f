"""Fights: an object that another client keeps changing is healed less and less often, and reported."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from agent.values.text import MOST

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WINDOW: Final = 60.0
PATIENCE: Final = 5
"""Heals of one object within the window before the first wait."""
LONGEST: Final = 300.0
FORGOTTEN: Final = 86_400.0
"""Removals that are older do not count."""


@dataclass(frozen=True, slots=True)
class Fight:
    """How often one object was healed lately. Times are seconds of a monotonic clock.

    `removed` counts how often each addition was removed, by its path, however slowly it comes back.
    """

    since: float
    heals: int = 0
    until: float = 0.0
    removed: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def fought(self) -> bool:
        return self.heals > PATIENCE

    @property
    def insisted(self) -> frozenset[str]:
        """Additions that come back after each removal: they are left."""
        return frozenset(path for path, times in self.removed.items() if times > PATIENCE)


def healed(fight: Fight | None, now: float, removed: Sequence[str] = ()) -> Fight:
    """Count a heal. The window starts over when the object was left alone for as long as the last wait and a window."""
    alone = now - max(fight.since, fight.until) if fight else FORGOTTEN
    counted = _counted(fight.removed if fight and alone < FORGOTTEN else {}, removed)
    if fight is None or alone > WINDOW:
        return Fight(now, 1, removed=counted)
    heals = fight.heals + 1
    wait = 0.0 if heals <= PATIENCE else min(2.0 ** (heals - PATIENCE - 1), LONGEST)
    return replace(fight, heals=heals, until=now + wait, removed=counted)


def _counted(before: Mapping[str, int], removed: Sequence[str]) -> dict[str, int]:
    """The newest, up to as many as are named of one object."""
    counts = {path: times for path, times in before.items() if path not in removed}
    counts.update({path: before.get(path, 0) + 1 for path in removed})
    return dict(list(counts.items())[-MOST:])


def delay(fight: Fight | None, now: float) -> float:
    """Seconds to wait before the next heal."""
    return max(0.0, fight.until - now) if fight else 0.0
