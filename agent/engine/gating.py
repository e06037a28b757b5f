"""Asking the gate whether the newest commit may run. The rules are pure; here is where each finds what it judges by."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent.desired import dependencies, gate
from agent.desired.gate import Version

if TYPE_CHECKING:
    from agent.engine.context import Run
    from agent.engine.state import State


def ask(run: Run, state: State) -> State:
    """The state with the gate for the commit that was `checked`.

    A run that does not ask Git leaves a closed gate as it was: it takes no other commit, and does not tell of one as if it ran.
    """
    newest = state.checked
    if newest is None or (state.gate.closed and not run.checks_source):
        return state
    record = run.ledger.record
    admitted = state.gate.admitted
    if admitted is None and record.newest is not None:
        admitted = Version(record.newest.commit, record.generation)
    against = dependencies.check(run.application, newest, run.neighbours, run.grants.dependencies)
    return replace(state, gate=gate.decide(Version(newest.commit, run.application.generation), admitted, against))
