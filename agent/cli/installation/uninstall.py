"""`agent uninstall`: remove the agent, and say what stays."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from agent.adapters.kubernetes.resources import APPLICATION, POD, WORKLOADS
from agent.api import names
from agent.cli import terminal
from agent.cli.cluster import connection
from agent.installation import objects
from agent.installation.objects import Choices, Mode
from agent.values.dataclass import dataclass
from agent.values.errors import AgentError, ClusterError
from agent.values.tree import get, get_text

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from agent.adapters.kubernetes.cluster import Cluster
    from agent.manifests.kinds import Resource
    from agent.values.tree import Object

_DESCRIPTION = """\
Remove the agent: its workload first, then its roles and policies. Nothing that Applications applied is deleted. By default everything
stays that a later installation needs to go on where this one ended: the namespace with the installation key, the records and the operator's
file, the CustomResourceDefinition, and the Applications.

--all removes these too. Applications then go without deleting their objects, whatever their deletionPolicy says, and a later installation
cannot prove any more what it owns: it has to adopt all objects.

Without --yes it lists what goes and what stays, and asks.

exit codes: 0 removed, 1 not confirmed, 2 the cluster could not be asked or refused something
"""
_EXAMPLES = """\
examples:
  agent uninstall                  what goes, what stays, then a question
  agent uninstall --yes
  agent uninstall --all --yes      the namespace, its keys, the definition and all Applications too
"""
_SECONDS: Final = 120.0
_PAUSE_SECONDS: Final = 0.3
_KEPT: Final = {"Namespace", "CustomResourceDefinition"}
_PODS: Final = "app.kubernetes.io/name=signet"


@dataclass(frozen=True, slots=True)
class _Standing:
    resource: Resource
    namespace: str
    name: str
    uid: str


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = _DESCRIPTION
    parser.epilog = _EXAMPLES
    parser.add_argument(
        "-n", "--namespace", default=objects.NAMESPACE, help="of the agent itself (default: %(default)s)"
    )
    parser.add_argument("--all", action="store_true", help="its namespace, keys and records, and all Applications too")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    connection.add_options(parser)


def run(args: argparse.Namespace) -> int:
    try:
        return asyncio.run(_uninstall(args))
    except AgentError as error:
        terminal.error(error)
        return 2


async def _uninstall(args: argparse.Namespace) -> int:
    settings = connection.settings(args.kubeconfig, args.context)
    async with connection.connect(settings) as cluster:
        standing = await _standing(cluster, args.namespace)
        going = [each for each in standing if args.all or each.resource.kind not in _KEPT]
        served = any(each.resource.kind == "CustomResourceDefinition" for each in standing)
        applications: Sequence[Object] = await cluster.list(APPLICATION) if served else ()
        _say(standing, going, len(applications), everything=args.all)
        if not going or not (args.yes or terminal.confirmed("remove the agent?")):
            return 0 if not going else 1
        for each in going:
            if each.resource.kind == "CustomResourceDefinition":
                await _release(cluster, applications)
            _ = await cluster.delete(
                each.resource, each.namespace, each.name, uid=each.uid, resource_version="", identity=None
            )
            terminal.line(f"removed {each.resource.kind} {each.name}")
            if each.resource in WORKLOADS:
                await _stopped(cluster, args.namespace)
    return 0


async def _standing(cluster: Cluster, namespace: str) -> list[_Standing]:
    """What there is of an installation, whatever its choices were, in the order in which it is removed."""
    kinds = await cluster.kinds(fresh=True)
    found: dict[tuple[str, str], _Standing] = {}
    for mode in (Mode.DEPLOYMENT, Mode.DAEMON_SET):
        for manifest in reversed(objects.of(Choices(namespace=namespace, mode=mode, available=True, monitored=True))):
            resource = kinds.served(get_text(manifest, "apiVersion"), get_text(manifest, "kind"))
            if resource is None:
                continue
            place = get_text(manifest, "metadata", "namespace"), get_text(manifest, "metadata", "name")
            live = await cluster.get_metadata(resource, *place)
            if live is not None:
                found[resource.kind, place[1]] = _Standing(resource, *place, get_text(live, "metadata", "uid"))
    return sorted(found.values(), key=lambda each: each.resource not in WORKLOADS)


def _say(standing: Sequence[_Standing], going: Sequence[_Standing], applications: int, *, everything: bool) -> None:
    rows = [("goes" if each in going else "stays", each.resource.kind, each.name) for each in standing]
    terminal.table(("", "KIND", "NAME"), rows)
    fate = "go; the objects that they applied stay" if everything else "and the objects that they applied stay"
    terminal.line(f"Applications: {applications}, {fate}" if rows else "nothing is installed")


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
