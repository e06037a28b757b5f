"""`agent render`: the merged objects of a work tree, secrets as labels."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from agent.cli import flags, terminal
from agent.cli.errors import UsageError
from agent.values.errors import AgentError
from agent.values.text import counted, escape

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from agent.cli.applications.desired import Declared
    from agent.cli.applications.worktree import Target
    from agent.engine.changes import ChangeSet
    from agent.sops.format.keys import MasterKeys
    from agent.values.ids import ObjectId
    from agent.values.tree import Object

_DESCRIPTION = """\
Show the objects that a folder of manifests merges to, in the order in which the agent applies them, with its rules and limits.

An Application with spec.render is rendered as in the cluster, by the same renderer, and its variables get their values. Those of
spec.substitute.from are read with your rights from the cluster that --kubeconfig or --context names; without one, objects that need them
are listed as held. A chart is rendered for that cluster too, or for Kubernetes 1.36 without any custom resources. Nothing else is asked
of a cluster.
Nothing is decrypted and no key is needed: a secret shows as <secret sops:FILE#FIELD>, a reference to Vault as it is written.
--verify opens the encrypted files with your keys, found as `agent decrypt` finds them, and says whether one was altered.
What the agent would hold or refuse is listed on standard error and left out. Secrets and values in the clear, and variables that
nothing replaces, are listed there too.

exit codes: 0 everything can be applied, 1 something is held or refused, 2 it could not be tried
"""
_EXAMPLES = """\
examples:
  agent render --layers base,envs/prod                  of the repository in this folder
  agent render -f application.yaml ~/src/shop           as an Application has it
  agent render --kustomize overlays/prod                as `kustomize build`, with secrets sealed
  agent render --helm charts/shop --values values.prod.yaml
                                                        as `helm template`, with secrets sealed
  agent render -f application.yaml --verify > /dev/null
                                                        for CI: everything parses, merges, opens and is allowed
  diff <(agent render --layers base,envs/staging) <(agent render --layers base,envs/prod)
  agent render --layers base,envs/prod --reveal         secrets in the clear, on your terminal only
"""


def configure(parser: argparse.ArgumentParser) -> None:
    from agent.cli.applications import tree_flags
    from agent.cli.cluster import connection
    from agent.cli.keys import key_sources

    parser.description = _DESCRIPTION
    parser.epilog = _EXAMPLES
    tree_flags.add_options(parser)
    parser.add_argument("--verify", action="store_true", help="open encrypted files and verify their MACs")
    parser.add_argument("--reveal", action="store_true", help="show the values of encrypted files; verifies them too")
    parser.add_argument("--force", action="store_true", help="with --reveal: even where standard output is no terminal")
    parser.add_argument("-o", "--output", choices=("yaml", "json"), default="yaml", help="documents, or one List")
    key_sources.add_options(parser)
    connection.add_options(parser)


def run(args: argparse.Namespace) -> int:
    try:
        return _render(args)
    except AgentError as error:
        terminal.error(error)
        return 2


def _render(args: argparse.Namespace) -> int:
    from agent.cli.applications import desired, tree_flags, worktree
    from agent.cli.keys import key_sources
    from agent.desired.compiler import UnknownChangeError

    if args.reveal and not (args.force or terminal.is_tty()):
        raise UsageError(
            "--reveal shows secrets, and standard output is no terminal",
            hint="add --force if whatever reads it may know them",
        )
    keys = key_sources.master_keys(flags.typed(key_sources.Access, args)) if args.verify or args.reveal else None
    try:
        target = worktree.target(flags.typed(tree_flags.Asked, args))
        declared = asyncio.run(_declared(args, target, keys))
    except UnknownChangeError as error:
        desired.report(desired.problems_of(error))
        return 1
    changes = desired.planned(declared)
    shown = _shown(changes, declared, reveal=args.reveal)
    if args.output == "json":
        terminal.write_data({"apiVersion": "v1", "kind": "List", "items": list(shown.values())}, "json")
    else:
        _write_yaml(shown, declared)
    desired.warn(declared.state.warnings)
    found = desired.report(declared.problems)
    if found:
        terminal.note(f"{counted(len(shown), 'object')}, {len(changes.held)} held, {counted(found, 'problem')}")
    return 1 if found else 0


async def _declared(args: argparse.Namespace, target: Target, keys: MasterKeys | None) -> Declared:
    """A cluster is asked for variables alone, and only one that the user named: another one has other values."""
    from agent.cli.applications import desired
    from agent.cli.cluster import connection

    if args.kubeconfig is None and args.context is None:
        return await desired.compute(target, None, keys)
    async with connection.connect(connection.settings(args.kubeconfig, args.context)) as connected:
        return await desired.compute(target, None, keys, cluster=connected)


def _shown(changes: ChangeSet, declared: Declared, *, reveal: bool) -> Mapping[ObjectId, Object]:
    from agent.cli import plaintext
    from agent.cli.applications import desired

    finished = {step.assembled.id: declared.opened[step.assembled.id] for step in changes.steps}
    if not reveal:
        return {key: desired.labelled(key, tree) for key, tree in finished.items()}
    return {key: plaintext.manifest(desired.with_labels(tree)) for key, tree in finished.items()}


def _write_yaml(shown: Mapping[ObjectId, Object], declared: Declared) -> None:
    from agent.yaml.write import render

    for number, (key, tree) in enumerate(shown.items()):
        item = declared.state.everything[key]
        files = ", ".join(escape(file) for file in item.files)
        runs = f", hook: {item.hook.shown}" if item.hook is not None else ""
        text = f"# {files}{runs}\n{render.manifest(tree)}"
        if number:
            text = "---\n" + text
        if terminal.is_tty():
            # A file of someone else must not move the cursor of the person who looks at it.
            for line in text.splitlines():
                terminal.line(line)
        else:
            terminal.write_text(text)
