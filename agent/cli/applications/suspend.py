"""`agent suspend`: stop everything for an Application until `agent resume`."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    connection.add_application_options(parser)


def run(args: argparse.Namespace) -> int:
    from agent.cli.cluster import suspension

    return suspension.change(args.name, args.namespace, kubeconfig=args.kubeconfig, context=args.context, suspend=True)
