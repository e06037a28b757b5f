"""Whether a ServiceAccount is there. RBAC answers for one that is not as for one without rights, and what has to be done is not the same."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from agent.adapters.kubernetes import paths
from agent.adapters.kubernetes.errors import NO_RIGHT, Call
from agent.adapters.kubernetes.resources import SERVICE_ACCOUNT
from agent.values.errors import AgentError, ForbiddenError
from agent.values.ids import ObjectId

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agent.engine.ports import Identity

    Get = Callable[[Call, str], Awaitable[int]]
    """The code of the answer to a GET of a path."""

_KNOWN_SECONDS: Final = 2.0
"""Every object of a run may be refused: one question serves for all of them."""


class Accounts:
    def __init__(self) -> None:
        self._missing: dict[Identity, tuple[float, bool]] = {}

    async def explained(self, error: ForbiddenError, identity: Identity, get: Get) -> ForbiddenError:
        """The same error, or the one that says that there is no such ServiceAccount."""
        if error.message != NO_RIGHT or not await self._is_missing(identity, get):
            return error
        return absent().with_facts(**error.facts)

    async def _is_missing(self, identity: Identity, get: Get) -> bool:
        now = time.monotonic()
        self._missing = {each: found for each, found in self._missing.items() if found[0] > now - _KNOWN_SECONDS}
        if identity not in self._missing:
            self._missing[identity] = now, await _is_missing(identity, get)
        return self._missing[identity][1]


def absent() -> ForbiddenError:
    return ForbiddenError(
        "the ServiceAccount that the Application acts as does not exist",
        hint="create it and bind a role to it, as deploy/tenant.yaml does; or name another in spec.destination.serviceAccount",
    )


async def _is_missing(identity: Identity, get: Get) -> bool:
    account = ObjectId("", "ServiceAccount", identity.namespace, identity.service_account)
    path = paths.item(SERVICE_ACCOUNT, identity.namespace, identity.service_account)
    try:
        return await get(Call("GET", "get", account), path) == 404
    except AgentError:
        return False  # not to be known: what RBAC said stands
