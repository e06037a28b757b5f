"""`agent diff`: a work tree against the cluster, by server-side dry run, secrets as fingerprints."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from agent.cli import flags, terminal
from agent.cli.errors import UsageError
from agent.values.errors import AgentError, ClusterUnavailableError, StoreDeniedError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from agent.adapters.kubernetes.cluster import Cluster
    from agent.api.application import ApplicationSpec
    from agent.api.sources import Source
    from agent.cli.applications.applied import Applied
    from agent.cli.applications.comparison import Difference
    from agent.cli.applications.desired import Declared
    from agent.cli.applications.worktree import Target
    from agent.desired.compiler import DesiredState
    from agent.engine.ports import Resolved
    from agent.manifests.references import Reference
    from agent.values.ids import ObjectId
    from agent.values.problems import Problem

_DESCRIPTION = """\
Compare the objects that a folder of manifests merges to with those in the cluster: what would the agent's next run do?

Encrypted files are opened with your keys, found as `agent decrypt` finds them, and the API server is asked by server-side dry run as
the agent's field manager: you need `get` and `patch` on the objects, and `create` for new ones. Nothing is written. Secrets show as
fingerprints (fp:…) under a key of this run: one field has two of them where its value changes. A field that refers to Vault is compared
where --vault-store says which server that is; else it is named and left out, as is a value that your keys do not open. Only data of
Secrets is secret by its place: give -f, and --operator-file where custom resources hold secrets, and every object of a kind that may
hold one is compared by fingerprints.

With -f the Application is looked up in the cluster, and the agent's own rules decide: what is held, and then nothing is pruned; what would
be pruned, and what a guard keeps; which object another Application owns. What another tool applied is shown as it stands: the agent takes
its fields over, and removes those that are not in the tree. The agent's record and all objects of the Application are read for that. What
confirms deletions counts here as for the agent; a commit alone does where the tree is just what HEAD has.

actions: create, change and prune; replace deletes an object and creates it again, because an immutable field changes; roll restarts a
workload, because a Secret changes; conflict, hold and keep leave an object as it is, for the reason shown; unknown: the object, or a field
of it, could not be compared. Waves are numbered in the order in which they are applied.

causes, with -f, named as in the audit trail: commit and spec: the change comes from Git or from the Application; live-edit and
live-deletion: the live object differs from what the agent applied; secret-source: the store has another version of a value; roll: a Secret
that the workload uses changes; record-lost: the agent has no record of applying it. A cause is known only if this repository has the commit
that was applied last and the Application's source has not changed since; otherwise it is shown as unknown, and why.

What you may not read is listed as not known, and the rest is shown: kinds that you may not list, the agent's record, a value that the store
denies you though the agent may read it. A store that does not answer you is assumed to be down for the agent too.

exit codes: 0 the same, 1 something differs, 2 something is held, refused, in conflict or could not be compared, or a request failed; what
your role does not let you list, or no --vault-store is given for, changes no exit code
"""
_EXAMPLES = """\
examples:
  agent diff --layers base,envs/prod -n shop            this folder against the current context
  agent diff -f application.yaml ~/src/shop             and what the agent would delete, keep or refuse
  agent diff -f application.yaml --vault-store main=https://vault.example.com:8200
  agent diff -f application.yaml --context prod -o json | jq '.objects[] | select(.action == "change")'
