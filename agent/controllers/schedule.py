"""When which Application runs: a state machine without clock, tasks or randomness.

One run at a time per Application; causes that arrive while it runs are coalesced into the next one. A failing Application backs off
without delaying any other. `step` takes what happened and gives the new state and what to do; times are seconds of a monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

FIRST_RETRY = 2.0
LONGEST_RETRY = 300.0
STORE_RETRY = 60.0
"""Longest wait while what failed is somebody else's outage, which ends without anybody's doing here."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One Application. `retry_at` is when a failed run is tried again; causes that come from outside do not wait for it."""

    interval: float
    poll_at: float
    probe_at: float
    suspended: bool = False
    pending: frozenset[str] = frozenset()
    running: bool = False
    failures: int = 0
    retry_at: float | None = None
    delayed: Mapping[str, float] | None = None


State: TypeAlias = "Mapping[str, Entry]"


@dataclass(frozen=True, slots=True)
class Seen:
    """An Application exists, or its spec changed."""

    uid: str
    interval: float
    suspended: bool
    causes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Gone:
    uid: str


@dataclass(frozen=True, slots=True)
class Poke:
    """Something happened that concerns an Application; `delay` holds back a heal that somebody keeps undoing."""

    uid: str
    cause: str
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class Finished:
    """A run ended: well, in an error that may pass by itself, or in one that somebody has to mend."""

    uid: str
    result: Literal["ok", "transient", "failed"]


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed."""


Event: TypeAlias = Seen | Gone | Poke | Finished | Tick


@dataclass(frozen=True, slots=True)
class Start:
    """Run an Application now."""

    uid: str
    causes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Probe:
    """Ask the stores for the versions of what an Application uses."""

    uid: str


Effect: TypeAlias = Start | Probe


def step(
    state: State, event: Event, *, now: float, probe_interval: float, jitter: float
) -> tuple[dict[str, Entry], tuple[Effect, ...]]:
    """The next state, and what to do. `jitter` in [0, 1) spreads retries."""
    entries = dict(state)
    match event:
        case Seen(uid, interval, suspended, causes):
            known = entries.get(uid)
            base = known or Entry(interval, now + interval, now + probe_interval)
            entries[uid] = replace(
                base,
                interval=interval,
                poll_at=min(base.poll_at, now + interval),
                suspended=suspended,
                pending=base.pending | causes,
            )
        case Gone(uid):
            entries.pop(uid, None)
        case Poke(uid, cause, delay) if uid in entries:
            entry = entries[uid]
            if delay <= 0:
                entries[uid] = replace(entry, pending=entry.pending | {cause})
            else:
                delayed = {**(entry.delayed or {}), cause: max(now + delay, (entry.delayed or {}).get(cause, 0.0))}
                entries[uid] = replace(entry, delayed=delayed)
        case Finished(uid, result) if uid in entries:
            entries[uid] = _finished(entries[uid], result, now, jitter)
        case _:
            pass
    return _due(entries, now, probe_interval)


def _finished(entry: Entry, result: str, now: float, jitter: float) -> Entry:
    if result == "ok":
        return replace(entry, running=False, failures=0, retry_at=None)
    longest = STORE_RETRY if result == "transient" else min(LONGEST_RETRY, max(entry.interval, STORE_RETRY))
    wait = min(FIRST_RETRY * 2**entry.failures, longest) * (0.75 + jitter / 2)
    return replace(entry, running=False, failures=min(entry.failures + 1, 16), retry_at=now + wait)


def _due(entries: dict[str, Entry], now: float, probe_interval: float) -> tuple[dict[str, Entry], tuple[Effect, ...]]:
    effects: list[Effect] = []
    for uid, entry in entries.items():
        pending = entry.pending
        if entry.poll_at <= now:
            pending |= {"interval"}
            entry = replace(entry, poll_at=now + entry.interval)  # noqa: PLW2901
        if entry.retry_at is not None and entry.retry_at <= now:
            pending |= {"retry"}
            entry = replace(entry, retry_at=None)  # noqa: PLW2901
        ripe = {cause for cause, at in (entry.delayed or {}).items() if at <= now}
        if ripe:
            pending |= ripe
            left = {cause: at for cause, at in (entry.delayed or {}).items() if cause not in ripe}
            entry = replace(entry, delayed=left)  # noqa: PLW2901
        if entry.probe_at <= now:
            entry = replace(entry, probe_at=now + probe_interval)  # noqa: PLW2901
            if not entry.suspended:
                effects.append(Probe(uid))
        if pending and not entry.running:
            effects.append(Start(uid, pending))
            entry = replace(entry, running=True, pending=frozenset(), retry_at=None)  # noqa: PLW2901
        else:
            entry = replace(entry, pending=pending)  # noqa: PLW2901
        entries[uid] = entry
    return entries, tuple(effects)


def wake_at(state: State) -> float | None:
    """When `Tick` is due next; None where nothing is waited for."""
    times: list[float] = []
    for entry in state.values():
        times += [entry.poll_at, entry.probe_at, *(entry.delayed or {}).values()]
        if entry.retry_at is not None and not entry.running:
            times.append(entry.retry_at)
    return min(times, default=None)
