"""A run in rounds: what takes long is waited for between two of them, with nothing of the room that manifests take.

Where a run waits for long, its round ends: what became of its steps is recorded, and its objects are forgotten. The next round reads the
same commit and plans what is left. What else it has to know is kept here, so that nothing runs, waits or is made up again for that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from agent.engine.causes import Cause
from agent.values.errors import HeldError
from agent.values.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Container, Iterable, Mapping

    from agent.engine.changes import Change, ChangeSet, Step
    from agent.engine.context import Run
    from agent.engine.live import LiveFact
    from agent.engine.outcome import Outcome
    from agent.engine.results import Result
    from agent.manifests.hooks import Phase
    from agent.values.errors import AgentError
    from agent.values.ids import ObjectId
    from agent.values.secret import Secret

PATIENCE: Final = 10.0
"""Seconds from where a round first waits, after which it ends instead."""
_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
_ASKED: Final = 100
"""Objects that are not ready yet, of those that are asked for at once: while there are so many, the others need no answer."""
_KEPT: Final = frozenset({Cause.RERUN, Cause.SECRET, Cause.GENERATED, Cause.ROLL})
"""Causes that lie in what an earlier round applied, or in what started the run."""


@dataclass(frozen=True, slots=True)
class Wait:
    """What is waited for `until` a time of the monotonic clock: then it is `late`, where that is to be said here."""

    done: Callable[[], Awaitable[bool]]
    until: float
    late: AgentError | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """For what hooks run: whether the release is installed, and whether nothing was recorded of it, when the run began."""

    installing: bool
    unrecorded: bool


@dataclass(frozen=True, slots=True)
class Made:
    """Values that templates made up in a run, when they are renewed, and those that stood `before`."""

    values: Mapping[str, Secret] = field(repr=False)
    until: int
    before: Mapping[str, Secret] = field(repr=False)

    def explains(self, found: Mapping[str, Secret]) -> bool:
        """Whether what stands is of these, or as it was."""
        return all(value in (self.values[name], self.before.get(name)) for name, value in found.items())


@dataclass(slots=True)
class Rounds:
    """What a run keeps from one round to the next.

    `results` are of steps that were made, without facts and records, `changes` what the audit trail and the status say of these, and `causes` why
    others are still to be made, where the record does not say it. `hooked` are hooks and what they need, by their phase: whether each goes
    once that is over. `hooks` are the objects of hooks that are waited for, `contents` and `event` what hooks run for. `made` has values that were
    made up, by their bundle. `since` is when each object was waited for first, in seconds of the monotonic clock, `hooks_until` how long
    hooks are. `version` is what Git named when the run began. `waits` is what the next round waits for; a round that leaves some is over. `waited` is then to be recorded. `resumed`: this is not the first round.
    """

    results: dict[ObjectId, Result] = field(default_factory=dict["ObjectId", "Result"])
    changes: dict[ObjectId, Change] = field(default_factory=dict["ObjectId", "Change"])
    causes: dict[ObjectId, Cause] = field(default_factory=dict["ObjectId", "Cause"])
    problems: tuple[Problem, ...] = ()
    hooked: dict[tuple[ObjectId, Phase], bool] = field(default_factory=dict["tuple[ObjectId, Phase]", bool])
    hooks: dict[ObjectId, LiveFact] = field(default_factory=dict["ObjectId", "LiveFact"])
    contents: dict[ObjectId, str] = field(default_factory=dict["ObjectId", str])
    event: Event | None = None
    made: dict[frozenset[str], Made] = field(default_factory=dict[frozenset[str], Made])
    since: dict[ObjectId, float] = field(default_factory=dict["ObjectId", float])
    hooks_until: float | None = None
    version: str = ""
    waits: dict[ObjectId, Wait] = field(default_factory=dict["ObjectId", Wait])
    waited: list[Result] = field(default_factory=list["Result"])
    resumed: bool = False
    _patient_until: float | None = None

    def begin(self) -> None:
        """A round begins."""
        self._patient_until = None

    def patience(self, now: float) -> float:
        """Until when this round may wait."""
        if self._patient_until is None:
            self._patient_until = now + PATIENCE
        return self._patient_until

    @property
    def defines(self) -> bool:
        """Whether definitions were applied in an earlier round."""
        return any(key.kind == "CustomResourceDefinition" for key in self.results)

    def left(
        self, stale: Mapping[ObjectId, Cause], objects: Container[ObjectId], done: Container[ObjectId]
    ) -> dict[ObjectId, Cause]:
        """The stale objects, and those that an earlier round was to apply: what it applied may have been the reason."""
        causes = {key: each for key, each in self.causes.items() if key in objects and key not in done}
        again = {key: each for key, each in causes.items() if each == Cause.RERUN}
        return {**causes, **stale, **again}

    def untried(self, changes: ChangeSet) -> ChangeSet:
        """Without the steps that failed in an earlier round, which the next run tries again, and without those of hooks that were made."""
        waves = (tuple(step for step in wave if not self._was_tried(step)) for wave in changes.waves)
        return replace(changes, waves=tuple(filter(None, waves))) if self.resumed else changes

    def _was_tried(self, step: Step) -> bool:
        key = step.assembled.id
        if step.hooked is not None:
            return (key, step.hooked.phase) in self.hooked and self.results[key].error is None
        return key in self.results and self.results[key].error is not None

    def end(self, changes: ChangeSet, results: Iterable[Result], problems: tuple[Problem, ...]) -> list[Result]:
        """The round is over with this; gives what is to be recorded of it.

        What is waited for is recorded once it is healthy: an agent that takes the Application meanwhile waits for it as well.
        """
        done = [each for each in results if each.error is None or each.id not in self.waits]
        kept = {each.id: replace(each, fact=None, record=None) for each in done}
        self.results |= kept
        self.waited += [each for each in done if each.id in self.waits]
        self.changes.update({each.object: each for each in changes if each.object in kept})
        self.causes = {
            step.assembled.id: step.cause
            for step in changes.steps
            if step.assembled.id not in kept and step.cause in _KEPT
        }
        self.problems += problems
        self.resumed = True
        return [each for each in done if each.id not in self.waits]

    def take_waited(self) -> list[Result]:
        """What was waited for, and is to be recorded now."""
        waited, self.waited = self.waited, []
        return waited

    def ended(self, outcome: Outcome) -> Outcome:
        """An outcome that ends the run before its time, with what came of the rounds before."""
        failures = (Problem(each.error, each.id) for each in self.results.values() if each.error is not None)
        return replace(
            outcome,
            problems=(*outcome.problems, *self.problems, *failures),
            changes=(*self.changes.values(),),
            results=self.all_results(()),
        )

    def all_changes(self, changes: ChangeSet) -> tuple[Change, ...]:
        """Of all rounds, this one the last."""
        return (*{**self.changes, **{each.object: each for each in changes}}.values(),)

    def all_results(self, results: Iterable[Result]) -> tuple[Result, ...]:
        """Of all rounds, this one the last."""
        return (*{**self.results, **{each.id: each for each in results}}.values(),)


async def wait(run: Run, waits: Mapping[ObjectId, Wait]) -> dict[ObjectId, AgentError]:
    """Wait as long as this round may; gives what is late. What is left is waited for by the next round."""
    rounds = run.rounds
    left = dict(waits)
    late = await _wait(run, left, rounds.patience(run.ports.clock.monotonic())) if left else {}
    rounds.waits.update(left)
    return late


async def between(run: Run, newer: Callable[[], bool] = lambda: False) -> None:
    """Wait for what the last round left, before the next one begins.

    Raises HeldError where something `newer` is to run instead, LeaseLostError, and what the cluster raises.
    """
    late = await _wait(run, run.rounds.waits, math.inf, newer)
    run.rounds.results |= {key: too_late(run.rounds.results[key], error) for key, error in late.items()}
    run.rounds.waited = [each for each in run.rounds.waited if each.id not in late]


def too_late(result: Result, error: AgentError) -> Result:
    """Of an object that was not healthy in time. It is not recorded as applied, so that the next run waits for it again."""
    return replace(result, action="wait", error=error, record=None)


async def _wait(
    run: Run, waits: dict[ObjectId, Wait], patience: float, newer: Callable[[], bool] = lambda: False
) -> dict[ObjectId, AgentError]:
    """What is over goes from `waits`; gives what is late of it."""
    late: dict[ObjectId, AgentError] = {}
    clock, pause = run.ports.clock.monotonic, _PAUSE
    while waits:
        unready = 0
        for key, each in list(waits.items()):
            if unready == _ASKED:
                break
            run.fence.check()
            if await each.done():
                del waits[key]
            elif clock() > each.until:
                del waits[key]
                if each.late is not None:
                    late[key] = each.late
            elif clock() > patience:
                return late
            else:
                unready += 1
        if waits and newer():
            raise HeldError(
                "a newer commit or spec, or a request, came before an object was healthy: it runs now",
                object=next(iter(waits)),
            )
        if waits:
            await run.ports.tasks.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
    return late
