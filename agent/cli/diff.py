"""`agent diff`: a work tree against the cluster, by server-side dry run, secrets as fingerprints."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING

from agent.cli import terminal
from agent.values.errors import AgentError, ClusterUnavailableError, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from agent.adapters.kubernetes.cluster import Cluster
    from agent.cli.comparison import Difference
    from agent.cli.desired import Wanted
    from agent.cli.worktree import Target
    from agent.engine.ports import Resolved
    from agent.manifests.references import Reference
    from agent.values.ids import ObjectId
    from agent.values.problems import Problem
    from agent.values.tree import Tree

_DESCRIPTION = """\
Compare the objects that a folder of manifests merges to with those in the cluster: what would the agent change?

Encrypted files are opened with your keys, found as `agent decrypt` finds them, and the apiserver is asked by server-side dry run as
the agent's field manager: you need `get` and `patch` on the objects, and `create` for new ones. Nothing is written. Secrets show as
fingerprints (fp:…) under a key of this run: one field has two of them where its value changes. A field that refers to Vault is compared where --vault-store
says which server that is; else it is named and left out. What another tool applied is shown as it stands: the agent takes its fields
over, and removes those that are not in the tree. Only data of Secrets is secret by its place: give -f, and --operator-file where custom
resources hold secrets, and every object of a kind that may hold one is compared by fingerprints.

actions: create, change, prune; roll is a workload that is rolled out because a Secret changes, unknown a field that was not compared

exit codes: 0 the same, 1 something differs, 2 it could not be told of everything
"""
_EXAMPLES = """\
examples:
  agent diff --layers base,envs/prod -n shop            this folder against the current context
  agent diff -f application.yaml ~/src/shop --prune     and what the agent would delete
  agent diff -f application.yaml --vault-store main=https://vault.example.com:8200
  agent diff -f application.yaml --context prod -o json | jq '.objects[] | select(.action == "change")'
