"""Removing what there is of an installation, in an order in which nothing is put back and no object of an Application goes."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from agent.adapters.kubernetes.resources import APPLICATION, POD, WORKLOADS
from agent.api import names
from agent.installation import objects
from agent.installation.choices import Choices, Mode
from agent.values.dataclass import dataclass
from agent.values.errors import ClusterError
from agent.values.tree import get, get_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.adapters.kubernetes.cluster import Cluster
    from agent.manifests.kinds import Resource
    from agent.values.tree import Object

_SECONDS: Final = 120.0
_PAUSE_SECONDS: Final = 0.3
_PODS: Final = "app.kubernetes.io/name=signet"


@dataclass(frozen=True, slots=True)
class Standing:
    """An object of the installation that the cluster has."""

    resource: Resource
    namespace: str
    name: str
    uid: str


async def standing(cluster: Cluster, namespace: str) -> list[Standing]:
    """What there is of an installation, whatever its choices were, in the order in which it is removed."""
    kinds = await cluster.kinds(fresh=True)
    everything = Choices(namespace=namespace, mode=Mode.DEPLOYMENT, available=True, monitored=True, webhooks=True)
    manifests = [*objects.of(everything), *objects.of(Choices(namespace=namespace, mode=Mode.DAEMON_SET))[-1:]]
    found: list[Standing] = []
    for manifest in reversed(manifests):
        resource = kinds.served(get_text(manifest, "apiVersion"), get_text(manifest, "kind"))
        if resource is None:
            continue
        place = get_text(manifest, "metadata", "namespace"), get_text(manifest, "metadata", "name")
        live = await cluster.get_metadata(resource, *place)
        if live is not None:
            found.append(Standing(resource, *place, get_text(live, "metadata", "uid")))
    return sorted(found, key=lambda each: each.resource not in WORKLOADS)


async def remove(cluster: Cluster, each: Standing, applications: Sequence[Object]) -> None:
    """Delete one. A workload is gone when its agents have ended; a definition goes once its Applications hold nothing back."""
    if each.resource.kind == "CustomResourceDefinition":
        await _release(cluster, applications)
    _ = await cluster.delete(each.resource, each.namespace, each.name, uid=each.uid, resource_version="", identity=None)
    if each.resource in WORKLOADS:
        await _stopped(cluster, each.namespace)


async def _stopped(cluster: Cluster, namespace: str) -> None:
    """Wait until no agent runs: it would put back what is removed from Applications."""
    until = time.monotonic() + _SECONDS
    while pods := await cluster.list_metadata(POD, namespace=namespace, selector=_PODS):
        if time.monotonic() > until:
            raise ClusterError(
                "the agent's pods do not end", hint="look at their node, then run this again", pods=len(pods)
            )
        await asyncio.sleep(_PAUSE_SECONDS)


async def _release(cluster: Cluster, applications: Sequence[Object]) -> None:
    """Take the agent's finalizer off, so that Applications go without their objects."""
    for each in applications:
        finalizers = get(each, "metadata", "finalizers")
        if isinstance(finalizers, list) and names.FINALIZER in finalizers:
            path = f"/metadata/finalizers/{finalizers.index(names.FINALIZER)}"
            taken: list[Object] = [
                {"op": "test", "path": path, "value": names.FINALIZER},
                {"op": "remove", "path": path},
            ]
            place = get_text(each, "metadata", "namespace"), get_text(each, "metadata", "name")
            _ = await cluster.json_patch(APPLICATION, *place, taken)
