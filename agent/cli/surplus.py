"""What an Application owns in the cluster and its work tree does not have: what the agent would delete.

Ownership is told by the agent's label and annotation; whether the annotation's proof holds is for the agent to verify.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.adapters.kubernetes.resources import APPLICATION
from agent.cli import terminal
from agent.controllers.tasks import AsyncTasks
from agent.manifests import ownership
from agent.values.errors import ClusterError, ForbiddenError, NotFoundError
from agent.values.ids import ApplicationId, ObjectId
from agent.values.tree import get_text

if TYPE_CHECKING:
    from collections.abc import Collection

    from agent.adapters.kubernetes.cluster import Cluster
    from agent.manifests.kinds import Resource


async def find(
    cluster: Cluster, application: ApplicationId, namespace: str, wanted: Collection[ObjectId]
) -> list[ObjectId]:
    """Raises ClusterError; NotFoundError where the cluster has no such Application."""
    there = await cluster.get(APPLICATION, application.namespace, application.name)
    if there is None:
        raise NotFoundError("the cluster has no such Application", hint="apply it first", application=str(application))
    uid = get_text(there, "metadata", "uid")
    label = ownership.application_label(ApplicationId(application.namespace, application.name, uid))
    unlisted: list[str] = []

    async def of(resource: Resource) -> list[ObjectId]:
        """The Application's own of one kind that pruning would take; a kind that may not be listed is noted."""
        try:
            items = await cluster.list_metadata(
                resource, namespace=namespace, selector=f"{ownership.LABEL_APPLICATION}={label}"
            )
        except ForbiddenError:
            unlisted.append(resource.plural)
            return []
        return [
            ObjectId(
                resource.group,
                resource.kind,
                get_text(item, "metadata", "namespace"),
                get_text(item, "metadata", "name"),
            )
            for item in items
            if f".{uid}." in get_text(item, "metadata", "annotations", ownership.ANNOTATION_OWNER)
            and not ownership.is_prune_disabled(item)
            and not ownership.is_reconcile_disabled(item)
        ]

    kinds = await cluster.kinds()
    asked = [resource for resource in kinds.preferred() if {"list", "delete"} <= resource.verbs]
    found = await AsyncTasks().all([of(resource) for resource in asked])
    if len(unlisted) == len(asked):
        raise ClusterError(
            "you may list nothing, so nobody can tell what would be deleted", hint="bind a role that may"
        )
    if unlisted:
        terminal.warn(f"you may not list these, so none of them is told: {', '.join(sorted(unlisted))}")
    return sorted(key for part in found for key in part if key not in wanted)
