"""`agent install`: the manifests of an installation, printed or applied."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from agent.cli import terminal
from agent.cli.errors import UsageError
from agent.values.errors import AgentError
from agent.values.tree import get_text

if TYPE_CHECKING:
    import argparse

    from agent.adapters.kubernetes.cluster import Cluster
    from agent.installation.choices import Choices
    from agent.values.tree import Object

_DESCRIPTION = """\
Print what an installation of the agent consists of: its namespace, the CustomResourceDefinition, its account and roles, a NetworkPolicy and
the workload. --apply applies all of it to the cluster instead, by server-side apply. Run the same command of a newer version to upgrade: it
applies the definition first. The agent then waits for the Secret signet-operator, which says what it may reach (deploy/operator.yaml).

exit codes: 0 printed, or applied; 1 bad flags; 2 the cluster could not be asked or refused something
"""
_EXAMPLES = """\
examples:
  agent install | kubectl apply --server-side -f -
  agent install --high-availability --image registry.example.com/signet:0.1.0 --apply
  agent install --mode DaemonSet --prometheus-operator --apply
  agent install --mode none --apply              an agent that runs outside the cluster: no workload
"""
_MANAGER: Final = "signet-install"


def configure(parser: argparse.ArgumentParser) -> None:
    from agent.cli.cluster import connection
    from agent.installation.choices import IMAGE, NAMESPACE, Mode

    parser.description = _DESCRIPTION
    parser.epilog = _EXAMPLES
    parser.add_argument("-n", "--namespace", default=NAMESPACE, help="of the agent itself (default: %(default)s)")
    parser.add_argument(
        "--mode",
        choices=[each.value for each in Mode],
        default=Mode.DEPLOYMENT.value,
        help="what runs the agent (default: %(default)s)",
    )
    parser.add_argument("--image", default=IMAGE, help="default: %(default)s")
    parser.add_argument(
        "--high-availability",
        action="store_true",
        help="two agents on two nodes, with a PriorityClass and a PodDisruptionBudget; for a Deployment",
    )
    parser.add_argument("--prometheus-operator", action="store_true", help="add a PodMonitor and alert rules")
    parser.add_argument(
        "--webhooks", action="store_true", help="add a Service for webhooks, and a NetworkPolicy for it"
    )
    parser.add_argument("--apply", action="store_true", help="apply instead of printing")
    parser.add_argument(
        "--force-conflicts", action="store_true", help="take over fields that other field managers set, with --apply"
    )
    parser.add_argument("-o", "--output", choices=("yaml", "json"), default="yaml", help="default: %(default)s")
    connection.add_options(parser)


def run(args: argparse.Namespace) -> int:
    from agent.installation.choices import Choices, Mode
    from agent.installation.objects import of

    mode = Mode(args.mode)
    if args.high_availability and mode is not Mode.DEPLOYMENT:
        raise UsageError("--high-availability is for a Deployment", hint="a DaemonSet has an agent on every node")
    choices = Choices(
        namespace=args.namespace,
        mode=mode,
        image=args.image,
        available=args.high_availability,
        monitored=args.prometheus_operator,
        webhooks=args.webhooks,
    )
    if not args.apply:
        _print(of(choices), args.output)
        return 0
    try:
        asyncio.run(_apply(choices, args))
    except AgentError as error:
        terminal.error(error)
        return 2
    return 0


def _print(objects: list[Object], form: str) -> None:
    if form == "json":
        terminal.write_data({"apiVersion": "v1", "kind": "List", "items": objects}, "json")
    else:
        terminal.write_manifests(objects)


async def _apply(choices: Choices, args: argparse.Namespace) -> None:
    from agent.cli.cluster import connection
    from agent.cli.cluster.served import served
    from agent.installation.objects import of

    settings = connection.settings(args.kubeconfig, args.context)
    async with connection.connect(settings) as cluster:
        kinds = await cluster.kinds(fresh=True)
        for manifest in of(choices):
            hint = "install the Prometheus operator first, or leave out --prometheus-operator"
            resource = served(kinds, manifest, hint=hint)
            await cluster.apply(resource, manifest, force=args.force_conflicts, manager=_MANAGER)
            terminal.line(f"applied {resource.kind} {get_text(manifest, 'metadata', 'name')}")
        await _say_what_is_left(cluster, choices)


async def _say_what_is_left(cluster: Cluster, choices: Choices) -> None:
    """A workload of another mode, and the Secret that the pods wait for."""
    from agent.adapters.kubernetes.resources import SECRET, WORKLOADS
    from agent.installation.choices import AGENT, OPERATOR

    for resource in WORKLOADS:
        if resource.kind != choices.mode.value and await cluster.get_metadata(resource, choices.namespace, AGENT):
            terminal.warn(
                f"the {resource.kind} {AGENT} of an earlier installation still runs agents; to end them: "
                f"kubectl delete {resource.plural} {AGENT} -n {choices.namespace}"
            )
    if await cluster.get_metadata(SECRET, choices.namespace, OPERATOR) is None:
        terminal.hint(
            f"create the Secret {OPERATOR} in {choices.namespace}: the agent waits for it (deploy/operator.yaml)"
        )
