"""Asking the gate whether the newest commit may run. The rules are pure; here is where each finds what it judges by."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent.desired import dependencies, gate, windows
from agent.desired.gate import Version

if TYPE_CHECKING:
    from agent.engine.context import Run
    from agent.engine.state import State
    from agent.values.errors import WaitsError


async def ask(run: Run, state: State) -> State:
    """The state with the gate for the commit that was `checked`.

    A run that does not ask Git, or did in an earlier round, leaves a closed gate as it was: it takes no other commit, and reports none as if
    it ran. Where nothing is applied, a window holds back nothing: the commit is compared, and waits for the window once the Application applies again.
    """
    newest = state.checked
    if newest is None or run.rounds.resumed or (state.gate.closed and not run.checks_source):
        return state
    version = Version(newest.version, fingerprint(run))
    admitted = state.gate.admitted or _recorded(run, version)
    compares = run.application.spec.sync.mode == "detect"
    waits: tuple[WaitsError, ...] = ()
    against = dependencies.check(run.application, newest, run.neighbours, run.grants.dependencies)
    sets = [each for each in (run.grants.windows, run.application.spec.sync_windows) if each]
    if sets and version != admitted:
        now = run.ports.clock.now()
        waits = await run.ports.tasks.in_thread(lambda: windows.check(sets, now))
    against = against if compares else (*against, *waits)
    decided = gate.decide(version, admitted, against, only_compared=compares and bool(waits))
    known = state.compiled
    if decided.closed and known is not None and Version(known.commit, known.asked) == version:
        state = replace(state, compiled=None)  # it was compared, and is not let in
    return replace(state, gate=decided)


def fingerprint(run: Run) -> str:
    """Of what the spec asks of a commit."""
    return run.fingerprints.desired.text(gate.asked(run.application.spec))


def same_spec(run: Run) -> bool:
    """Whether the spec asks of a commit what it asked of the one that was recorded last."""
    record = run.ledger.record
    return record.generation == run.application.generation or record.asked == fingerprint(run)


def _recorded(run: Run, now: Version) -> Version | None:
    """What was let in before this agent took the Application, as far as it was begun. An earlier record says of what generation it is."""
    record = run.ledger.record
    if record.newest is None:
        return None
    same = record.generation == run.application.generation
    return Version(record.newest.version, record.asked or (now.asks if same else ""))
