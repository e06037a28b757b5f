"""Why things happen: what starts a run (Trigger), and why a run touches an object (Cause). Their texts are what status and audit say."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal


class Trigger(StrEnum):
    """What starts a run."""

    START = "start"
    """This agent took the Application."""
    SPEC = "spec"
    REQUEST = "request"
    """Somebody asked by annotation."""
    INTERVAL = "interval"
    RETRY = "retry"
    """The last run failed."""
    LIVE = "live"
    """A live object changed."""
    SECRET = "secret"
    """A store has another version of a value."""


WITHOUT_SOURCE: Final = frozenset({Trigger.LIVE, Trigger.SECRET})
"""What starts a run that does not ask Git for a new commit."""


class Cause(StrEnum):
    """Why an object is touched: the first of these that holds."""

    RERUN = "rerun"
    """Somebody asked to run it again."""
    NEW = "new"
    """It was never applied before."""
    GIT = "git"
    """The commit changed it."""
    SECRET = "secret"
    """A store has another version of a value in it."""
    LIVE = "live"
    """It does not stand as it was applied."""

    @property
    def action(self) -> Literal["rerun", "create", "update", "rotate", "heal"]:
        """What the audit trail calls an apply for this cause."""
        return _ACTIONS[self]


_ACTIONS: Final[dict[Cause, Literal["rerun", "create", "update", "rotate", "heal"]]] = {
    Cause.RERUN: "rerun",
    Cause.NEW: "create",
    Cause.GIT: "update",
    Cause.SECRET: "rotate",
    Cause.LIVE: "heal",
}
