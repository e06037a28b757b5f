"""When sync windows let a commit in: a function of the windows and the time."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from cronsim import CronSim

from agent.api import durations
from agent.values.errors import SyncWindowError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.api.windows import SyncWindow
    from agent.values.errors import WaitsError

_STEPS: Final = 32
"""Ends and beginnings of windows that are looked at: what no window opens within so many is out of sight."""
_MINUTE: Final = 60
_LATER: Final = 86_400.0
"""Seconds after which windows that do not open within sight are looked at again."""


def check(sets: Sequence[Sequence[SyncWindow]], now: float) -> tuple[WaitsError, ...]:
    """What speaks against running a commit `now`, in Unix seconds: nothing where each of the sets is open.

    The operator's windows and the Application's are a set each: no `allow` of one opens the other.
    """
    opens = _all_open(sets, now)
    if opens == now:
        return ()
    if opens is None:
        error = SyncWindowError("waits for a sync window, but none will open", hint="correct the windows")
        return (error.ending(now + _LATER),)
    return (SyncWindowError("waits for a sync window", opens_at=durations.timestamp(opens)).ending(opens),)


def _all_open(sets: Sequence[Sequence[SyncWindow]], now: float) -> float | None:
    for _ in range(_STEPS):
        before = now
        for each in sets:
            opens = _opens(each, now)
            if opens is None:
                return None
            now = opens
        if now == before:
            return now
    return None


def _opens(windows: Sequence[SyncWindow], now: float) -> float | None:
    """The first time from `now` on at which a set of windows is open; None where that is out of sight."""
    allowing = [each for each in windows if each.kind == "allow"]
    denying = [each for each in windows if each.kind == "deny"]
    for _ in range(_STEPS):
        ends = max((end for each in denying if (end := _end(each, now)) is not None), default=None)
        if ends is not None:
            now = ends
        elif allowing and all(_end(each, now) is None for each in allowing):
            begins = min((begin for each in allowing if (begin := _next(each, now)) is not None), default=None)
            if begins is None:
                return None
            now = begins
        else:
            return now
    return None


def _end(window: SyncWindow, now: float) -> float | None:
    """When a window that is open ends; None where it is not open."""
    minute = now // _MINUTE * _MINUTE
    after = datetime.fromtimestamp(minute + _MINUTE, window.zone)
    began = next(CronSim(window.schedule, after, reverse=True), None)
    end = began.timestamp() + window.duration if began else 0.0
    return end if end > now else None


def _next(window: SyncWindow, now: float) -> float | None:
    """When it begins next."""
    begins = next(CronSim(window.schedule, datetime.fromtimestamp(now, window.zone)), None)
    return begins.timestamp() if begins else None
