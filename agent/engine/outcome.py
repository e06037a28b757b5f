"""What a run came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.desired.compiler import DesiredState
    from agent.engine.changes import Change
    from agent.engine.results import Result
    from agent.engine.state import State
    from agent.values.errors import WaitsError
    from agent.values.ids import ObjectId, Revision
    from agent.values.problems import Problem


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to, and the state that the next one begins with. `stopped`: something ended it before its end.

    `changes` are without the objects' trees, since an outcome is kept until the next run and no value is; `pending` are the objects that
    detection would have applied or pruned; `seen` the groups and kinds of which all live objects are known, where that was found out. `between`: a round of the run is over, and the next one waits.
    """

    state: State
    desired: DesiredState | None = None
    problems: tuple[Problem, ...] = ()
    changes: tuple[Change, ...] = ()
    results: tuple[Result, ...] = ()
    pending: frozenset[ObjectId] = frozenset()
    stopped: bool = False
    seen: frozenset[tuple[str, str]] | None = None
    between: bool = False

    def left_of(self, rotated: frozenset[ObjectId]) -> frozenset[ObjectId]:
        """Those of the objects with a new value that the run left as they were, for whatever reason: the next run takes them up again."""
        if self.stopped or self.desired is None:
            return rotated
        return rotated & {
            *self.desired.held,
            *self.pending,
            *(each.id for each in self.results if each.error is not None),
        }

    @property
    def revision(self) -> Revision | None:
        return self.desired.revision if self.desired else None

    @property
    def waits(self) -> tuple[WaitsError, ...]:
        """What the newest commit waits for."""
        return self.state.gate.waits

    @property
    def transient(self) -> bool:
        """Whether trying again soon may help without anybody's doing."""
        return any(problem.error.transient for problem in self.problems)
