"""The operator's `destinations`: which namespaces an Application may write into besides its own, and as whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from agent.api.fields import NamePattern, NamespaceName
from agent.api.model import Model
from agent.values.patterns import name_matches

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.values.ids import ApplicationId

ActsAs: TypeAlias = Literal["serviceAccount", "agent"]


class DestinationGrant(Model):
    """Lets Applications reach further than their own namespace."""

    application_namespace: NamespaceName
    """Namespace of the Applications that this serves."""
    application_name: NamePattern = "*"
    """Which of its Applications."""
    namespaces: tuple[NamePattern, ...] = ()
    """Further namespaces that these Applications may write into: `spec.destination.namespace`, `spec.targetNamespace` and
    `spec.destination.namespaces` may name them."""
    identity: ActsAs = "serviceAccount"
    """`serviceAccount` acts as the Application's ServiceAccount, which needs a RoleBinding there. `agent` acts as the agent
    itself: anyone who may write the Application or its repository then has the agent's rights."""

    def serves(self, application: ApplicationId) -> bool:
        """Whether this grant is for the Application."""
        return application.namespace == self.application_namespace and name_matches(
            self.application_name, application.name
        )


def identity(grants: Iterable[DestinationGrant], application: ApplicationId, namespace: str) -> ActsAs | None:
    """As whom the Application may write into a namespace; None where it may not. Its own namespace needs no grant."""
    own = namespace == application.namespace
    reaching = {
        grant.identity
        for grant in grants
        if grant.serves(application) and (own or any(name_matches(pattern, namespace) for pattern in grant.namespaces))
    }
    return "agent" if "agent" in reaching else "serviceAccount" if reaching or own else None


def reach(grants: Iterable[DestinationGrant], application: ApplicationId, acts_as: ActsAs) -> tuple[str, ...]:
    """Patterns of the namespaces that the Application may write into as `acts_as`. The agent's own rights reach no further than their grants."""
    given = [grant for grant in grants if grant.serves(application) and acts_as in {"serviceAccount", grant.identity}]
    own = (application.namespace,) if given or acts_as == "serviceAccount" else ()
    return (*own, *(pattern for grant in given for pattern in grant.namespaces))
