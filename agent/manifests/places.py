"""Which namespaces the objects of an Application may go to, and which one an object goes to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.values.errors import ForeignNamespaceError
from agent.values.patterns import name_matches

if TYPE_CHECKING:
    from agent.api.application import Application

EVERYWHERE = ("*",)


@dataclass(frozen=True, slots=True)
class Places:
    """Where objects go: those that name no namespace to the `default` one, and to no other one unless both sides allow it.

    `asked` are patterns of the Application, `granted` those of the operator. `only`: every namespaced object goes to the default one.
    """

    default: str
    asked: tuple[str, ...] = ()
    granted: tuple[str, ...] = ()
    only: bool = False

    def of(self, named: str) -> str:
        """Where an object goes that names a namespace, or none."""
        return self.default if self.only or not named else named

    def grants(self, namespace: str) -> bool:
        """Whether the operator lets the Application write into a namespace."""
        return namespace == self.default or any(name_matches(pattern, namespace) for pattern in self.granted)

    def allows(self, namespace: str) -> bool:
        """Whether an object may go there."""
        return self.refusal(namespace) is None

    def refusal(self, namespace: str) -> ForeignNamespaceError | None:
        """Why an object may not go there; None where it may."""
        if namespace == self.default:
            return None
        if not any(name_matches(pattern, namespace) for pattern in self.asked):
            return ForeignNamespaceError(
                "the object's namespace is not the Application's destination",
                hint="change metadata.namespace, or name the namespace in spec.destination.namespaces; the operator grants it",
                namespace=namespace,
            )
        if not self.grants(namespace):
            return ForeignNamespaceError(
                "the operator does not let the Application write into this namespace",
                hint="the operator can grant it with `destinations` in the operator's file",
                namespace=namespace,
            )
        return None


def of_application(application: Application, granted: tuple[str, ...]) -> Places:
    """Those of an Application. Its default namespace is granted before a run begins."""
    spec = application.spec
    return Places(application.namespace, spec.destination.namespaces, granted, only=spec.target_namespace is not None)
