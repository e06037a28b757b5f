"""A bearer token that a test was given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.adapters.kubernetes.credential import bearer

if TYPE_CHECKING:
    from agent.values.secret import Secret


@dataclass(frozen=True, slots=True)
class FixedToken:
    token: Secret

    async def __call__(self, *, refresh: bool) -> Secret | None:
        del refresh
        return bearer(self.token)
