"""What became of each step of a plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.values.errors import LeaseLostError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.engine.live import LiveFact
    from agent.engine.record import ObjectRecord
    from agent.manifests.fields import Writer
    from agent.values.errors import AgentError
    from agent.values.ids import ObjectId


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one step or prune: an error, or the fact and record of the object as it stands now.

    `fields` are what was put right, `writer` who had changed it, `removed` what people had added.
    """

    id: ObjectId
    action: str
    error: AgentError | None = None
    fact: LiveFact | None = None
    record: ObjectRecord | None = None
    fields: tuple[str, ...] = ()
    writer: Writer | None = None
    removed: tuple[str, ...] = ()


def stop_if_lease_lost(results: Iterable[Result]) -> None:
    """Another agent has the Application now: its run goes on from here. Raises LeaseLostError."""
    for result in results:
        if isinstance(result.error, LeaseLostError):
            raise result.error
