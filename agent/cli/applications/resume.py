"""`agent resume`: let the agent go on with an Application that was suspended."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    connection.add_application_options(parser)


def run(args: argparse.Namespace) -> int:
    from agent.cli.cluster import suspension

    return suspension.change(args.name, args.namespace, kubeconfig=args.kubeconfig, context=args.context, suspend=False)
