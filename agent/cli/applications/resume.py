"""`agent resume`: let the agent go on with an Application that was suspended."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from agent.cli import terminal
from agent.values.errors import AgentError

if TYPE_CHECKING:
    import argparse

_DESCRIPTION = """\
Let the agent go on with an Application that was suspended: it takes the newest commit at once, and heals and prunes again. Manual changes
from meanwhile are drift. Takes spec.suspend back, whatever set it, so you need `get` and `patch` on Applications and nothing else.
`agent sync` waits for the outcome.

exit codes: 0 resumed, or not suspended; 2 the cluster could not be asked
"""
_EXAMPLES = """\
examples:
  agent resume web -n shop
  agent resume web -n shop && agent sync web -n shop
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
        return asyncio.run(_resume(args))
    except AgentError as error:
        terminal.error(error)
        return 2


async def _resume(args: argparse.Namespace) -> int:
    from agent.cli.cluster import connection, reports, suspension

    settings = connection.config(args.kubeconfig, args.context)
    async with connection.connect(settings) as connected:
        found = await reports.get_one(connected, *reports.place(args.name, args.namespace, settings.namespace))
        if not found.suspended:
            terminal.note(f"{found.namespace}/{found.name} is not suspended")
            return 0
        await suspension.resume(connected, found)
    terminal.note(f"resumed {found.namespace}/{found.name}")
    return 0
