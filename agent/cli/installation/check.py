"""`agent check`: whether the cluster and the installation are fit, line by line with a cure."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli import terminal
from agent.values.errors import AgentError

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncGenerator

    from agent.cli.installation.checks.cluster import Reached
    from agent.cli.installation.checks.findings import Finding

_DESCRIPTION = """\
Check the cluster and the installation: the version of Kubernetes, clocks, the CustomResourceDefinition, the rights of the agent and of each
tenant's ServiceAccount, living agents, and the operator's file. Where that file can be read, as in the agent's Pod, also each store, each Git
server and the folder for keys. It changes nothing. A line that says unknown was not looked at: you may not, or not from here.

exit codes: 0 nothing failed, 1 something failed, 2 the cluster could not be asked
"""
_EXAMPLES = """\
examples:
  agent check --pre                  before the first installation: the cluster, and your rights to install
  agent check
  kubectl exec -n signet-system deploy/signet-agent -- agent check
"""


def configure(parser: argparse.ArgumentParser) -> None:
    from agent.cli.cluster import connection
    from agent.installation.choices import NAMESPACE

    parser.description = _DESCRIPTION
    parser.epilog = _EXAMPLES
    parser.add_argument("-n", "--namespace", default=NAMESPACE, help="of the agent itself (default: %(default)s)")
    parser.add_argument("--pre", action="store_true", help="only what has to hold before the agent is installed")
    parser.add_argument(
        "--operator-file",
        type=Path,
        default=Path("/etc/signet/operator.yaml"),
        help="where it exists, what it names is checked (default: %(default)s)",
    )
    parser.add_argument(
        "--memory-dir", type=Path, default=Path("/run/signet"), help="folder for keys (default: %(default)s)"
    )
    connection.add_options(parser)
    terminal.output_option(parser)


def run(args: argparse.Namespace) -> int:
    from agent.cli.installation.checks.findings import Result

    try:
        found = asyncio.run(_check(args))
    except AgentError as error:
        terminal.error(error)
        return 2
    if args.output == "table":
        rows = [(each.check, each.subject, each.result.value, each.what) for each in found]
        terminal.table(("CHECK", "SUBJECT", "RESULT", "WHAT"), rows)
        for each in found:
            if each.cure and each.result is not Result.OK:
                terminal.hint(f"{each.subject}: {each.cure}")
    else:
        terminal.write_data([each.as_json() for each in found], args.output)
    return 1 if any(each.result is Result.FAILED for each in found) else 0


async def _check(args: argparse.Namespace) -> list[Finding]:
    from agent.adapters.kubernetes.cluster import Access, Cluster
    from agent.cli.cluster import connection
    from agent.cli.installation.checks.cluster import Reached

    settings = connection.settings(args.kubeconfig, args.context)
    async with connection.session(settings) as session:
        at = Reached(Cluster(Access(session, lambda _: False)), session, args.namespace)
        return [each async for each in _findings(at, args)]


async def _findings(at: Reached, args: argparse.Namespace) -> AsyncGenerator[Finding]:
    from agent.cli.installation.checks import cluster, surroundings

    async for each in cluster.fitness(at):
        yield each
    if args.pre:
        yield await cluster.may_install(at)
        return
    yield await cluster.definition(at)
    yield await cluster.rights(at)
    yield await cluster.agents(at)
    async for each in cluster.tenants(at):
        yield each
    if args.operator_file.exists():
        async for each in surroundings.of(args.operator_file, args.memory_dir, args.namespace):
            yield each
    else:
        yield await cluster.operators_file(at)