"""


def configure(parser: argparse.ArgumentParser) -> None:
    from agent.cli.applications import tree_flags
    from agent.cli.cluster import connection
    from agent.cli.keys import key_sources, user_stores

    parser.description = _DESCRIPTION
    parser.epilog = _EXAMPLES
    tree_flags.add_options(parser)
    parser.add_argument("--prune", action="store_true", help="needs -f, with which deletions are always shown")
    parser.add_argument(
        "--agent-namespace", default="signet-system", metavar="NAME", help="where the agent runs (default: %(default)s)"
    )
    user_stores.add_options(parser)
    key_sources.add_options(parser)
    connection.add_options(parser)
    terminal.output_option(parser)


def run(args: argparse.Namespace) -> int:
    try:
        return asyncio.run(_diff(args))
    except AgentError as error:
        terminal.error(error)
        return 2


async def _diff(args: argparse.Namespace) -> int:
    from agent.cli.applications import applied, desired, differences, preview, survivors, tree_flags, worktree
    from agent.cli.cluster import connection
    from agent.desired.compiler import UnknownChangeError
    from agent.values.dataclass import replace

    try:
        target = worktree.target(flags.typed(tree_flags.Asked, args))
    except UnknownChangeError as error:
        return differences.tell_nothing(desired.problems_of(error), args.output)
    if args.prune and target.application is None:
        raise UsageError("--prune needs -f: only the Application shows which objects it owns")
    settings = connection.settings(args.kubeconfig, args.context)
    target = replace(target, namespace=target.namespace or settings.namespace)
    sealed: set[ObjectId] = set()
    async with connection.connect(settings, seals=sealed.__contains__) as connected:
        try:
            looked = await _look(args, connected, target)
            declared = await _declared(args, connected, target, looked)
            answers, denied = await _resolve(args, target, declared)
            found, held = await _compare(connected, target, declared, answers, sealed, looked)
        except UnknownChangeError as error:
            return differences.tell_nothing(desired.problems_of(error), args.output)
        if target.application is not None:
            of = target.application.id.namespace or settings.namespace
            if missing := await applied.missing_account(connected, target.application, of):
                terminal.warn(missing)
    waiting, earlier = survivors.expected(declared.state, found, looked)
    if earlier:
        named = ", ".join(map(str, earlier[:3])) + (f" and {len(earlier) - 3} more" if len(earlier) > 3 else "")
        terminal.warn(
            f"an earlier Application owns {named}: the agent takes over what its key proves, and"
            " writes nothing until agent recover hands over the rest (RecoveryNeeded)"
        )
    state = declared.state.holding({**held, **waiting})
    before, why_not = await _before(connected, target, looked)
    prunes = target.application is not None and target.application.spec.prune
    shown = preview.compute(state, before, found, looked, prunes=prunes)
    desired.warn(state.warnings)
    problems = (*looked.problems, *replace(declared, state=state).problems, *denied)
    return differences.show(
        differences.Differences(state, found, shown, looked, problems, why_not=why_not), target, args.output
    )


async def _look(args: argparse.Namespace, connected: Cluster, target: Target) -> Applied:
    from agent.cli.applications import applied

    if target.application is None:
        return applied.Applied()
    return await applied.look(connected, target.application, args.agent_namespace)


async def _declared(args: argparse.Namespace, connected: Cluster, target: Target, looked: Applied) -> Declared:
    """What the work tree asks for: as the commit at HEAD where it is one, whose deletions may have been confirmed."""
    from agent.cli.applications import committed_files, comparison, desired, standing, worktree
    from agent.cli.keys import key_sources
    from agent.values.dataclass import replace

    snapshot = worktree.read(target)
    commit = await committed_files.commit_of(target, snapshot)
    return await desired.compute(
        target,
        await connected.kinds(),
        key_sources.master_keys(flags.typed(key_sources.Access, args)),
        snapshot=snapshot,
        revision=replace(desired.NO_COMMIT, commit=commit),
        unopened=comparison.UNOPENED,
        recorded=looked.record.of_file,
        cluster=connected,
        names=standing.Names(connected, looked, target.places),
    )


async def _before(connected: Cluster, target: Target, looked: Applied) -> tuple[DesiredState | None, str]:
    """What was applied last; else why that is not known."""
    from agent.cli.applications import committed_files, desired, standing, worktree

    commit, why_not = _last_commit(target, looked)
    if why_not:
        return None, why_not
    try:
        snapshot, renders = committed_files.read(target, commit), worktree.renders(target.spec)
        files = committed_files.files(target, commit) if renders else None
        if snapshot is None or (renders and files is None):
            return None, "the commit that was applied last is not here"
        names, kinds = standing.Names(connected, looked, target.places, asks=False), await connected.kinds()
        before = await desired.compute(
            target, kinds, None, snapshot=snapshot, files=files, cluster=connected, names=names
        )
    except AgentError as error:
        return None, f"what was applied last cannot be made again ({error.reason}: {error})"
    return before.state, ""


def _last_commit(target: Target, looked: Applied) -> tuple[str, str]:
    """The commit that was applied last, if the Application was the same then and is made of it alone; else why not."""
    record, application, file = looked.record, looked.application, target.application
    if record.revision is None or application is None or file is None:
        return "", "what was applied last is not known"
    if record.generation != application.generation:
        return "", "the agent has not yet applied a commit by the spec as it stands in the cluster"
    if _made_of(application.spec, application.spec.source) != _made_of(file.spec, target.source):
        return "", "the file has another source than the Application in the cluster"
    if file.spec.reads or file.spec.sources:
        return "", "variables of the cluster or further sources were part of what was applied last"
    return record.revision.commit, ""


def _made_of(spec: ApplicationSpec, source: Source) -> tuple[object, ...]:
    return source, spec.render, spec.substitute


async def _compare(  # noqa: PLR0917  # what is compared, with what, and what is known of it
    connected: Cluster,
    target: Target,
    declared: Declared,
    answers: Mapping[Reference, Resolved | AgentError],
    sealed: set[ObjectId],
    looked: Applied,
) -> tuple[list[Difference], dict[ObjectId, AgentError]]:
    """The objects as far as they can be compared, and why others are held."""
    from agent.cli.applications import desired
    from agent.cli.applications.comparison import Comparison
    from agent.controllers.tasks import AsyncTasks
    from agent.values.fingerprint import Fingerprinter
    from agent.values.secret import Secret

    comparison = Comparison(
        connected,
        await connected.kinds(),
        answers=answers,
        fingerprints=Fingerprinter.derive(Secret(os.urandom(32), "key of this run"), "leaf"),
        sinks=target.sinks,
        namespaces=frozenset(key.name for key in declared.opened if (key.group, key.kind) == ("", "Namespace")),
        sealed=sealed,
        force=target.application is None or target.application.spec.sync.force,
        managers=target.people,
        record=looked.record if looked.uid else None,
        uid=looked.uid,
    )
    outage: list[ClusterUnavailableError] = []
    held: dict[ObjectId, AgentError] = {}
    in_order = [step.assembled.id for step in desired.planned(declared).steps if step.hooked is None]

    async def one(number: int, key: ObjectId) -> Difference | None:
        if outage:
            return None
        try:
            found = await comparison.of(declared.state.objects[key], declared.opened[key])
        except ClusterUnavailableError as error:
            outage.append(error)
            return None
        except AgentError as error:
            held[key] = error.with_facts(object=key, file=", ".join(declared.state.objects[key].files))
            return None
        if not number % 25:
            terminal.progress(f"compared {number} of {len(in_order)}")
        return found

    results = await AsyncTasks().all([one(number, key) for number, key in enumerate(in_order, 1)])
    if outage:
        raise outage[0]
    return [result for result in results if result is not None], held


async def _resolve(
    args: argparse.Namespace, target: Target, declared: Declared
) -> tuple[Mapping[Reference, Resolved | AgentError], tuple[Problem, ...]]:
    """The answers of the stores that the user named, and what was denied: the agent may read it, so that is no answer.

    A reference to another store is not asked for.
    """
    from agent.cli.keys import user_stores
    from agent.manifests import references
    from agent.values.ids import ApplicationId
    from agent.values.problems import Problem

    named = user_stores.named(args.vault_store)
    asked = {
        reference: key
        for key, tree in declared.opened.items()
        for reference in references.find(tree)
        if reference.store in named
    }
    stores = user_stores.open_stores(args.vault_store)
    try:
        answers = await stores.resolve(ApplicationId(target.namespace, "work tree", ""), asked)
    finally:
        await stores.close()
    denied = {key: answer for key, answer in answers.items() if isinstance(answer, StoreDeniedError)}
    problems = tuple(
        Problem(error.with_facts(reference=str(reference)), asked[reference]) for reference, error in denied.items()
    )
    return {key: answer for key, answer in answers.items() if key not in denied}, problems
