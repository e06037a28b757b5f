"""`agent suspend`: stop everything for an Application until `agent resume`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from agent.cli import terminal
from agent.values.errors import AgentError

if TYPE_CHECKING:
    import argparse

_DESCRIPTION = """\
Stop the agent for an Application: it fetches, applies, heals and prunes nothing of it until `agent resume`. Objects stay as they are, and
manual changes too. Applications that depend on it wait. This sets spec.suspend, so you need `get` and `patch` on Applications and nothing
else. A run under way ends first. If the Application is itself in Git, whatever applies it may take this back: set spec.suspend there.

exit codes: 0 suspended, 2 the cluster could not be asked
"""
_EXAMPLES = """\
examples:
  agent suspend web -n shop
  agent suspend shop/web
"""


def configure(parser: argparse.ArgumentParser) -> None:
    from agent.cli.cluster import connection

    parser.description = _DESCRIPTION
    parser.epilog = _EXAMPLES
    parser.add_argument("name", metavar="NAME", help="an Application, or NAMESPACE/NAME")
    parser.add_argument("-n", "--namespace", default="", help="default: the context's")
    connection.add_options(parser)


def run(args: argparse.Namespace) -> int:
    try:
        return asyncio.run(_suspend(args))
    except AgentError as error:
        terminal.error(error)
        return 2


async def _suspend(args: argparse.Namespace) -> int:
    from agent.cli.cluster import connection, reports, suspension

    settings = connection.config(args.kubeconfig, args.context)
    async with connection.connect(settings) as connected:
        found = await reports.get_one(connected, *reports.place(args.name, args.namespace, settings.namespace))
        await suspension.suspend(connected, found)
    terminal.note(f"suspended {found.namespace}/{found.name}: nothing is fetched, applied, healed or pruned")
    return 0
