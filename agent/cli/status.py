"""`agent status`: the Applications of a cluster, what failed and why."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from agent.cli import terminal
from agent.values.errors import AgentError

if TYPE_CHECKING:
    import argparse

_DESCRIPTION = """\
Show Applications as the agent last reported them. With a NAME: its conditions, everything that failed with file, object, field and what
to do about it, and the last ten syncs. Reads Application objects only; no secret is in them.

exit codes: 0 all are ready, 1 some are not, 2 the cluster could not be asked
"""
_EXAMPLES = """\
examples:
  agent status                                          of the context's namespace
  agent status -A                                       of all namespaces
  agent status web -n shop                              one of them, with everything that failed
  agent status -A -o json | jq -r '.[] | select(.ready | not) | .name'
"""


def configure(parser: argparse.ArgumentParser) -> None:
    from agent.cli import cluster

    parser.description = _DESCRIPTION
    parser.epilog = _EXAMPLES
    parser.add_argument("name", nargs="?", metavar="NAME", help="an Application, or NAMESPACE/NAME")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("-n", "--namespace", default="", help="default: the context's")
    where.add_argument("-A", "--all-namespaces", action="store_true", help="in every namespace")
    cluster.add_options(parser)
    terminal.output_option(parser)


def run(args: argparse.Namespace) -> int:
    try:
        return asyncio.run(_status(args))
    except AgentError as error:
        terminal.error(error)
        return 2


async def _status(args: argparse.Namespace) -> int:
    from agent.adapters.kubernetes.resources import APPLICATION
    from agent.cli import applications, cluster, liveness

    settings = cluster.config(args)
    async with cluster.connect(settings) as connected:
        if args.name is not None:
            namespace, name = applications.place(args.name, args.namespace, settings.namespace)
            one = await applications.get_one(connected, namespace, name)
            if args.output == "json":
                terminal.write_json(one.as_json())
            else:
                applications.details(one)
            await liveness.warn_where_silent(connected)
            return 0 if one.ready else 1
        namespace = "" if args.all_namespaces else args.namespace or settings.namespace
        found = await connected.list(APPLICATION, namespace=namespace)
        if found:
            await liveness.warn_where_silent(connected)
    reports = sorted((applications.Report(tree) for tree in found), key=lambda each: (each.namespace, each.name))
    if args.output == "json":
        terminal.write_json([each.as_json() for each in reports])
    else:
        applications.table(reports)
        if not reports:
            terminal.note(f"no Applications in namespace {namespace}" if namespace else "no Applications")
    return 0 if all(each.ready for each in reports) else 1
