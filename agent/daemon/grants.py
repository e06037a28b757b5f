"""What the operator lets an Application do, out of the operator's file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.api import destinations, disclosures
from agent.desired import cautions
from agent.engine.context import Grants
from agent.engine.ports import Identity
from agent.manifests.sealed_secrets import Unsealing
from agent.manifests.sinks import AllowedSinks
from agent.values.errors import ForeignNamespaceError

if TYPE_CHECKING:
    from collections.abc import Collection

    from agent.api.application import Application
    from agent.api.operator import OperatorSettings


def unsealing(settings: OperatorSettings) -> Unsealing | None:
    """How SealedSecrets are unsealed; None where all of them are left to their controller."""
    given = settings.sealed_secrets
    return Unsealing(given.cluster_wide, given.namespaces) if given.keys else None


def sinks(settings: OperatorSettings, asked: Collection[str] = ()) -> AllowedSinks:
    """Where secrets may stand; `asked` is what an Application's `spec.secrets.allow` has."""
    given = settings.sinks
    return AllowedSinks(
        config_maps=given.config_maps and "ConfigMap" in asked,
        env=given.env and "Env" in asked,
        args=given.args and "Args" in asked,
        custom_fields=frozenset((item.group, item.kind, item.path) for item in given.custom_resources),
    )


def of(settings: OperatorSettings, application: Application) -> Grants:
    """Who an Application acts as and where its secrets may stand. Raises ForeignNamespaceError for a destination not granted."""
    acts_as = destinations.identity(settings.destinations, application.id, application.namespace)
    if acts_as is None:
        raise ForeignNamespaceError(
            "the Application may not deploy into this namespace",
            hint="the operator can grant it with `destinations` in the operator's file",
            field="spec.targetNamespace" if application.spec.target_namespace else "spec.destination.namespace",
            namespace=application.namespace,
        )
    return Grants(
        None
        if acts_as == "agent"
        else Identity(application.id.namespace, application.spec.destination.service_account),
        sinks(settings, application.spec.secrets.allow),
        unsealing(settings),
        cautions.strictness(settings, application),
        settings.field_managers.people,
        settings.dependencies_of(application.id.namespace),
        settings.git.signatures,
        disclosures.of(settings.disclosures, application),
        settings.windows_of(application.id.namespace, application.id.name),
        remote_bases=settings.git.remote_bases,
        artifact_signatures=settings.oci.signatures,
        destinations=destinations.reach(settings.destinations, application.id, acts_as),
    )
