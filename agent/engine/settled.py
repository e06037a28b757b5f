"""What a run came to that found nothing to do, and whether a later one may say the same without looking at any object again.

A commit of a repository that many share wakes all Applications that follow it. Those whose files it leaves have the same desired state,
record and live objects as before, so every stage behind the compiler would come to what it came to then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.engine.causes import OF_A_COMMIT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.desired.compiler import DesiredState
    from agent.engine.context import Run
    from agent.engine.live import LiveFact
    from agent.engine.polling import Observed
    from agent.engine.record import ApplicationRecord
    from agent.engine.state import State
    from agent.manifests.kinds import Kinds
    from agent.values.ids import ObjectId
    from agent.values.problems import Problem


@dataclass(frozen=True, slots=True)
class Settled:
    """What was `compiled`, and the desired state that the run reported of it; how record, live objects and kinds were then."""

    compiled: DesiredState
    desired: DesiredState
    record: ApplicationRecord
    live: Mapping[ObjectId, LiveFact]
    kinds: Kinds
    seen: frozenset[tuple[str, str]]
    release: Problem | None


def of(run: Run, state: State, desired: DesiredState, seen: Observed, kinds: Kinds) -> Settled | None:
    """After a run that had nothing to do and no problem; None where some of its objects are only seen by reading them."""
    if state.desired is None or seen.warnings:
        return None
    live = run.ports.live.snapshot(run.application_id.uid)
    return Settled(state.desired, desired, run.ledger.record, live, kinds, seen.kinds, state.release)


def again(run: Run, state: State, kinds: Kinds) -> Settled | None:
    """What a run was settled by before, where a commit started this one and everything is as it was."""
    known = state.settled
    if known is None or not run.triggers <= OF_A_COMMIT or run.rotated:
        return None
    if state.unread or state.tried is not None or state.gate.closed or state.gate.waits or state.gate.faults:
        return None
    same = known.compiled is state.desired and known.record is run.ledger.record and known.kinds is kinds
    same = same and known.release is state.release
    return known if same and known.live == run.ports.live.snapshot(run.application_id.uid) else None
