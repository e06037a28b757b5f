"""When which Application runs: a state machine without clock, tasks or randomness.

One run at a time per Application; triggers that arrive while it runs are coalesced into the next one. A failing Application backs off
without delaying any other. `step` takes what happened and gives what to do; times are seconds of a monotonic clock. A step looks at the
Application that something happened to, and at those that are due.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from agent.engine.causes import Trigger

if TYPE_CHECKING:
    from collections.abc import Mapping

FIRST_RETRY = 2.0
LONGEST_RETRY = 300.0
STORE_RETRY = 60.0
"""Longest wait while what failed is an outage elsewhere, which ends without any action here."""
_EARLY = 0.05
"""Of an interval: by so much at most Git is asked early, so that Applications which began together do not stay together."""
_SLACK = 64
"""Times that hold no more, besides as many as there are Applications, before they are swept."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One Application. `retry_at` is when a failed run is tried again; triggers that come from outside do not wait for it."""

    interval: float
    poll_at: float
    probe_at: float
    suspended: bool = False
    pending: frozenset[Trigger] = frozenset()
    running: bool = False
    failures: int = 0
    retry_at: float | None = None
    delayed: Mapping[Trigger, float] | None = None
    settle_at: float | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """An Application exists, or its spec changed."""

    uid: str
    interval: float
    suspended: bool
    triggers: frozenset[Trigger]


@dataclass(frozen=True, slots=True)
class Gone:
    uid: str


@dataclass(frozen=True, slots=True)
class Triggered:
    """Something happened that concerns an Application; `delay` holds back a heal that is undone again and again."""

    uid: str
    trigger: Trigger
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class RunEnded:
    """A run ended: well, in an error that may pass by itself, or in one that has to be fixed."""

    uid: str
    result: Literal["ok", "transient", "failed"]


@dataclass(frozen=True, slots=True)
class Settling:
    """The health of an Application changes by itself after `delay` seconds, unless something happens before."""

    uid: str
    delay: float


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed."""


Event: TypeAlias = Seen | Gone | Triggered | RunEnded | Settling | Tick


@dataclass(frozen=True, slots=True)
class Start:
    """Run an Application now."""

    uid: str
    triggers: frozenset[Trigger]


@dataclass(frozen=True, slots=True)
class Probe:
    """Ask the stores for the versions of what an Application uses."""

    uid: str


@dataclass(frozen=True, slots=True)
class Look:
    """Say how an Application stands now."""

    uid: str


Effect: TypeAlias = Start | Probe | Look


class Schedule:
    """The Applications and what each waits for. Owned by one loop: a step changes it."""

    def __init__(self, probe_interval: float) -> None:
        self._probe_interval = probe_interval
        self._entries: dict[str, Entry] = {}
        self._next: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []
        """When each Application is due next, and some times that hold no more."""

    def __contains__(self, uid: str) -> bool:
        return uid in self._entries

    def pending(self, uid: str) -> frozenset[Trigger]:
        """What starts the next run of an Application as soon as the one under way ends."""
        entry = self._entries.get(uid)
        return entry.pending if entry is not None else frozenset()

    def step(self, event: Event, *, now: float, jitter: float) -> tuple[Effect, ...]:
        """Take in what happened, and give what to do. `jitter` in [0, 1) spreads polls and retries."""
        if not isinstance(event, Tick):
            entry = self._happened(event, now, jitter)
            if entry is None:
                self._entries.pop(event.uid, None)
                self._next.pop(event.uid, None)
            else:
                self._entries[event.uid] = entry
        touched = [event.uid] if not isinstance(event, Tick) and event.uid in self._entries else []
        return tuple(effect for uid in touched + self._take_due(now) for effect in self._advance(uid, now, jitter))

    def wake_at(self) -> float | None:
        """When `Tick` is due next; None where nothing is waited for."""
        while self._heap:
            at, uid = self._heap[0]
            if self._next.get(uid) == at:
                return at
            heapq.heappop(self._heap)
        return None

    def _take_due(self, now: float) -> list[str]:
        """The Applications that are due, each once."""
        found: list[str] = []
        while (at := self.wake_at()) is not None and at <= now:
            _, uid = heapq.heappop(self._heap)
            del self._next[uid]
            found.append(uid)
        return found

    def _happened(
        self, event: Seen | Gone | Triggered | RunEnded | Settling, now: float, jitter: float
    ) -> Entry | None:
        """The Application's entry after an event."""
        entry = self._entries.get(event.uid)
        match event:
            case Seen(_, interval, suspended, triggers):
                base = entry or Entry(interval, now + interval, now + self._probe_interval)
                return replace(
                    base,
                    interval=interval,
                    poll_at=min(base.poll_at, now + interval),
                    suspended=suspended,
                    pending=base.pending | triggers,
                )
            case Triggered(_, trigger, delay) if entry is not None:
                if delay <= 0:
                    return replace(entry, pending=entry.pending | {trigger})
                return replace(entry, delayed={**(entry.delayed or {}), trigger: _later(entry, trigger, now + delay)})
            case RunEnded(_, result) if entry is not None:
                return _after_run(entry, result, now, jitter)
            case Settling(_, delay) if entry is not None:
                return replace(entry, settle_at=now + delay)
            case _:
                return None

    def _advance(self, uid: str, now: float, jitter: float) -> list[Effect]:
        """What an Application is to do now; it is due again when the first of what it waits for is."""
        entry, effects = _due(uid, self._entries[uid], now, self._probe_interval, jitter)
        self._entries[uid] = entry
        times = [entry.poll_at, entry.probe_at, *(entry.delayed or {}).values()]
        at = min([*times, *(time for time in (entry.retry_at, entry.settle_at) if time is not None)])
        if self._next.get(uid) != at:
            self._next[uid] = at
            heapq.heappush(self._heap, (at, uid))
        if len(self._heap) > _SLACK + 2 * len(self._entries):
            self._heap = [(at, uid) for uid, at in self._next.items()]
            heapq.heapify(self._heap)
        return effects


