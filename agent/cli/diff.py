"""`agent diff`: a work tree against the cluster, by server-side dry run, secrets as fingerprints."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING

from agent.cli import terminal
from agent.values.errors import AgentError, ClusterUnavailableError, UsageError
from agent.values.text import counted

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from agent.adapters.kubernetes.cluster import Cluster
    from agent.cli.comparison import Difference
    from agent.cli.desired import Wanted
    from agent.cli.preview import Applied
    from agent.cli.worktree import Target
    from agent.engine.changes import ChangeSet
    from agent.engine.ports import Resolved
    from agent.manifests.diff import Line
    from agent.manifests.references import Reference
    from agent.values.ids import ObjectId
    from agent.values.problems import Problem
    from agent.values.tree import Tree

_DESCRIPTION = """\
Compare the objects that a folder of manifests merges to with those in the cluster: what would the agent's next run do?

Encrypted files are opened with your keys, found as `agent decrypt` finds them, and the API server is asked by server-side dry run as
the agent's field manager: you need `get` and `patch` on the objects, and `create` for new ones. Nothing is written. Secrets show as
fingerprints (fp:…) under a key of this run: one field has two of them where its value changes. A field that refers to Vault is compared
where --vault-store says which server that is; else it is named and left out, as is a value that your keys do not open. Only data of
Secrets is secret by its place: give -f, and --operator-file where custom resources hold secrets, and every object of a kind that may
hold one is compared by fingerprints.

With -f the Application is looked up in the cluster, and the agent's own rules decide: what would be pruned, what a guard keeps, which
object another Application owns. What another tool applied is shown as it stands: the agent takes its fields over, and removes those that
are not in the tree. The agent's record and all objects of the Application are read for that; what you may not read is named.

actions: create, change, prune, and replace, where an immutable field changes and the object may be deleted for it; roll is a workload that restarts because a Secret changes; conflict, hold and keep are objects that stay
as they are, for the reason given; unknown is a field that was not compared. Waves are numbered in the order in which they are applied.

exit codes: 0 the same, 1 something differs, 2 it could not be said of everything, or something is held
"""
_EXAMPLES = """\
examples:
  agent diff --layers base,envs/prod -n shop            this folder against the current context
  agent diff -f application.yaml ~/src/shop             and what the agent would delete, keep or refuse
  agent diff -f application.yaml --vault-store main=https://vault.example.com:8200
  agent diff -f application.yaml --context prod -o json | jq '.objects[] | select(.action == "change")'
