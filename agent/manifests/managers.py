"""Field managers: which of them are people at a terminal, and not controllers, autoscalers, webhooks or other tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agent.api import names
from agent.values.patterns import name_matches

if TYPE_CHECKING:
    from collections.abc import Iterable

RELEASED: Final = "signet-released"
"""Applies what we apply no longer and leave as it stands, at the live value: a field without a manager would be removed."""


def is_person(manager: str, subresource: str = "", *, people: Iterable[str] = names.PEOPLE) -> bool:
    """Whether an entry of `managedFields` says what a person wrote. `people` are the operator's patterns.

    What goes through a subresource is no edit of the manifest: `kubectl scale` sets replicas as an autoscaler does.
    """
    return not subresource and any(name_matches(pattern, manager) for pattern in people)