def _later(entry: Entry, trigger: Trigger, at: float) -> float:
    """When a delayed trigger comes: a fight only backs off, a window and a renewal may move, and of everything else the earlier time counts."""
    before = (entry.delayed or {}).get(trigger, at)
    if trigger in {Trigger.WINDOW, Trigger.RENEWAL}:
        return at
    return max(at, before) if trigger is Trigger.LIVE else min(at, before)


def _after_run(entry: Entry, result: str, now: float, jitter: float) -> Entry:
    if result == "ok":
        return replace(entry, running=False, failures=0, retry_at=None)
    longest = STORE_RETRY if result == "transient" else min(LONGEST_RETRY, max(entry.interval, STORE_RETRY))
    wait = min(FIRST_RETRY * 2**entry.failures, longest) * (0.75 + jitter / 2)
    return replace(entry, running=False, failures=min(entry.failures + 1, 16), retry_at=now + wait)


def _due(uid: str, entry: Entry, now: float, probe_interval: float, jitter: float) -> tuple[Entry, list[Effect]]:
    effects: list[Effect] = []
    pending = entry.pending
    if entry.poll_at <= now:
        pending |= {Trigger.INTERVAL}
        entry = replace(entry, poll_at=now + entry.interval * (1 - _EARLY * jitter))
    if entry.retry_at is not None and entry.retry_at <= now:
        pending |= {Trigger.RETRY}
        entry = replace(entry, retry_at=None)
    due = {trigger for trigger, at in (entry.delayed or {}).items() if at <= now}
    if due:
        pending |= due
        left = {trigger: at for trigger, at in (entry.delayed or {}).items() if trigger not in due}
        entry = replace(entry, delayed=left)
    if entry.probe_at <= now:
        entry = replace(entry, probe_at=now + probe_interval)
        if not entry.suspended:
            effects.append(Probe(uid))
    if entry.settle_at is not None and entry.settle_at <= now:
        entry = replace(entry, settle_at=None)
        effects.append(Look(uid))
    if pending and not entry.running:
        effects.append(Start(uid, pending))
        entry = replace(entry, running=True, pending=frozenset(), retry_at=None)
    else:
        entry = replace(entry, pending=pending)
    return entry, effects
