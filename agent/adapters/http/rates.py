"""How often something may happen, by key: so many times a second, and some more at once after a pause."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_KEYS: Final = 4096
"""Of which the counts are kept. A key that was not seen for longer than all of these begins with a full burst."""


class Rate:
    """A bucket of tokens for each key. `now` gives seconds."""

    def __init__(self, per_second: float, burst: float, now: Callable[[], float]) -> None:
        self._per_second: Final = per_second
        self._burst: Final = burst
        self._now: Final = now
        self._left: Final[OrderedDict[str, tuple[float, float]]] = OrderedDict()

    def allows(self, key: str) -> bool:
        """Whether it may happen now; if so, it counts."""
        now = self._now()
        left, at = self._left.pop(key, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._per_second)
        allowed = left >= 1
        self._left[key] = (left - 1 if allowed else left, now)
        if len(self._left) > _MOST_KEYS:
            self._left.popitem(last=False)
        return allowed
