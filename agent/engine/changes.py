"""The change set: what a run will do, as a value. Applying, audit, status, events, detection and `agent diff` read the same one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from agent.engine.causes import COMMITTED, Cause, Why
from agent.engine.guard import NOTHING_WAITS, Guard
from agent.manifests import order
from agent.values.errors import FieldConflictError, HeldError, OwnershipConflictError

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping

    from agent.engine.assembling import Assembled
    from agent.engine.record import ObjectRecord
    from agent.manifests.hooks import Hook, Phase
    from agent.values.errors import AgentError
    from agent.values.ids import ObjectId
    from agent.values.tree import Object

Action: TypeAlias = Literal[
    "rerun", "run", "create", "adopt", "update", "rotate", "roll", "heal", "prune", "leave", "conflict", "hold", "keep"
]
"""What becomes of an object: it is applied, for one of eight reasons; deleted; or left as it is, for one of four."""


@dataclass(frozen=True, slots=True)
class HookRun:
    """A hook that runs for a `content` of the release, empty where that is not known.

    `again`: on request, though it may have run for that. `begun`: it was sent for it before, as far as is recorded.
    """

    hook: Hook
    phase: Phase
    content: str = ""
    again: bool = False
    begun: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One apply, and why. `fields` are the first paths that a commit changed, where the one before is known.

    `met` is what stands where the object is applied for the first time, as the API server gave it. `refusal` is why it cannot be applied
    as things stand. `unread`: what stands there could not be read yet. `left` are the additions of people that stay, by their path, and
    why. `leaves`: what stands already is left to others. `why` is the cause as people see it. `hooked`: the object is a hook of a chart,
    which runs.
    """

    assembled: Assembled
    cause: Cause
    fields: tuple[str, ...] = ()
    met: Object | None = None
    refusal: AgentError | None = None
    unread: bool = False
    left: Mapping[str, str] = field(default_factory=dict[str, str])
    leaves: bool = False
    why: Why = COMMITTED
    hooked: HookRun | None = None

    @property
    def heals(self) -> bool:
        """Whether it puts back what was applied before, and so waits for no hook."""
        return self.cause in {Cause.EDIT, Cause.DELETION}

    @property
    def rolled(self) -> bool:
        """Nothing of the object changed, but a Secret that it names did."""
        return self.cause == Cause.ROLL

    @property
    def action(self) -> Action:
        """What the audit trail calls it."""
        if self.cause == Cause.NEW and self.met is not None:
            return "leave" if self.leaves else "adopt"
        return self.cause.action


def waiting(step: Step, failed: Container[ObjectId]) -> HeldError | None:
    """Why a step cannot be made: an object that it names `failed`, or is refused."""
    need = next((each for each in sorted(order.depends_on(step.assembled.tree)) if each in failed), None)
    if need is None:
        return None
    return HeldError("waits for an object that failed", hint="fix that object first", needs=need)


@dataclass(frozen=True, slots=True)
class Change:
    """One object of a change set. `wave` counts from 0, in the order of applying; `error` says why it is left as it is.

    `cause` is why it is applied.
    """

    object: ObjectId
    action: Action
    wave: int | None = None
    cause: Cause | None = None
    fields: tuple[str, ...] = ()
    rolled: bool = False
    error: AgentError | None = None


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """`confirmed` are objects whose record changes though nothing has to be sent: the same object came of other files or values.

    `kept` would be pruned, and are not for the reason given; `held` are not applied, for the reason given. `gone` are recorded, and only to be
    forgotten. `guard` is recorded before anything is sent.
    """

    waves: tuple[tuple[Step, ...], ...] = ()
    confirmed: Mapping[ObjectId, ObjectRecord] = field(default_factory=dict["ObjectId", "ObjectRecord"])
    pruned: tuple[ObjectId, ...] = ()
    kept: Mapping[ObjectId, AgentError] = field(default_factory=dict["ObjectId", "AgentError"])
    held: Mapping[ObjectId, AgentError] = field(default_factory=dict["ObjectId", "AgentError"])
    gone: frozenset[ObjectId] = frozenset()
    guard: Guard = NOTHING_WAITS

    @property
    def steps(self) -> tuple[Step, ...]:
        return tuple(step for wave in self.waves for step in wave)

    @property
    def empty(self) -> bool:
        return not self.waves and not self.pruned

    @property
    def pending(self) -> frozenset[ObjectId]:
        """What would be applied or deleted."""
        return frozenset((*(step.assembled.id for step in self.steps), *self.pruned))

    def confirming(self, more: Mapping[ObjectId, ObjectRecord]) -> ChangeSet:
        """The same except objects that stand after all."""
        left = (tuple(step for step in wave if step.assembled.id not in more) for wave in self.waves)
        return replace(self, waves=tuple(filter(None, left)), confirmed={**self.confirmed, **more}) if more else self

    def __iter__(self) -> Iterator[Change]:
        """Every object that is changed or left for a reason: by wave, then deletions, then what is left."""
        for wave, steps in enumerate(self.waves):
            for step in steps:
                yield Change(
                    step.assembled.id, _action(step), wave, step.why.cause, step.fields, step.rolled, step.refusal
                )
        yield from (Change(key, "prune") for key in self.pruned)
        yield from (Change(key, "keep", error=error) for key, error in self.kept.items())
        yield from (Change(key, "hold", error=error) for key, error in self.held.items())


def _action(step: Step) -> Action:
    if step.refusal is not None:
        return "conflict" if isinstance(step.refusal, OwnershipConflictError | FieldConflictError) else "hold"
    return step.action
