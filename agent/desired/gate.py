"""Which commit may an Application run now? Asked after Git named the newest one, and before anything of it is read.

Whatever keeps a commit back says so here, as an error of its own: a WaitsError where that ends by itself. What was let in before stays
applied and is healed meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.values.errors import WaitsError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.values.errors import AgentError


@dataclass(frozen=True, slots=True)
class Version:
    """What is run: a commit, in full, under one generation of the Application's spec."""

    commit: str
    generation: int


@dataclass(frozen=True, slots=True)
class Gate:
    """What may run: the version that was `admitted` last, and whether it is closed for a newer one.

    `waits` pass by themselves, `faults` have to be corrected.
    """

    admitted: Version | None = None
    closed: bool = False
    waits: tuple[WaitsError, ...] = ()
    faults: tuple[AgentError, ...] = ()


def decide(newest: Version, admitted: Version | None, against: Iterable[AgentError]) -> Gate:
    """The gate for the `newest` version, after the one that was `admitted` before.

    `against` is all that speaks against a new version now. One that was let in stays so, also while it cannot be applied: of what speaks
    against it, only faults are said.
    """
    errors = tuple(against)
    waits = tuple(error for error in errors if isinstance(error, WaitsError))
    faults = tuple(error for error in errors if not isinstance(error, WaitsError))
    if newest == admitted:
        return Gate(admitted, faults=faults)
    return Gate(admitted, closed=True, waits=waits, faults=faults) if errors else Gate(newest)
