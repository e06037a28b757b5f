"""`agent status`: the Applications of a cluster, what failed and why."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from agent.cli import terminal
from agent.cli.errors import UsageError
from agent.values.errors import AgentError, ClusterUnavailableError

if TYPE_CHECKING:
    import argparse
    from typing import NoReturn

    from agent.adapters.kubernetes.cluster import Cluster
    from agent.cli.cluster.reports import Report

_DESCRIPTION = """\
Show Applications as the agent last reported them. With a NAME: its conditions, everything that failed with file, object, field and what
to do about it, how each object stands, and the last releases and heals. Notes are text of the chart, which is not checked. Where no agent is alive it says so, if Leases may be listed. Reads
nothing else; no secret is in it.

exit codes: 0 all are ready, 1 some are not, 2 the cluster could not be asked
"""
_EXAMPLES = """\
examples:
  agent status                                          of the context's namespace
  agent status -A                                       of all namespaces
  agent status web -n shop                              one of them, with everything that failed
  agent status web -n shop --notes                      the notes of its chart, as helm install shows them
  agent status -A --watch                               until Ctrl-C
  agent status -A -o json | jq -r '.[] | select(.ready | not) | .name'
"""
_PAUSE_SECONDS = 2.0


def configure(parser: argparse.ArgumentParser) -> None:
    from agent.cli.cluster import connection

    parser.description = _DESCRIPTION
    parser.epilog = _EXAMPLES
    parser.add_argument("name", nargs="?", metavar="NAME", help="an Application, or NAMESPACE/NAME")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("-n", "--namespace", default="", help="default: the context's")
    where.add_argument("-A", "--all-namespaces", action="store_true", help="in every namespace")
    parser.add_argument("--notes", action="store_true", help="what the chart's NOTES.txt says; needs a NAME")
    parser.add_argument("-w", "--watch", action="store_true", help="show it again whenever it changes, until Ctrl-C")
    connection.add_options(parser)
    terminal.output_option(parser)


def run(args: argparse.Namespace) -> int:
    try:
        return asyncio.run(_status(args))
    except AgentError as error:
        terminal.error(error)
        return 2


async def _status(args: argparse.Namespace) -> int:
    from agent.cli.cluster import connection

    if args.notes and (args.name is None or args.output != "table"):
        raise UsageError("--notes is of one Application", hint="give its NAME; -o json has the notes without --notes")
    settings = connection.settings(args.kubeconfig, args.context)
    async with connection.connect(settings) as connected:
        if args.watch:
            await _watch(args, connected, settings.namespace)
        return await _show(args, connected, await _look(args, connected, settings.namespace), settings.namespace)


async def _watch(args: argparse.Namespace, connected: Cluster, namespace: str) -> NoReturn:
    """Show each answer that differs from the last, until Ctrl-C. Raises AgentError where no later one is to be expected."""
    shown: object = None
    while True:
        try:
            found = await _look(args, connected, namespace)
        except ClusterUnavailableError as error:
            terminal.error(error)
            shown = error
        else:
            if found != shown:
                if shown is not None:
                    terminal.begin_again(args.output)
                await _show(args, connected, found, namespace)
                shown = found
        await asyncio.sleep(_PAUSE_SECONDS)


async def _look(args: argparse.Namespace, connected: Cluster, default_namespace: str) -> list[Report]:
    from agent.adapters.kubernetes.resources import APPLICATION
    from agent.cli.cluster import reports

    if args.name is not None:
        return [await reports.get_one(connected, *reports.place(args.name, args.namespace, default_namespace))]
    namespace = "" if args.all_namespaces else args.namespace or default_namespace
    found = [reports.Report(tree) for tree in await connected.list(APPLICATION, namespace=namespace)]
    return sorted(found, key=lambda each: (each.namespace, each.name))


async def _show(args: argparse.Namespace, connected: Cluster, found: list[Report], default_namespace: str) -> int:
    from agent.cli.cluster import liveness, reports

    if args.notes:
        reports.notes(found[0])
    elif args.output != "table":
        shown = [each.as_json() for each in found]
        terminal.write_data(shown if args.name is None else shown[0], args.output)
    elif args.name is not None:
        reports.details(found[0])
    elif found:
        reports.table(found)
    else:
        terminal.note(
            "no Applications"
            if args.all_namespaces
            else f"no Applications in namespace {args.namespace or default_namespace}"
        )
    if found:
        await liveness.warn_where_silent(connected)
    return 0 if all(each.ready for each in found) else 1
