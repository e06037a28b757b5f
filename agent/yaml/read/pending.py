"""Comments on their way from the gap they stand in to the event that takes them.

What follows takes what is above it. Where a map or list ends between the two, it takes what is below its last entry, as far as that is
indented as it is; nothing ends by the heads of what follows.
"""

from __future__ import annotations

from collections import deque

from agent.values.dataclass import dataclass, field
from agent.yaml.nodes import Comment
from agent.yaml.read.comments import EARLY, Run


@dataclass(slots=True)
class Held:
    """Comments for one event."""

    head: list[Comment] = field(default_factory=list[Comment])
    line: list[Comment] = field(default_factory=list[Comment])
    foot: list[Comment] = field(default_factory=list[Comment])

    def __bool__(self) -> bool:
        return bool(self.head or self.line or self.foot)

    @property
    def all(self) -> list[Comment]:
        """In the order of their kinds."""
        return [*self.head, *self.line, *self.foot]


class Pending:
    """The comments that belong to an event which is still to come."""

    def __init__(self) -> None:
        self._held = Held()
        self._runs: deque[Run] = deque()
        self._gap: list[Run] = []
        self._mark, self._late = EARLY, False
        self._above_dash = 0

    def __bool__(self) -> bool:
        return bool(self._runs or self._held)

    def gap(self) -> None:
        """A gap begins."""
        self._above_dash = 0
        if not self._runs:
            self._gap.clear()
            self._mark, self._late = EARLY, False

    def see(self, run: Run) -> None:
        """The next run of the gap, though it be of the event above."""
        self._gap.append(run)
        if not run.above:
            self._runs.append(run)

    def dash(self) -> None:
        """An item begins: the heads above its dash are those of a map or list in it, and not of its first entry."""
        self.reach()
        self._above_dash = len(self._held.head)

    def reach(self) -> None:
        """Something begins, which takes all that is above it."""
        for run in self._runs:
            self._hold(run)
        self._runs.clear()

    def end(self, column: int, follows: int) -> None:
        """A block ends: the feet before that place are its own. It ends before the first run that is indented as it is.

        `follows` is the column of what follows; where a document ends with its block, the block ends there.
        """
        if column <= follows and not self._late:
            self._mark, self._late = self._gap[-1].begin if self._gap else EARLY, True
        self._mark = next((run.begin for run in self._gap if run.column == column), self._mark)
        while self._runs and self._runs[0].foot and self._runs[0].place <= self._mark:
            self._hold(self._runs.popleft())

    def take(self) -> Held:
        """What an event takes."""
        if not self._held:
            return _NOTHING
        taken, self._held = self._held, Held()
        return taken

    def take_above_dash(self) -> list[Comment]:
        """What a map or list takes that begins behind a dash."""
        taken = self._held.head[: self._above_dash]
        del self._held.head[: self._above_dash]
        self._above_dash = 0
        return taken

    def below_document(self, comments: list[Comment]) -> None:
        """What is below a document's own map, or has nothing above it."""
        self._held.foot += comments

    def _hold(self, run: Run) -> None:
        held = self._held
        (held.line if run.line else held.foot if run.foot else held.head).extend(run.comments)


_NOTHING = Held()
