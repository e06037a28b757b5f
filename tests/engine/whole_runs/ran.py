"""What a run came to, as tests ask for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from memory_world.cluster import name_of

if TYPE_CHECKING:
    from agent.api.status import ApplicationStatus
    from agent.engine.changes import Change
    from agent.engine.ports import AuditEntry
    from agent.values.errors import AgentError


@dataclass(frozen=True)
class Ran:
    """What a run came to.

    `writes` are requests to the API server as they were answered, `problems` reasons with their object or file, `pending` what detection
    would have done, `changes` the change set, `audit` the trail's new entries, `messages` those of events, with their reasons, `status` that of the Application, `ended_by` what
    ended the whole run.
    """

    writes: list[str]
    problems: list[str]
    warnings: list[str]
    pending: list[str]
    audit: list[AuditEntry]
    events: list[str]
    messages: list[str]
    status: ApplicationStatus
    errors: list[AgentError]
    changes: tuple[Change, ...]
    reads: list[str]
    opened: list[str]
    ended_by: str = ""

    @property
    def quiet(self) -> bool:
        """Whether nothing was written and nothing is wrong."""
        return not self.writes and not self.problems and not self.ended_by

    @property
    def causes(self) -> dict[str, str]:
        """Why each object was touched."""
        return {name_of(each.object): each.cause for each in self.audit if each.phase == "intent" and each.object}

    @property
    def actions(self) -> dict[str, str]:
        """What became of each object that was touched: the action, and behind it the reason where it failed."""
        return {
            name_of(each.object): each.action + ("" if each.result == "ok" else f": {each.result}")
            for each in self.audit
            if each.phase == "outcome" and each.object
        }

    @property
    def ready(self) -> str:
        """The condition's reason."""
        return next(each.reason for each in self.status.conditions if each.type == "Ready")

    def outcome_of(self, name: str) -> AuditEntry:
        (found,) = [e for e in self.audit if e.phase == "outcome" and e.object and name_of(e.object) == name]
        return found

    def error_of(self, name: str) -> AgentError:
        """The error of an object or a file."""
        return next(error for error, text in zip(self.errors, self.problems, strict=True) if text.endswith(f" {name}"))