"""
_HEADERS = ("ACTION", "OBJECT", "FIELD", "LIVE", "WANTED")
_LONGEST = 60


def configure(parser: argparse.ArgumentParser) -> None:
    from agent.cli import cluster, key_sources, user_stores, worktree

    parser.description = _DESCRIPTION
    parser.epilog = _EXAMPLES
    worktree.add_options(parser)
    parser.add_argument(
        "--prune", action="store_true", help="also what the Application owns and the tree lacks; needs -f"
    )
    user_stores.add_options(parser)
    key_sources.add_options(parser)
    cluster.add_options(parser)
    terminal.output_option(parser)


def run(args: argparse.Namespace) -> int:
    try:
        return asyncio.run(_diff(args))
    except AgentError as error:
        terminal.error(error)
        return 2


async def _diff(args: argparse.Namespace) -> int:
    from agent.cli import cluster, desired, key_sources, worktree
    from agent.desired.compiler import UnknownChangeError
    from agent.values.dataclass import replace

    target = worktree.target(args)
    if args.prune and target.application is None:
        raise UsageError("--prune needs -f: whose objects they are is the Application's name to tell")
    settings = cluster.config(args)
    target = replace(target, namespace=target.namespace or settings.namespace)
    sealed: set[ObjectId] = set()
    async with cluster.connect(settings, seals=sealed.__contains__) as connected:
        try:
            kinds = await connected.kinds()
            wanted = desired.compute(target, kinds, key_sources.master_keys(args))
        except UnknownChangeError as error:
            desired.report(desired.problems_of(error))
            return 2
        found, problems = await _compare(args, connected, target, wanted, sealed)
        if args.prune:
            found += await _surplus(connected, target, wanted)
    desired.warn(wanted.state.warnings)
    return _tell(args, found, (*wanted.problems, *problems))


async def _compare(
    args: argparse.Namespace, connected: Cluster, target: Target, wanted: Wanted, sealed: set[ObjectId]
) -> tuple[list[Difference], list[Problem]]:
    from agent.cli import desired
    from agent.cli.comparison import Comparison, with_rollouts
    from agent.controllers.tasks import AsyncTasks
    from agent.values.fingerprint import Fingerprinter
    from agent.values.problems import Problem
    from agent.values.secret import Secret

    comparison = Comparison(
        connected,
        await connected.kinds(),
        answers=await _resolve(args, target, wanted),
        fingerprints=Fingerprinter.derive(Secret(os.urandom(32), "key of this run"), "leaf"),
        sinks=target.sinks,
        namespaces=frozenset(key.name for key in wanted.opened if (key.group, key.kind) == ("", "Namespace")),
        sealed=sealed,
    )
    outage: list[ClusterUnavailableError] = []
    in_order = desired.in_order(wanted.opened)

    async def one(number: int, key: ObjectId) -> Difference | Problem | None:
        if outage:
            return None
        item = wanted.state.objects[key]
        try:
            found = await comparison.of(item, wanted.opened[key])
        except ClusterUnavailableError as error:
            outage.append(error)
            return None
        except AgentError as error:
            return Problem(error, key, ", ".join(item.files))
        if not number % 25:
            terminal.progress(f"compared {number} of {len(in_order)}")
        return found

    results = await AsyncTasks().all([one(number, key) for number, key in enumerate(in_order, 1)])
    if outage:
        raise outage[0]
    problems = [result for result in results if isinstance(result, Problem)]
    found = [result for result in results if result is not None and not isinstance(result, Problem)]
    return with_rollouts(found, wanted.opened), problems


async def _resolve(
    args: argparse.Namespace, target: Target, wanted: Wanted
) -> Mapping[Reference, Resolved | AgentError]:
    """The answers of the stores that the user named; a reference to another one is not asked for."""
    from agent.cli import user_stores
    from agent.manifests import references
    from agent.values.ids import ApplicationId

    named = user_stores.named(args)
    asked = {
        reference: None
        for tree in wanted.opened.values()
        for reference in references.find(tree)
        if reference.store in named
    }
    stores = user_stores.open_stores(args)
    try:
        return await stores.resolve(ApplicationId(target.namespace, "work tree", ""), asked)
    finally:
        await stores.close()


async def _surplus(connected: Cluster, target: Target, wanted: Wanted) -> list[Difference]:
    from agent.cli import surplus
    from agent.cli.comparison import Difference

    application = target.application
    assert application is not None
    if not application.spec.prune:
        terminal.note("spec.prune is false: the agent deletes nothing")
        return []
    known = wanted.state.objects.keys() | wanted.state.held.keys()
    found = await surplus.find(connected, application.id, target.namespace, known)
    if found and wanted.state.incomplete:
        terminal.warn("the agent deletes nothing while anything is held")
    return [Difference(key, "prune") for key in found]


def _tell(args: argparse.Namespace, found: list[Difference], problems: tuple[Problem, ...]) -> int:
    from agent.cli import desired

    differing = [each for each in found if each.action in {"create", "change", "prune"}]
    unknown = sum(len(each.unknown) for each in found)
    if args.output == "json":
        terminal.write_json(_as_json(found, problems))
    else:
        terminal.table(_HEADERS, [row for each in found for row in _rows(each)])
    if any(each.adopted for each in found):
        terminal.note("adopted objects: fields that other tools applied and the tree lacks go away, which is not shown")
    if unknown:
        terminal.note(f"{unknown} fields were not compared: give --vault-store NAME=URL for their stores")
    told = desired.report(problems)
    if args.output != "json":
        terminal.note(
            f"{len(found)} objects compared, {len(differing)} differ" + (f", {told} problems" if told else "")
        )
    return 2 if problems else 1 if differing else 0


def _rows(each: Difference) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    if each.action in {"create", "prune"}:
        rows.append((each.action, each.id, "", "", ""))
    rows += [(each.action, each.id, line["path"], _value(line["before"]), _value(line["after"])) for line in each.lines]
    if each.rolls:
        rows.append(("roll", each.id, "", "", ""))
    rows += [("unknown", each.id, path, "", " ".join(references)) for path, references in each.unknown.items()]
    return rows


def _value(tree: Tree) -> str:
    text = "" if tree is None else json.dumps(tree, ensure_ascii=False)
    return terminal.cut(text, _LONGEST)


def _as_json(found: list[Difference], problems: tuple[Problem, ...]) -> dict[str, object]:
    from agent.api.status import Failure

    return {
        "objects": [
            {
                "object": str(each.id),
                "group": each.id.group,
                "kind": each.id.kind,
                "namespace": each.id.namespace,
                "name": each.id.name,
                "action": each.action,
                "fields": list(each.lines),
                "unknown": [{"path": path, "references": list(found)} for path, found in each.unknown.items()],
                "adopted": each.adopted,
                "rolls": each.rolls,
            }
            for each in found
        ],
        "problems": [
            Failure.of(problem.error, object=str(problem.object or ""), file=problem.file).model_dump(mode="json")
            for problem in problems
        ],
    }
