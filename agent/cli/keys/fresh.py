"""What each file gets for itself: its data key, random bytes, and the time."""

from __future__ import annotations

import os
import time

from agent.values.secret import Secret


def data_key() -> Secret:
    # Only here, since `keygen` makes none.
    from agent.sops.format.cipher import DATA_KEY_SIZE

    return Secret(os.urandom(DATA_KEY_SIZE), "new data key")


class RandomBytes:
    """Random bytes of the system, of which it is asked for 8 KiB at once: each value of a file takes 32. None is given twice."""

    __slots__ = ("_at", "_held")

    def __init__(self) -> None:
        self._held: bytes = b""
        self._at: int = 0

    def __call__(self, count: int) -> bytes:
        begin, self._at = self._at, self._at + count
        if self._at > len(self._held):
            self._held, begin, self._at = os.urandom(max(count, 8192)), 0, count
        return self._held[begin : self._at]


def now() -> str:
    """RFC 3339, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
