"""When which Application runs: one run at a time, triggers coalesced, failures alone in their back-off."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.controllers.schedule import Gone, Look, Probe, RunEnded, Schedule, Seen, Settling, Start, Tick, Triggered
from agent.engine.causes import Trigger

if TYPE_CHECKING:
    from agent.controllers import schedule

PROBE = 30.0


class Clock:
    """Drives a schedule through a list of events."""

    def __init__(self) -> None:
        self.state = Schedule(PROBE)
        self.now = 0.0

    def at(self, now: float, *events: schedule.Event) -> list[schedule.Effect]:
        self.now = now
        effects: list[schedule.Effect] = []
        for event in events or (Tick(),):
            effects += self.state.step(event, now=now, jitter=0.5)
        return effects


def seen(uid: str = "a", interval: float = 300.0, *, suspended: bool = False, cause: str = "start") -> Seen:
    return Seen(uid, interval, suspended, frozenset({cause}))


def test_a_new_application_runs_at_once() -> None:
    assert Clock().at(0, seen()) == [Start("a", frozenset({"start"}))]


def test_what_happens_during_a_run_is_one_run_afterwards() -> None:
    clock = Clock()
    clock.at(0, seen())
    assert clock.at(1, Triggered("a", "live"), Triggered("a", "secret"), Triggered("a", "live")) == []
    assert clock.at(2, RunEnded("a", "ok")) == [Start("a", frozenset({"live", "secret"}))]
    assert clock.at(3, RunEnded("a", "ok")) == []


def test_git_is_asked_once_an_interval_and_up_to_a_twentieth_early() -> None:
    clock = Clock()
    clock.at(0, seen(interval=10), RunEnded("a", "ok"))
    assert clock.at(9.9) == []
    assert clock.at(10) == [Start("a", frozenset({"interval"}))]
    clock.at(10, RunEnded("a", "ok"))
    assert clock.at(19.7) == []
    assert clock.at(19.75) == [Start("a", frozenset({"interval"}))]


def test_stores_are_probed_at_their_own_pace_and_never_for_a_suspended_application() -> None:
    clock = Clock()
    clock.at(0, seen("a"), seen("b", suspended=True), RunEnded("a", "ok"), RunEnded("b", "ok"))
    assert clock.at(PROBE) == [Probe("a")]


@pytest.mark.parametrize(
    ("result", "waits"),
    [("transient", [2, 4, 8, 16, 32, 60, 60]), ("failed", [2, 4, 8, 16, 32, 64, 128, 256, 300, 300])],
)
def test_a_failing_application_is_tried_ever_more_slowly(result: str, waits: list[float]) -> None:
    clock = Clock()
    clock.at(0, seen(interval=1_000_000), RunEnded("a", result))  # type: ignore[arg-type]
    for wait in waits:
        due = clock.now + wait
        assert [effect for effect in clock.at(due - 0.1) if isinstance(effect, Start)] == []
        assert Start("a", frozenset({"retry"})) in clock.at(due)
        clock.at(due, RunEnded("a", result))  # type: ignore[arg-type]


def test_success_forgets_the_failures_before_it() -> None:
    clock = Clock()
    clock.at(0, seen(), RunEnded("a", "failed"))
    clock.at(2)
    clock.at(2, RunEnded("a", "ok"), Triggered("a", "live"), RunEnded("a", "failed"))
    assert Start("a", frozenset({"retry"})) in clock.at(4)


def test_a_failing_application_still_answers_what_comes_from_outside() -> None:
    clock = Clock()
    clock.at(0, seen(), RunEnded("a", "failed"))
    assert clock.at(0.1, Triggered("a", "request")) == [Start("a", frozenset({"request"}))]


def test_one_that_fails_does_not_delay_another() -> None:
    clock = Clock()
    clock.at(0, seen("a"), seen("b"), RunEnded("a", "failed"), RunEnded("b", "ok"))
    assert clock.at(0.1, Triggered("b", "live")) == [Start("b", frozenset({"live"}))]


def test_a_delayed_heal_waits_and_then_comes() -> None:
    clock = Clock()
    clock.at(0, seen(), RunEnded("a", "ok"))
    assert clock.at(1, Triggered("a", "live", delay=4)) == []
    assert clock.state.wake_at() == 5
    assert clock.at(5) == [Start("a", frozenset({"live"}))]
    assert clock.at(6, RunEnded("a", "ok")) == []


def test_one_that_is_gone_is_never_run_again() -> None:
    clock = Clock()
    clock.at(0, seen())
    assert clock.at(1, Gone("a"), RunEnded("a", "failed"), Triggered("a", "live")) == []
    assert clock.at(1000) == []
    assert clock.state.wake_at() is None


events = st.one_of(
    st.builds(seen, st.sampled_from("ab"), st.sampled_from([10.0, 300.0])),
    st.builds(Triggered, st.sampled_from("ab"), st.sampled_from(["live", "secret"]), st.sampled_from([0.0, 3.0])),
    st.builds(Gone, st.sampled_from("ab")),
    st.just(Tick()),
)


class World:
    """Runs what is started, and notes which triggers were asked for and not yet served."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.running: set[str] = set()
        self.asked: dict[str, set[str]] = {}

    def happen(self, gap: float, event: schedule.Event) -> None:
        effects = self.clock.at(self.clock.now + gap, event)
        if isinstance(event, Triggered) and event.uid in self.clock.state and not event.delay:
            self.asked.setdefault(event.uid, set()).add(event.trigger)
        if isinstance(event, Gone):
            self.running.discard(event.uid)
            self.asked.pop(event.uid, None)
        self.start(effects)

    def end_runs(self) -> None:
        for uid in sorted(self.running):
            self.running.discard(uid)
            self.start(self.clock.at(self.clock.now, RunEnded(uid, "ok")))

    def start(self, effects: list[schedule.Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Start):
                assert effect.uid not in self.running
                self.running.add(effect.uid)
                self.asked[effect.uid] = self.asked.get(effect.uid, set()) - effect.triggers


@given(st.lists(st.tuples(st.floats(0, 20), events, st.booleans()), max_size=60))
def test_never_two_runs_of_one_application_and_no_trigger_is_lost(
    steps: list[tuple[float, schedule.Event, bool]],
) -> None:
    world = World()
    for gap, event, ends in steps:
        world.happen(gap, event)
        if ends:
            world.end_runs()
    world.end_runs()
    assert not any(world.asked.values())


@given(st.lists(st.tuples(st.floats(0, 20), events, st.booleans()), max_size=60))
def test_it_says_when_something_is_due_and_not_before(steps: list[tuple[float, schedule.Event, bool]]) -> None:
    world = World()
    for gap, event, ends in steps:
        world.happen(gap, event)
        if ends:
            world.end_runs()
        at = world.clock.state.wake_at()
        assert at == min((time for entry in world.clock.state._entries.values() for time in times(entry)), default=None)
        if at is not None:
            assert at > world.clock.now
            assert world.clock.at(math.nextafter(at, 0)) == []
            if ends:
                world.start(world.clock.at(at))


def times(entry: schedule.Entry) -> list[float]:
    """What an Application waits for."""
    retry = [] if entry.retry_at is None else [entry.retry_at]
    return [entry.poll_at, entry.probe_at, *(entry.delayed or {}).values(), *retry]


def test_times_that_hold_no_more_are_swept() -> None:
    state = Schedule(1e9)
    state.step(seen(interval=1e9), now=0, jitter=0.5)
    # one that is due before keeps what holds no more from coming to the top
    state.step(seen("b", interval=1e8), now=0, jitter=0.5)
    for now in range(0, 10_000, 10):
        state.step(RunEnded("a", "ok"), now=now, jitter=0.5)
        state.step(Triggered("a", "live", delay=4), now=now, jitter=0.5)
        assert state.step(Tick(), now=now + 5, jitter=0.5) == (Start("a", frozenset({"live"})),)
    assert len(state._heap) < 100


def test_what_settles_by_itself_is_looked_at_then_and_starts_nothing() -> None:
    clock = Clock()
    clock.at(0, seen())
    clock.at(1, RunEnded("a", "ok"))
    assert clock.at(2, Settling("a", 20.0)) == []
    assert clock.state.wake_at() == 22
    assert clock.at(3, Settling("a", 5.0)) == []
    assert clock.at(8) == [Look("a")]
    assert clock.at(22) == []
    assert clock.at(23, Settling("b", 1.0)) == [], "of none that is known"
    clock.at(24, Settling("a", 1.0), Gone("a"))
    assert clock.at(26) == []


@pytest.mark.parametrize(
    ("trigger", "first", "then", "runs"),
    [
        ("window", 900, 300, 300),
        ("window", 300, 900, 900),
        ("dependency", 300, 900, 300),
        ("dependency", 900, 300, 300),
    ],
)
def test_a_window_may_move_and_of_other_delays_the_earlier_counts(
    trigger: str, first: float, then: float, runs: float
) -> None:
    clock = Clock()
    clock.at(0, seen(interval=1e9))
    clock.at(1, RunEnded("a", "ok"))
    clock.at(2, Triggered("a", Trigger(trigger), delay=first), Triggered("a", Trigger(trigger), delay=then))
    started = [now for now in range(3, 1000) if any(isinstance(each, Start) for each in clock.at(now))]
    assert started == [runs + 2]
