"""Faults that the model must find: each takes away one of the things that make a hand-over safe."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent.controllers import holding, managed, status
from agent.controllers.loop import Driver
from agent.engine import applying, commits, fence, recording
from agent.engine.fence import Fence
from agent.values.ids import Revision
from handover_model import records, sources

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pytest

    from agent.engine.context import Run
    from agent.engine.ports import Ports, WatchEvent
    from agent.engine.several import Origin
    from agent.engine.state import State
    from agent.values.tree import Object


def memory_kept(patch: pytest.MonkeyPatch) -> None:
    """What was desired before a hold ended is what is desired under the next one."""
    taken, left, check = holding.take, managed.ManagedApplication.leave, commits.check
    trusted: list[State] = []

    def leave(self: managed.ManagedApplication) -> None:
        state = self.state
        left(self)
        self.state = state

    async def take(ports: object, settings: object, each: managed.ManagedApplication) -> bool:
        before = each.state
        there = await taken(ports, settings, each)
        each.state = replace(before, verified=each.state.verified)
        trusted.append(each.state)
        return there

    async def known(run: Run, state: State) -> tuple[State, Sequence[Origin]]:
        if state.desired is not None and any(state.verified is each.verified for each in trusted):
            trusted.clear()
            return state, ()
        return await check(run, state)

    patch.setattr(commits, "check", known)
    patch.setattr(managed.ManagedApplication, "leave", leave)
    patch.setattr(holding, "take", take)


def never_shown_at_first(patch: pytest.MonkeyPatch) -> None:
    """A run counts its epoch as shown when it begins to write."""

    async def announce(run: Run, *_: object) -> None:
        run.fence.shown()

    patch.setattr(recording, "announce", announce)


def never_shown_again(patch: pytest.MonkeyPatch) -> None:
    """What was shown once in a run counts as shown for all of its waves."""
    patch.setattr(fence, "FRESH_SECONDS", float("inf"))


def run_not_ended(patch: pytest.MonkeyPatch) -> None:
    """A run goes on though the agent knows that the Application is another's."""
    patch.setattr(Fence, "holds", property(lambda self: not self._over))
    patch.setattr(Fence, "end", lambda self: None)


class _Deaf:
    """A fence that is not asked afresh."""

    def __init__(self, fence: Fence) -> None:
        self._fence = fence
        self.check, self.shown = fence.check, fence.shown

    async def show(self, *, afresh: bool = False) -> None:
        self._fence.check()
        if not afresh:
            await self._fence.show()


def conflict_not_shown(patch: pytest.MonkeyPatch) -> None:
    """After a 409 the next attempt follows without a look at the epoch."""
    apply = applying.apply

    async def deaf(run: Run, *given: object) -> object:
        return await apply(replace(run, fence=_Deaf(run.fence)), *given)

    patch.setattr(applying, "apply", deaf)


def record_overwritten(patch: pytest.MonkeyPatch) -> None:
    """Records are stored whatever stands there."""
    patch.setattr(records.Records, "is_current", lambda *_: True)


def source_not_read(patch: pytest.MonkeyPatch) -> None:
    """Who takes an Application goes on from what the record says was applied last."""
    check = commits.check

    async def of_record(run: Run, state: State) -> tuple[State, Sequence[Origin]]:
        newest = run.ledger.record.newest
        known = state.desired is not None or newest is None
        return await check(run, state) if known else (replace(state, checked=newest), ())

    patch.setattr(commits, "check", of_record)


def creates_unguarded(patch: pytest.MonkeyPatch) -> None:
    """An object that was not there is applied whatever is there by then."""
    guarded = applying._guarded
    patch.setattr(applying, "_guarded", lambda tree, fact: tree if fact is None else guarded(tree, fact))


def status_not_written(patch: pytest.MonkeyPatch) -> None:
    """A status is written where it differs from the one that the agent saw first, and does not say whose word it is."""
    first: dict[int, Object] = {}
    taken, took = holding.take, Driver._take

    def see(self: Driver, event: WatchEvent) -> None:
        known = set(self._managed)
        took(self, event)
        first.update({id(each): each.found for uid, each in self._managed.items() if uid not in known})

    async def take(ports: object, settings: object, each: managed.ManagedApplication) -> bool:
        there = await taken(ports, settings, each)
        each.reported = status.of_tree(first[id(each)])
        return there

    patch.setattr(Driver, "_take", see)
    patch.setattr(holding, "take", take)
    patch.setattr(status, "signed", lambda each, *_: each)


def source_read_too_early(patch: pytest.MonkeyPatch) -> None:
    """The commit to apply is asked for before the epoch is taken."""
    taken, asked, fetched = holding.take, sources.Git.head, sources.Git.fetch
    found: dict[object, str] = {}

    async def take(ports: Ports, settings: object, each: managed.ManagedApplication) -> bool:
        found[ports.git] = await asked(ports.git, None, None)
        return await taken(ports, settings, each)

    async def head(self: sources.Git, source: object, credential: object, _: object = None) -> str:
        return found.get(self) or await asked(self, source, credential)

    async def fetch(self: sources.Git, source: object, credential: object, _: object = None) -> Revision:
        early = found.pop(self, None)
        return Revision(early, "main", "dev", 0) if early else await fetched(self, source, credential)

    patch.setattr(holding, "take", take)
    patch.setattr(sources.Git, "fetch", fetch)
    patch.setattr(sources.Git, "head", head)


FAULTS: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], str, int]] = {
    "memory is kept after a lapse": (memory_kept, "paused while idle", 1),
    "the epoch is not shown before the first write": (never_shown_at_first, "a newcomer", 1),
    "the epoch is not shown between waves": (never_shown_again, "waiting for a wave", 2),
    "a run is not ended after its agent left": (run_not_ended, "a newcomer that goes again", 2),
    "a 409 is followed by another attempt": (conflict_not_shown, "a newcomer in a run", 2),
    "the record is not taken by compare-and-swap": (record_overwritten, "a newcomer", 2),
    "the source is not read after a take-over": (source_not_read, "paused while idle", 1),
    "an object is created without a precondition": (creates_unguarded, "paused in a run", 2),
    "the status is not written after a take-over": (status_not_written, "a failure that is the old owner's", 1),
    "the source is read before the epoch is taken": (source_read_too_early, "a newcomer beside a commit", 2),
}
"""What is taken away, the story in which that shows, and in how many places its order has to differ."""
