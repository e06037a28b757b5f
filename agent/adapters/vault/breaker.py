"""A circuit breaker of one store, for all or for one namespace: after a failure it is not asked for a while, longer each time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from agent.api import durations

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.values.errors import StoreUnavailableError

SHORTEST: Final = 5.0
LONGEST: Final = 60.0
"""Seconds, before the jitter of a fifth either way."""


class Breaker:
    """Closed until `failed`, then open for 5, 10, 20, 40, 60, 60, … seconds, until `succeeded`. Thread-safe.

    `cause` is why it opened last, with the time of the next try as the fact `retry_at`: neither changes while it is open.
    """

    def __init__(
        self, *, monotonic: Callable[[], float], jitter: Callable[[], float], now: Callable[[], float]
    ) -> None:
        """`jitter` gives numbers from 0 to 1, `now` Unix seconds."""
        self._monotonic: Final = monotonic
        self._jitter: Final = jitter
        self._now: Final = now
        self._lock: Final = threading.Lock()
        self._failures: int = 0
        self._until: float = 0.0
        self.cause: StoreUnavailableError | None = None

    @property
    def is_open(self) -> bool:
        return bool(self._failures) and self._monotonic() < self._until

    def failed(self, cause: StoreUnavailableError) -> StoreUnavailableError:
        """One outage, however many requests were in flight when it came: the first says why. Gives what is to be said."""
        with self._lock:
            if not self.is_open or self.cause is None:
                delay = min(LONGEST, SHORTEST * 2.0 ** min(self._failures, 10)) * (0.8 + 0.4 * self._jitter())
                self._failures += 1
                self._until = self._monotonic() + delay
                self.cause = cause.with_facts(retry_at=durations.timestamp(self._now() + delay))
            return self.cause.copy()

    def explain(self, cause: StoreUnavailableError, **facts: str) -> StoreUnavailableError:
        """More is known of the cause."""
        with self._lock:
            self.cause = cause.with_facts(**facts)
            return self.cause.copy()

    def succeeded(self) -> None:
        """The store answers."""
        if self._failures and not self.is_open:
            with self._lock:
                self._failures = 0
