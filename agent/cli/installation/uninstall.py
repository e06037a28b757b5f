"""`agent uninstall`: remove the agent, and say what stays."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from agent.cli import terminal
from agent.values.errors import AgentError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from agent.cli.installation.removal import Standing


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
_KEPT: Final = {"Namespace", "CustomResourceDefinition"}


def configure(parser: argparse.ArgumentParser) -> None:
    from agent.cli.cluster import connection
    from agent.installation.choices import NAMESPACE

    parser.description = _DESCRIPTION
    parser.epilog = _EXAMPLES
    parser.add_argument("-n", "--namespace", default=NAMESPACE, help="of the agent itself (default: %(default)s)")
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
    from agent.adapters.kubernetes.resources import APPLICATION
    from agent.cli.cluster import connection
    from agent.cli.installation import removal

    settings = connection.settings(args.kubeconfig, args.context)
    async with connection.connect(settings) as cluster:
        standing = await removal.standing(cluster, args.namespace)
        going = [each for each in standing if args.all or each.resource.kind not in _KEPT]
        served = any(each.resource.kind == "CustomResourceDefinition" for each in standing)
        applications = await cluster.list(APPLICATION) if served else ()
        _say(standing, going, len(applications), everything=args.all)
        if not going:
            return 0
        if not args.yes and not terminal.confirmed("remove the agent?"):
            return 1
        for each in going:
            await removal.remove(cluster, each, applications)
            terminal.line(f"removed {each.resource.kind} {each.name}")
    return 0


def _say(standing: Sequence[Standing], going: Sequence[Standing], applications: int, *, everything: bool) -> None:
    rows = [("goes" if each in going else "stays", each.resource.kind, each.name) for each in standing]
    terminal.table(("", "KIND", "NAME"), rows)
    fate = "go; the objects that they applied stay" if everything else "and the objects that they applied stay"
    terminal.line(f"Applications: {applications}, {fate}" if rows else "nothing is installed")
