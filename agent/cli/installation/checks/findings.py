"""What a check found, and what to do about it."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from agent.values.dataclass import dataclass
from agent.values.errors import ForbiddenError

if TYPE_CHECKING:
    from agent.values.errors import AgentError


class Result(Enum):
    """`UNKNOWN` is what could not be looked at, by this user or from this place."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the table. `cure` says what to do, unless all is well."""

    check: str
    subject: str
    result: Result
    what: str
    cure: str = ""

    def as_json(self) -> dict[str, str]:
        return {
            "check": self.check,
            "subject": self.subject,
            "result": self.result.value,
            "what": self.what,
            "cure": self.cure,
        }


def of_error(check: str, subject: str, error: AgentError) -> Finding:
    """What an error means for a check: a user's missing right says nothing about the installation."""
    result = Result.UNKNOWN if isinstance(error, ForbiddenError) else Result.FAILED
    return Finding(check, subject, result, error.message, error.hint)
