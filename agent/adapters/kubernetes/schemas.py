"""What CustomResourceDefinitions say of the kinds that the agent meets: each is read once for a snapshot of discovery."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agent.adapters.kubernetes.resources import DEFINITION
from agent.manifests import definitions
from agent.values.errors import AgentError

if TYPE_CHECKING:
    from agent.adapters.kubernetes.objects import Objects
    from agent.manifests.kinds import Kinds, Resource


class Schemas:
    """A kind whose definition cannot be read, or that an aggregated apiserver serves, has no conditions as far as is known."""

    def __init__(self, objects: Objects) -> None:
        self._objects: Final = objects
        self._of: Kinds | None = None
        self._known: dict[Resource, bool] = {}

    def renew(self, kinds: Kinds) -> None:
        """Forget what was read before the cluster served these kinds."""
        if kinds is not self._of:
            self._of, self._known = kinds, {}

    async def has_conditions(self, resource: Resource) -> bool:
        """Whether a kind's schema has `status.conditions`."""
        if resource not in self._known:
            try:
                found = await self._objects.get(DEFINITION, "", f"{resource.plural}.{resource.group}")
            except AgentError as error:
                if error.transient:
                    return False
                found = None
            self._known[resource] = found is not None and definitions.has_conditions(found, resource.version)
        return self._known[resource]
