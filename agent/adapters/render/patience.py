"""Who waits after a renderer ended on their files: the first time may be chance, from the second on each wait is twice as long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agent.values.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable

_FIRST: Final = 30.0
_LONGEST: Final = 3600.0
_FORGIVEN: Final = 600.0
"""Seconds after the wait without another death until none is remembered."""


@dataclass(frozen=True, slots=True)
class _Deaths:
    count: int
    until: float


class Patience:
    """By namespace. `monotonic` gives seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic: Final = monotonic
        self._deaths: Final[dict[str, _Deaths]] = {}

    def waits(self, namespace: str) -> bool:
        """Whether nothing is rendered for it now."""
        deaths = self._deaths.get(namespace)
        return deaths is not None and self._monotonic() < deaths.until

    def died(self, namespace: str) -> None:
        """A renderer ended on its files."""
        now = self._monotonic()
        for name in [name for name, each in self._deaths.items() if now > each.until + _FORGIVEN]:
            del self._deaths[name]
        before = self._deaths.get(namespace)
        count = before.count + 1 if before is not None else 1
        wait = min(_LONGEST, _FIRST * 2 ** (count - 2)) if count > 1 else 0.0
        self._deaths[namespace] = _Deaths(count, now + wait)
