"""`agent sync`: ask the agent to reconcile an Application now, and wait for the outcome."""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING

from agent.cli import terminal
from agent.cli.errors import UsageError
from agent.values.errors import AgentError, HeldError

if TYPE_CHECKING:
    import argparse

_DESCRIPTION = """\
Ask the agent to fetch, compare and apply an Application now instead of at its next interval, and wait until it has. The request is an
annotation of the Application (signet-gitops.dev/requested-at), so you need `get` and `patch` on Applications and nothing else.

--confirm-prune confirms deletions that the agent holds back: of a Namespace, a CRD, a volume, or of most of what the Application owns.
The value after `confirm` in `agent status NAME` names exactly the objects that wait, and confirms no others. A commit alone, 7 digits
or more, confirms what waits at that commit, if nothing else was asked about at it before. Where a commit replaces an object of these
kinds, which is annotated for that in Git, the value after `confirm` confirms it, for that object and once; a commit alone does not.

--rerun KIND/NAME runs again what has run to its end, such as a Job: deleted where it still stands, and created. It may be given more than
once.

--confirm-additions agrees that additions from before an upgrade are removed: fields that people added by hand, and that `agent status NAME`
lists with their field managers. It names the commit that is applied, and counts for that commit alone.

--confirm-new-values lets the agent make values again that a chart had made up and that are lost. --confirm-questions lets a chart ask sealed
values something else after three sets of questions that failed. Both take the value after `confirm` in `agent status NAME`.

If no agent is alive (this needs the right to list Leases), it says so within 5 seconds and exits.

exit codes: 0 ready, 1 something failed or is held, 2 no agent is alive or answered in time, or the cluster could not be asked
"""
_EXAMPLES = """\
examples:
  agent sync web -n shop
  agent sync shop/web --timeout 90s
  agent sync web -n shop --no-wait
  agent sync web -n shop --confirm-prune 1f0c3b2a9d4e-5d41402a
  agent sync web -n shop --rerun Job/migrate
  agent sync web -n shop --confirm-additions 1f0c3b2a9d4e
"""
_RERUN = r"[A-Za-z][A-Za-z0-9-]*(\.[a-z0-9.-]+)?/[a-z0-9][a-z0-9.-]{0,252}"
_MOST_RERUN = 20


def configure(parser: argparse.ArgumentParser) -> None:
    import argparse

    from agent.cli.cluster import connection

    parser.description = _DESCRIPTION
    parser.epilog = _EXAMPLES
    connection.add_application_options(parser)
    parser.add_argument(
        "--wait", action=argparse.BooleanOptionalAction, default=True, help="wait until it is done (default)"
    )
    parser.add_argument("--timeout", metavar="TIME", default="5m", help="how long, such as 90s (default: %(default)s)")
    parser.add_argument("--confirm-prune", metavar="CONFIRM", default="", help="confirm the deletions that wait")
    parser.add_argument(
        "--confirm-additions", metavar="COMMIT", default="", help="allow removing additions from before an upgrade"
    )
    parser.add_argument("--confirm-new-values", metavar="CONFIRM", default="", help="make values again that are lost")
    parser.add_argument("--confirm-questions", metavar="CONFIRM", default="", help="let a chart ask other questions")
    parser.add_argument("--rerun", metavar="KIND/NAME", action="append", default=[], help="run a finished Job again")
    terminal.output_option(parser)


def run(args: argparse.Namespace) -> int:
    try:
        return asyncio.run(_sync(args))
    except AgentError as error:
        terminal.error(error)
        return 1 if isinstance(error, HeldError) else 2


async def _sync(args: argparse.Namespace) -> int:
    from agent.api import application
    from agent.cli.cluster import connection, reports, requests

    seconds = requests.seconds(args.timeout)
    given = {**_confirmed(args), **_rerun(args)}
    settings = connection.settings(args.kubeconfig, args.context)
    async with connection.connect(settings) as connected:
        namespace, name = reports.place(args.name, args.namespace, settings.namespace)
        before = await reports.get_one(connected, namespace, name)
        if before.suspended:
            raise HeldError(
                "the Application is suspended", hint="agent resume first", application=f"{namespace}/{name}"
            )
        application.parse(before.tree)
        await requests.ask(connected, before, given)
        if not args.wait:
            terminal.note(f"asked for a sync of {namespace}/{name}")
            return 0
        after = await requests.handled(connected, before, seconds)
    if args.output != "table":
        terminal.write_data(after.as_json(), args.output)
    else:
        reports.table([after])
        reports.failures(after)
    return 0 if after.ready else 1


def _confirmed(args: argparse.Namespace) -> dict[str, str]:
    """The annotations that confirm something, each naming a commit, and that of deletions also which objects, or what waits. Raises UsageError."""
    from agent.api import names

    asked = {
        names.ANNOTATION_CONFIRM_PRUNE: args.confirm_prune,
        names.ANNOTATION_CONFIRM_ADDITIONS: args.confirm_additions,
        names.ANNOTATION_CONFIRM_NEW_VALUES: args.confirm_new_values,
        names.ANNOTATION_CONFIRM_QUESTIONS: args.confirm_questions,
    }
    given = {name: text for name, text in asked.items() if text}
    for name, text in given.items():
        if not re.fullmatch(r"[0-9a-f]{7,64}(-[0-9a-f]{8})?" if name.endswith("prune") else r"[0-9a-f]{7,64}", text):
            raise UsageError(
                "a confirmation takes a commit's hash, 7 digits of it or more, or what `agent status` shows after confirm",
                hint="copy the value after confirm",
                given=text,
            )
    return given


def _rerun(args: argparse.Namespace) -> dict[str, str]:
    """The annotation that asks to run something again; the time makes each a request of its own. Raises UsageError."""
    from agent.api import names

    for name in args.rerun:
        if not re.fullmatch(_RERUN, name):
            raise UsageError("--rerun takes a kind and a name", hint="such as Job/migrate", rerun=name)
    if len(args.rerun) > _MOST_RERUN:
        raise UsageError("too many --rerun flags", limit=_MOST_RERUN)
    words = [*dict.fromkeys(args.rerun), str(time.time_ns())]
    return {names.ANNOTATION_RERUN: " ".join(words)} if args.rerun else {}
