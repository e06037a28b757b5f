"""`agent recover`: hand objects that earlier Applications applied over to those that carry on for them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from agent.cli import terminal
from agent.values.errors import AgentError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from agent.adapters.kubernetes.cluster import Cluster
    from agent.cli.applications.survivors import Found, Survivor
    from agent.values.tree import Object

_DESCRIPTION = """\
After the agent's namespace was lost or the cluster was made again: list the objects that stand and say that an earlier Application owns
them, and hand them over to the Applications that carry on. Until then the agent writes nothing for an Application that meets such objects
(`RecoveryNeeded`). What the key in the Secret signet-installation still proves, in the Application's own namespace, needs no command.

An object is handed over to the Application with the uid or the name that it carries, if that one waits for it and has it in Git. It is
left where it is not in Git, or where no Application has that name: nothing is deleted. With NAME, objects that this Application has in Git are
handed over to it whatever they were called before: look at BEFORE. An object that a living Application applied is never listed.

It asks before it writes. Handing over sets the annotation signet-gitops.dev/new-owner on each object, which needs `patch` on it; then the
Applications are synced, and the annotations are removed. Pods go on: tokens, made values and names stay, and hooks and Jobs that ran do not run again.

exit codes: 0 nothing is to be handed over any more, and what was handed over is ready; 1 not confirmed, or something failed or is held;
2 no agent is alive or answered in time, or the cluster could not be asked
"""
_EXAMPLES = """\
examples:
  agent recover                    what stands, then a question
  agent recover --yes -o json
  agent recover shop/web           of one Application
"""
_HEADERS: Final = ("OBJECT", "BEFORE", "OWNER", "ACTION", "WHAT")
_MANAGER: Final = "signet-recover"
_MOST_ERRORS: Final = 20


def configure(parser: argparse.ArgumentParser) -> None:
    from agent.cli.cluster import connection

    parser.description = _DESCRIPTION
    parser.epilog = _EXAMPLES
    parser.add_argument(
        "name", metavar="NAME", nargs="?", default="", help="an Application, or NAMESPACE/NAME; default: all"
    )
    parser.add_argument("-n", "--namespace", default="", help="of the Application (default: the context's)")
    parser.add_argument(
        "--agent-namespace", default="signet-system", metavar="NAME", help="where the agent runs (default: %(default)s)"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--timeout", metavar="TIME", default="5m", help="for each Application (default: %(default)s)")
    connection.add_options(parser)
    terminal.output_option(parser)


def run(args: argparse.Namespace) -> int:
    try:
        return asyncio.run(_recover(args))
    except AgentError as error:
        terminal.error(error)
        return 2


async def _recover(args: argparse.Namespace) -> int:
    from agent.cli.applications import survivors
    from agent.cli.cluster import connection, reports, requests

    seconds = requests.seconds(args.timeout)
    settings = connection.settings(args.kubeconfig, args.context)
    async with connection.connect(settings) as cluster:
        only = reports.place(args.name, args.namespace, settings.namespace) if args.name else None
        if only is not None:
            await reports.get_one(cluster, *only)
        found = await survivors.look(cluster, args.agent_namespace, only)
        given = [each for each in found.survivors if each.action == "hand over"]
        _tell(found)
        if not given:
            _show(found.survivors, args.output)
            return 1 if found.waiting else 0
        if args.output == "table":
            _show(found.survivors, args.output)
        if not args.yes and not terminal.confirmed(f"hand over {len(given)} objects?"):
            if args.output != "table":
                _show(found.survivors, args.output)
            return 1
        failed = await _hand_over(cluster, given, seconds)
        after = await survivors.look(cluster, args.agent_namespace, only)
        if args.output != "table":
            _show(after.survivors, args.output)
        taken = {each.id for each in given} - {each.id for each in after.survivors}
        terminal.note(f"recovered: {len(taken)} objects, left as they are: {len(after.survivors)}")
    return 1 if failed or after.waiting else 0


def _tell(found: Found) -> None:
    for error in found.unread:
        terminal.warn(f"objects of this kind are not listed: {error}")
    for each in found.unseen:
        terminal.warn(f"no agent has looked at {each.namespace}/{each.name} yet: run this again once it has")


def _show(survivors: Sequence[Survivor], form: str) -> None:
    if form != "table":
        terminal.write_data([each.as_json() for each in survivors], form)
        return
    terminal.table(
        _HEADERS,
        [(each.id, f"{each.before} ({each.before_uid})", each.owner, each.action, each.why) for each in survivors],
    )
    if not survivors:
        terminal.note("nothing stands that an earlier Application owns")


async def _hand_over(cluster: Cluster, given: Sequence[Survivor], seconds: int) -> bool:
    """Mark the objects, sync the Applications, remove the marks; whether something failed."""
    from agent.cli.cluster import requests

    failed = not await _mark(cluster, given, owners=True)
    heirs = {each.owner: each.heir for each in given if each.heir is not None}
    for heir in heirs.values():
        await requests.ask(cluster, heir, {})
    for heir in heirs.values():
        after = await requests.handled(cluster, heir, seconds)
        if not after.ready:
            failed = True
            terminal.warn(f"{after.namespace}/{after.name} is not ready: {after.message}")
    return not await _mark(cluster, given, owners=False) or failed


async def _mark(cluster: Cluster, given: Sequence[Survivor], *, owners: bool) -> bool:
    """Name the new owner on each object, or take that back; whether all could be written."""
    from agent.controllers.tasks import AsyncTasks
    from agent.manifests import ownership

    async def one(each: Survivor) -> AgentError | None:
        metadata: Object = {"name": each.id.name, "uid": each.uid}
        if each.id.namespace:
            metadata["namespace"] = each.id.namespace
        if owners:
            metadata["annotations"] = {ownership.ANNOTATION_NEW_OWNER: each.owner}
        tree: Object = {"apiVersion": each.resource.api_version, "kind": each.id.kind, "metadata": metadata}
        try:
            await cluster.apply(each.resource, tree, manager=_MANAGER)
        except AgentError as error:
            return error.with_facts(object=each.id)
        return None

    errors = [error for error in await AsyncTasks().all([one(each) for each in given]) if error is not None]
    for error in errors[:_MOST_ERRORS]:
        terminal.error(error)
    return not errors
