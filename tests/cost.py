"""What something may cost in CPU time, however much slower other work makes the machine meanwhile."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_QUIET_SECONDS = 0.01
"""What the loop takes where nothing else runs."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Fails where the block takes more CPU time than `seconds`, or so many times more as a plain loop beside it takes more than usual."""
    before = _loop()
    started = time.process_time()
    yield
    spent = time.process_time() - started
    assert spent < seconds * max(1.0, (before + _loop()) / 2 / _QUIET_SECONDS)


def _loop() -> float:
    started = time.process_time()
    texts = {str(number): [number] for number in range(40_000)}
    assert len(texts) == 40_000
    return time.process_time() - started
