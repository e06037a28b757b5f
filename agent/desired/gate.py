"""Which commit may an Application run now? Asked after Git named the newest one, and before anything of it is read.

Whatever keeps a commit back says so here, as an error of its own: a WaitsError where that ends by itself. What was let in before stays
applied and is healed meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.values.errors import WaitsError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.api.application import ApplicationSpec
    from agent.values.errors import AgentError


@dataclass(frozen=True, slots=True)
class Version:
    """What is run: a commit, in full, and a fingerprint of what the Application's spec `asks` of it."""

    commit: str
    asks: str


_BESIDE: Final = {"depends_on", "deletion_policy", "interval", "prune", "suspend", "sync", "sync_windows"}


def asked(spec: ApplicationSpec) -> str:
    """Everything of a spec that decides what a commit means, as one text: what else it says holds as soon as it is said.

    Defaults are left out, so that a field of a newer version changes no text.
    """
    return spec.model_dump_json(exclude=_BESIDE, exclude_defaults=True)


@dataclass(frozen=True, slots=True)
class Gate:
    """What may run: the version that was `admitted` last, and whether it is closed for a newer one.

    `waits` pass by themselves, `faults` have to be corrected.
    """

    admitted: Version | None = None
    closed: bool = False
    waits: tuple[WaitsError, ...] = ()
    faults: tuple[AgentError, ...] = ()

    @property
    def until(self) -> float | None:
        """When to ask again though nothing happens, in Unix seconds."""
        return min((each.until for each in self.waits if each.until is not None), default=None)


def decide(
    newest: Version, admitted: Version | None, against: Iterable[AgentError], *, only_compared: bool = False
) -> Gate:
    """The gate for the `newest` version, after the one that was `admitted` before.

    `against` is all that speaks against a new version now. One that was let in stays so, also while it cannot be applied: of what speaks
    against it, only faults are said. `only_compared`: the newest one is read and compared, and not let in.
    """
    errors = tuple(against)
    waits = tuple(error for error in errors if isinstance(error, WaitsError))
    faults = tuple(error for error in errors if not isinstance(error, WaitsError))
    if newest == admitted:
        return Gate(admitted, faults=faults)
    if errors:
        return Gate(admitted, closed=True, waits=waits, faults=faults)
    return Gate(admitted if only_compared else newest)
