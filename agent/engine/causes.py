"""Why things happen: what starts a run (Trigger), and why a run touches an object (Cause, with its detail: Why). Their texts are what people see."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal

from agent.values.text import few

if TYPE_CHECKING:
    from collections.abc import Mapping


class Trigger(StrEnum):
    """What starts a run."""

    START = "start"
    """This agent took the Application."""
    SPEC = "spec"
    REQUEST = "request"
    """Requested by annotation."""
    INTERVAL = "interval"
    RETRY = "retry"
    """The last run failed."""
    LIVE = "live"
    """A live object changed."""
    SECRET = "secret"
    """A store has another version of a value."""
    PUSH = "push"
    """A webhook announced a push."""
    COMMIT = "git"
    """Another Application was answered with a newer commit of the same repository."""
    DEPENDENCY = "dependency"
    """An Application that it depends on stands otherwise."""
    WINDOW = "window"
    """A sync window opened that a commit waited for."""

    VARIABLES = "variables"
    """A Secret or ConfigMap that variables are from has other values."""
    RENEWAL = "renewal"
    """A certificate that a chart made up is to be renewed."""


WITHOUT_SOURCE: Final = frozenset({Trigger.LIVE, Trigger.SECRET, Trigger.RENEWAL})
"""What starts a run that does not ask Git for a new commit."""

TAKES_KNOWN: Final = WITHOUT_SOURCE | {
    Trigger.INTERVAL,
    Trigger.RETRY,
    Trigger.WINDOW,
    Trigger.VARIABLES,
    Trigger.COMMIT,
}
"""What starts a run that asks Git only where no other Application did within the interval."""
NEWER: Final = frozenset({Trigger.SPEC, Trigger.REQUEST, Trigger.PUSH, Trigger.COMMIT})
"""What a run that waits without room does not keep waiting. A poll it does, unless that finds another commit."""
OF_A_COMMIT: Final = frozenset({Trigger.COMMIT, Trigger.PUSH})
"""What starts a run for a commit alone. A poll looks at everything."""
OF_GIT: Final = WITHOUT_SOURCE | {Trigger.INTERVAL, Trigger.COMMIT, Trigger.PUSH}
"""What starts a run that asks the cluster for nothing but what changed."""


class Cause(StrEnum):
    """Why an object is touched: the first of these that holds."""

    RERUN = "rerun"
    """Requested to run again."""
    NEW = "new"
    """It was never applied before: a commit or the spec brought it."""
    COMMIT = "commit"
    """The commit changed it, or has it no more."""
    SPEC = "spec"
    """The Application's spec changed, and with it what the same commit asks for."""
    RECORD = "record-lost"
    """There is no record any more of what was applied."""
    SECRET = "secret-source"
    """A store has another version of a value in it. The detail is which, as the audit trail labels secrets."""
    VARIABLES = "variable-source"
    """A Secret or ConfigMap that variables are from has other values."""
    GENERATED = "generated-value"
    """A value that its chart made up is another one: a certificate is renewed, or one was edited where it is kept."""
    ROLL = "roll"
    """What a Secret that it names holds changed. The detail is the Secret."""
    EDIT = "live-edit"
    """It does not stand as it was applied. Who edited it, and which fields, shows when it is healed."""
    DELETION = "live-deletion"
    """It is not there any more."""
    HOOK = "hook"
    """It is a hook of a chart, and runs for what the release holds now, or goes once it ran."""
    RETIREMENT = "application-deletion"
    """Its Application is deleted, and takes its objects along."""

    @property
    def action(self) -> Literal["rerun", "run", "create", "update", "rotate", "roll", "heal"]:
        """What the audit trail calls an apply for this cause."""
        return _ACTIONS.get(self, "update")


_ACTIONS: Final[dict[Cause, Literal["rerun", "run", "create", "update", "rotate", "roll", "heal"]]] = {
    Cause.RERUN: "rerun",
    Cause.HOOK: "run",
    Cause.NEW: "create",
    Cause.SECRET: "rotate",
    Cause.GENERATED: "rotate",
    Cause.ROLL: "roll",
    Cause.EDIT: "heal",
    Cause.DELETION: "heal",
}


@dataclass(frozen=True, slots=True)
class Why:
    """A cause as people see it: `because` names sources of secrets, by their labels, or objects; never a value."""

    cause: Cause
    because: tuple[str, ...] = ()

    @property
    def facts(self) -> Mapping[str, str]:
        return {"because": few(self.because)} if self.because else {}

    def __str__(self) -> str:
        """`commit`, `roll Secret shop/db`."""
        return " ".join([self.cause, *self.facts.values()])


COMMITTED: Final = Why(Cause.COMMIT)
