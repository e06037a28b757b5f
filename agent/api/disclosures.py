"""Which variables with sealed values the operator lets Applications make clear text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from agent.api.fields import NamePattern, NamespaceName
from agent.api.model import Model
from agent.values.patterns import name_matches

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.api.application import Application


class DisclosureGrant(Model):
    """Variables that Applications may disclose."""

    application_namespace: NamespaceName
    """Namespace of the Applications that this serves."""
    application_name: NamePattern = "*"
    """Which of its Applications."""
    variables: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z_*][A-Za-z0-9_*]*$")], ...],
        Field(min_length=1, max_length=256),
    ]
    """Names of the variables, in which `*` stands for any run of characters."""

    def serves(self, namespace: str, name: str, variable: str) -> bool:
        """Whether this grant is for a variable of the Application."""
        return (
            namespace == self.application_namespace
            and name_matches(self.application_name, name)
            and any(name_matches(pattern, variable) for pattern in self.variables)
        )


def of(grants: Iterable[DisclosureGrant], application: Application) -> frozenset[str]:
    """The variables that an Application asks to disclose, and may."""
    asked = application.spec.substitute.disclose if application.spec.substitute else ()
    key = application.id
    return frozenset(each for each in asked if any(grant.serves(key.namespace, key.name, each) for grant in grants))
