"""What something may cost in CPU time, however much slower other work makes the machine meanwhile."""

from __future__ import annotations

import asyncio
import gc
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

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


async def longest_turn(work: Callable[[], Awaitable[object]]) -> float:
    """CPU seconds that the loop's thread spent at one time, at most, while `work` was done; of three times, the best.

    Without the collector, which takes its turn where it likes.
    """
    return min([await _longest(work) for _ in range(3)])


async def _longest(work: Callable[[], Awaitable[object]]) -> float:
    longest = 0.0
    _ = gc.collect()
    gc.disable()
    try:
        working = asyncio.ensure_future(work())
        before = time.thread_time()
        while not working.done():
            await asyncio.sleep(0)
            longest, before = max(longest, time.thread_time() - before), time.thread_time()
        await working
    finally:
        gc.enable()
    return longest


def _loop() -> float:
    started = time.process_time()
    texts = {str(number): [number] for number in range(40_000)}
    assert len(texts) == 40_000
    return time.process_time() - started
