"""One Application under this agent's care: what the driver keeps of it between runs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from agent.api import application as applications
from agent.api import names
from agent.api.status import ApplicationStatus
from agent.engine.causes import Trigger
from agent.engine.live import is_newer
from agent.engine.record import ApplicationRecord
from agent.engine.state import State
from agent.values.errors import AgentError
from agent.values.tree import get, get_object, get_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.api.application import Application
    from agent.controllers.fights import Fight
    from agent.engine.fence import Fence
    from agent.engine.ledger import Ledger
    from agent.engine.outcome import Outcome
    from agent.values.ids import ApplicationId, ObjectId
    from agent.values.tree import Object, Tree

_CONFIRMATIONS = (
    names.ANNOTATION_CONFIRM_PRUNE,
    names.ANNOTATION_CONFIRM_ADDITIONS,
    names.ANNOTATION_CONFIRM_NEW_VALUES,
    names.ANNOTATION_CONFIRM_QUESTIONS,
)


@dataclass(frozen=True, slots=True, eq=False)
class Hold:
    """The right to write for an Application, and its record, both from the epoch that this agent took until that is over."""

    fence: Fence
    ledger: Ledger


@dataclass(slots=True)
class ManagedApplication:
    """What the driver keeps. `application` None: its spec of this `generation` is not valid, for the reason `refusal`.

    `spec` is the spec as it was read: most events are echoes of a status, and it is validated once.

    `hold` is this agent's right to write for it, with which `state` begins and ends, and `since` when that began, in Unix seconds;
    `tenure` counts the holds, so that what belongs to an earlier one can be recognized. `taking` is held while a hold begins, or the record is removed.

    `version` is the resourceVersion of the Application as it was read last, `found` the status in it, `reported` the status that this
    agent computed last; it is `unsaid` while the one that was written last names an earlier commit, and differs in nothing else, and `unwritten`
    while it is still to be written because that failed. `rotated`
    is what the next run refreshes, `probing` whether stores are being asked for that. `drift_seen` is when each drift was seen, in seconds of the monotonic clock. A status is
    computed from `reported` and written while `reporting` is held: of two writes that overtake one another the older would stay.
    """

    id: ApplicationId
    application: Application | None = None
    refusal: AgentError | None = None
    generation: int = 0
    spec: Object = field(default_factory=dict[str, "Tree"])
    version: str = ""
    state: State = field(default_factory=State)
    found: Object = field(default_factory=dict[str, "Tree"])
    reported: ApplicationStatus = field(default_factory=ApplicationStatus)
    unsaid: bool = False
    unwritten: bool = False
    hold: Hold | None = None
    since: float = 0.0
    tenure: int = 0
    taking: asyncio.Lock = field(default_factory=asyncio.Lock)
    outcome: Outcome | None = None
    rotated: frozenset[ObjectId] = frozenset()
    fights: dict[ObjectId, Fight] = field(default_factory=dict["ObjectId", "Fight"])
    drift_seen: dict[ObjectId, float] = field(default_factory=dict["ObjectId", float])
    report_due: bool = False
    probing: bool = False
    reporting: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def record(self) -> ApplicationRecord:
        """The record under this agent's hold; an empty one without."""
        return self.hold.ledger.record if self.hold else ApplicationRecord()

    @property
    def fence(self) -> Fence | None:
        return self.hold.fence if self.hold else None

    @property
    def insisted(self) -> dict[ObjectId, frozenset[str]]:
        """Additions that come back after each removal, by their object."""
        return {key: fight.insisted for key, fight in self.fights.items() if fight.insisted}

    @property
    def held(self) -> bool:
        """Whether this agent may write for it, as far as it knows."""
        return self.hold is not None and self.hold.fence.holds

    def read(self, tree: Object, *, now: bool = False) -> bool:
        """Take in the Application as the API server gave it; whether it is newer than what is known, or was asked for just `now`."""
        version = get_text(tree, "metadata", "resourceVersion")
        if self.version and not now and not is_newer(version, self.version):
            return False
        self.version, self.found = version, get_object(tree, "status")
        generation = get(tree, "metadata", "generation")
        self.generation = generation if isinstance(generation, int) else 0
        before, self.spec = self.spec, get_object(tree, "spec")
        known = self.application.spec if self.application is not None and self.spec == before else None
        try:
            self.application, self.refusal = applications.parse(tree, known), None
        except AgentError as error:
            self.application, self.refusal = None, error.copy()
        return True

    def forget_manifests(self) -> None:
        """Keep of the last run what a status is made of: the next one reads the manifests again."""
        self.state = self.state.without_manifests
        self.forget_outcome()

    def forget_outcome(self) -> None:
        """The same of the last run alone, while another one has a state of its own already."""
        if self.outcome is not None:
            desired = self.outcome.desired
            self.outcome = replace(self.outcome, state=self.state, desired=desired.outline if desired else None)

    def forget_gone(self) -> None:
        """Keep nothing of objects that the record does not have any more."""
        for kept in (self.fights, self.drift_seen):
            for key in kept.keys() - self.record.objects.keys():
                del kept[key]

    def leave(self) -> None:
        """Forget what belonged to a hold that is over."""
        if self.hold is not None:
            self.hold.fence.end()
        self.tenure += 1
        self.hold, self.state, self.outcome, self.drift_seen, self.unwritten = None, State(), None, {}, False


class Names(Mapping[str, str]):
    """The name of each Application by its uid, as they are known at the moment of asking."""

    def __init__(self, managed: Mapping[str, ManagedApplication]) -> None:
        self._managed = managed

    def __getitem__(self, uid: str) -> str:
        return str(self._managed[uid].id)

    def __iter__(self) -> Iterator[str]:
        return iter(self._managed)

    def __len__(self) -> int:
        return len(self._managed)


def changes(before: Application | None, now: Application | None) -> frozenset[Trigger]:
    """What of an Application changed that starts a run."""
    if now is None:
        return frozenset()
    if before is None:
        return frozenset({Trigger.START})
    triggers: set[Trigger] = set()
    if (
        before.generation != now.generation
        or before.deleting != now.deleting
        or any(before.annotations.get(name) != now.annotations.get(name) for name in _CONFIRMATIONS)
    ):
        triggers.add(Trigger.SPEC)
    if before.requested_at != now.requested_at or before.rerun != now.rerun:
        triggers.add(Trigger.REQUEST)
    if before.pushed_at != now.pushed_at:
        triggers.add(Trigger.PUSH)
    return frozenset(triggers)
