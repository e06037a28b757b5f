"""What became of each step of a plan."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from agent.values.errors import LeaseLostError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.engine.causes import Why
    from agent.engine.live import LiveFact
    from agent.engine.record import ObjectRecord
    from agent.manifests.fields import Writer
    from agent.values.errors import AgentError
    from agent.values.ids import ObjectId


class Answer(StrEnum):
    """What the API server's answer came to, where it was no error."""

    OK = "ok"
    UNCHANGED = "unchanged"
    """The object stood like this already."""
    DELETING = "deleting"
    """A finalizer keeps it for now."""
    GONE = "gone"
    """There was nothing to delete."""
    HANDED_OVER = "handed-over"
    """It is another Application's by now."""
    NOT_OURS = "not-ours"
    """Nothing proves any more that it is ours."""
    NEVER_MADE = "never-made"
    """Its first apply was begun, and no more is known of it."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one step or prune: an error, or the fact and record of the object as it stands now.

    `fields` are what was put right, `writer` who had changed it, `removed` what people had added. A record beside an error is of an object
    that was deleted to be replaced, and is not there.
    """

    id: ObjectId
    action: str
    error: AgentError | None = None
    fact: LiveFact | None = None
    record: ObjectRecord | None = None
    fields: tuple[str, ...] = ()
    writer: Writer | None = None
    removed: tuple[str, ...] = ()
    answer: Answer = Answer.OK
    why: Why | None = None

    @property
    def text(self) -> str:
        """As the trail and the log have it."""
        return self.error.reason if self.error is not None else self.answer

    @property
    def wrote(self) -> bool:
        """Whether something was changed, or is not there any more, by this step."""
        return self.error is None and self.answer == Answer.OK and self.action != "leave"


def stop_if_lease_lost(results: Iterable[Result]) -> None:
    """Another agent has the Application now: its run goes on from here. Raises LeaseLostError."""
    for result in results:
        if isinstance(result.error, LeaseLostError):
            raise result.error
