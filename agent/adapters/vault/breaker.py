"""A circuit breaker of one store, for all or for one namespace: after a failure it is not asked for a while, longer each time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from agent.values.errors import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

SHORTEST: Final = 5.0
LONGEST: Final = 60.0
"""Seconds, before the jitter of a fifth either way."""


class Breaker:
    """Closed until `failed`, then open for 5, 10, 20, 40, 60, 60, … seconds, until `succeeded`. Thread-safe."""

    def __init__(
        self, store: str, *, monotonic: Callable[[], float], jitter: Callable[[], float], namespace: str = ""
    ) -> None:
        """`jitter` gives numbers from 0 to 1. `namespace` is whose failures count, empty for everybody's."""
        self._facts: Final = {"store": store, "namespace": namespace} if namespace else {"store": store}
        self._monotonic: Final = monotonic
        self._jitter: Final = jitter
        self._lock: Final = threading.Lock()
        self._failures: int = 0
        self._until: float = 0.0

    def check(self) -> None:
        """Raises StoreUnavailableError while open."""
        left = self._until - self._monotonic() if self._failures else 0.0
        if left > 0:
            raise StoreUnavailableError(
                "the store failed just now and is not asked yet", seconds=int(left) + 1
            ).with_facts(**self._facts)

    def failed(self) -> None:
        """One outage, however many requests were in flight when it came."""
        with self._lock:
            now = self._monotonic()
            if self._failures and now < self._until:
                return
            delay = min(LONGEST, SHORTEST * 2.0 ** min(self._failures, 10))
            self._failures += 1
            self._until = now + delay * (0.8 + 0.4 * self._jitter())

    def succeeded(self) -> None:
        """The store answers."""
        if self._failures and self._monotonic() >= self._until:
            with self._lock:
                self._failures = 0