"""
_HEADERS = ("ACTION", "OBJECT", "FIELD", "LIVE", "WANTED", "WAVE")
_AS_IS = frozenset({"create", "prune", "conflict", "hold", "keep", "leave"})


def configure(parser: argparse.ArgumentParser) -> None:
    from agent.cli import cluster, key_sources, user_stores, worktree

    parser.description = _DESCRIPTION
    parser.epilog = _EXAMPLES
    worktree.add_options(parser)
    parser.add_argument("--prune", action="store_true", help="needs -f, with which deletions are always shown")
    parser.add_argument(
        "--agent-namespace", default="signet-system", metavar="NAME", help="where the agent runs (default: %(default)s)"
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
    from agent.cli import cluster, comparison, desired, key_sources, preview, worktree
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
            applied = await _applied(args, connected, target)
            keys, recorded = key_sources.master_keys(args), applied.record.of_file
            wanted = desired.compute(target, kinds, keys, unopened=comparison.UNOPENED, recorded=recorded)
        except UnknownChangeError as error:
            desired.report(desired.problems_of(error))
            return 2
        found, problems = await _compare(args, connected, target, wanted, sealed, applied)
        if target.application is not None:
            of = target.application.id.namespace or settings.namespace
            if missing := await preview.missing_account(connected, target.application, of):
                terminal.warn(missing)
    prunes = target.application is not None and target.application.spec.prune
    changes = preview.changes(wanted.state, found, applied, prunes=prunes)
    desired.warn(wanted.state.warnings)
    unknown = (*applied.unknown, *preview.finished(found, applied))
    return _tell(args, _Diff(found, changes, unknown), target, (*wanted.problems, *problems))


async def _applied(args: argparse.Namespace, connected: Cluster, target: Target) -> Applied:
    from agent.cli import preview

    if target.application is None:
        return preview.Applied()
    return await preview.look(connected, target.application, target.namespace, args.agent_namespace)


async def _compare(  # noqa: PLR0917  # what is compared, with what, and what is known of it
    args: argparse.Namespace,
    connected: Cluster,
    target: Target,
    wanted: Wanted,
    sealed: set[ObjectId],
    applied: Applied,
) -> tuple[list[Difference], list[Problem]]:
    from agent.cli import desired
    from agent.cli.comparison import Comparison
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
        managers=target.people,
        record=applied.record if applied.uid else None,
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
    return found, problems


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


class _Diff:
    """What is shown: each object once, as the change set has it, with the fields that differ."""

    def __init__(self, found: list[Difference], changes: ChangeSet, unknown: tuple[str, ...]) -> None:
        self.changes = {each.object: each for each in changes}
        self.found = {each.id: each for each in found}
        self.unknown = unknown
        self.objects = [*dict.fromkeys((*self.changes, *self.found))]

    def unknown_fields(self, key: ObjectId) -> list[tuple[str, tuple[str, ...]]]:
        found = self.found.get(key)
        return list(found.unknown.items()) if found is not None else []

    def action(self, key: ObjectId) -> str:
        """`change` covers what the agent calls update, rotate, heal and adopt."""
        change, found = self.changes.get(key), self.found.get(key)
        if change is None:
            return "left" if found is not None and found.action == "left" else "same"
        if found is not None and found.action == "replace":
            return "replace"
        if change.rolled and found is not None and found.action == "same":
            return "roll"
        if change.action == "heal" and found is not None and found.live is None:
            return "create"
        return change.action if change.action in _AS_IS else "change"


def _tell(args: argparse.Namespace, diff: _Diff, target: Target, problems: tuple[Problem, ...]) -> int:
    from agent.cli import desired
    from agent.values.problems import Problem

    differing = [
        key for key in diff.objects if diff.action(key) in {"create", "change", "replace", "prune", "roll", "keep"}
    ]
    if args.output != "table":
        terminal.write_data(_as_json(diff, problems), args.output)
    else:
        terminal.table(_HEADERS, [row for key in diff.objects for row in _rows(diff, key)])
    for note in _notes(diff, target):
        terminal.note(note)
    conflicts = [
        Problem(each.error, each.object)
        for each in diff.changes.values()
        if each.error is not None and each.action == "conflict"
    ]
    count = desired.report((*problems, *conflicts))
    if args.output == "table":
        terminal.note(
            f"{counted(len(diff.found), 'object')} compared, {len(differing)} {'differs' if len(differing) == 1 else 'differ'}"
            + (f", {counted(count, 'problem')}" if count else "")
        )
    return 2 if problems or conflicts else 1 if differing else 0


def _notes(diff: _Diff, target: Target) -> Iterator[str]:
    spec = target.application.spec if target.application else None
    if any(each.adopted for each in diff.found.values()):
        yield "adopted objects: fields that other tools applied and the tree lacks go away, which is not shown"
    unknown = sum(bool(references) for each in diff.found.values() for references in each.unknown.values())
    if unknown:
        yield f"{counted(unknown, 'field', 'was')} not compared: give --vault-store NAME=URL for their stores"
    if spec is not None and not spec.prune:
        yield "spec.prune is false: the agent deletes nothing"
    if spec is not None and spec.suspend:
        yield "spec.suspend is set: the agent does nothing of this until it is taken away"
    elif spec is not None and spec.sync.mode == "detect":
        yield "spec.sync.mode is detect: the agent reports this and writes nothing"
    yield from (f"not known: {each}" for each in diff.unknown)


def _rows(diff: _Diff, key: ObjectId) -> list[tuple[object, ...]]:
    action, change, found = diff.action(key), diff.changes.get(key), diff.found.get(key)
    wave = "" if change is None or change.wave is None else change.wave
    lines = found.lines if found is not None and action == "change" else ()
    rows: list[tuple[object, ...]] = [
        (action, key, line["path"], _value(line["before"]), _after(line), wave) for line in lines
    ]
    if not rows and action not in {"same", "left"}:
        reason = change.error.message if change is not None and change.error is not None else ""
        rows.append((action, key, reason, "", "", wave))
    if change is not None and change.rolled and action != "roll":
        rows.append(("roll", key, "", "", "", wave))
    rows += [("unknown", key, path, "", " ".join(references), "") for path, references in diff.unknown_fields(key)]
    return rows


def _after(line: Line) -> str:
    return f"(added by {line['manager']})" if "manager" in line else _value(line["after"])


def _value(tree: Tree) -> str:
    return "" if tree is None else json.dumps(tree, ensure_ascii=False)


def _as_json(diff: _Diff, problems: tuple[Problem, ...]) -> dict[str, object]:
    from agent.api.status import Failure

    return {
        "objects": [_object(diff, key) for key in diff.objects],
        "problems": [
            Failure.of(problem.error, object=str(problem.object or ""), file=problem.file).model_dump(mode="json")
            for problem in problems
        ],
        "unknown": list(diff.unknown),
    }


def _object(diff: _Diff, key: ObjectId) -> dict[str, object]:
    change, found = diff.changes.get(key), diff.found.get(key)
    error = change.error if change is not None else None
    return {
        "object": str(key),
        "group": key.group,
        "kind": key.kind,
        "namespace": key.namespace,
        "name": key.name,
        "action": diff.action(key),
        "wave": change.wave if change is not None else None,
        "fields": list(found.lines) if found is not None else [],
        "unknown": [{"path": path, "references": list(references)} for path, references in diff.unknown_fields(key)],
        "ignored": list(found.ignored) if found is not None else [],
        "adopted": found is not None and found.adopted,
        "rolls": change is not None and change.rolled,
        "reason": error.reason if error is not None else "",
        "message": error.message if error is not None else "",
        "hint": error.hint if error is not None else "",
    }
