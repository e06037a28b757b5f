"""From a commit to the desired state: fetch, parse, verify, merge. Nothing is opened that was verified before."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from agent.desired import compiler
from agent.desired.compiler import DesiredState, Problem
from agent.engine import sealing
from agent.engine.ports import AuditEntry
from agent.manifests import documents
from agent.values.errors import AgentError, LimitError, SourceError
from agent.yaml.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.engine.context import Memory, Run
    from agent.engine.ports import GitCredential, Snapshot
    from agent.manifests.documents import File, Parsed, ParsedFile
    from agent.manifests.kinds import Kinds
    from agent.values.ids import Revision

_BYTES_AT_A_TIME: Final = 1024 * 1024
"""Of one Application's files, before another's have their turn: a tenant's 5 MiB of YAML take seconds."""
_QUICK_BYTES: Final = 64 * 1024
"""What is parsed at once."""


async def read(run: Run, memory: Memory, kinds: Kinds) -> DesiredState:
    """The desired state of the newest commit, or the one in memory where a run does not ask Git or nothing is new.

    Raises SourceError, UnknownChangeError or what the cluster raises.
    """
    known = memory.desired if memory.desired_for[0] == run.application.generation else None
    if known is not None and not run.checks_source:
        return known
    source = run.application.spec.source
    try:
        credential = await run.ports.credentials.git(run.application)
        commit = await run.ports.git.head(source, credential)
        if known is not None and known.revision.commit == commit and not known.incomplete:
            return known
        revision = await run.ports.git.fetch(source, credential)
    except SourceError:
        run.ports.credentials.doubt(run.application_id)
        raise
    await _note_rewrite(run, memory, credential, revision)
    return await _merge(run, memory, kinds, credential, revision)


async def last_good(run: Run, memory: Memory, kinds: Kinds, problems: tuple[Problem, ...]) -> DesiredState | None:
    """The desired state that was applied last, from memory or from the mirror, marked incomplete; None where there is none."""
    state = memory.desired
    if state is not None and state.repository != run.application.spec.source.url:
        state = None  # its keys are not this one's, and the other way round
    recorded = memory.record.newest
    if state is None and recorded is not None and memory.record.generation == run.application.generation:
        try:
            credential = await run.ports.credentials.git(run.application)
            state = await _merge(run, memory, kinds, credential, recorded)
        except AgentError as error:
            problems = (*problems, Problem(error))
            state = None
    return None if state is None else replace(state, problems=(*state.problems, *problems))


async def _merge(
    run: Run, memory: Memory, kinds: Kinds, credential: GitCredential | None, revision: Revision
) -> DesiredState:
    spec = run.application.spec
    snapshot = await run.ports.git.files(spec.source, credential, revision.commit)
    content = run.fingerprints.recipes.text(*(f"{file.layer}:{file.path}:{file.blob}" for file in snapshot.files))
    memory.checked = revision
    known = memory.desired
    if known is not None and memory.desired_for == (run.application.generation, content) and not known.incomplete:
        return known
    parsed = await _parse(run, memory, snapshot, Limits.served(size=run.limits.file_bytes, depth=run.limits.yaml_depth))
    if len(parsed.documents) > run.limits.objects:
        raise LimitError(
            "the commit holds more objects than the agent takes",
            hint="split the Application, or raise limits.objects in the operator's file",
            limit=run.limits.objects,
            found=len(parsed.documents),
        )
    untrusted = await sealing.verify(run, memory, parsed, {file.path: file.blob for file in snapshot.files})
    record = memory.record
    state = await run.ports.tasks.apart(
        lambda: compiler.compute(
            revision,
            parsed,
            untrusted=untrusted,
            refused=snapshot.refused,
            layered=len(spec.source.layers) > 1,
            kinds=kinds,
            namespace=run.application.namespace,
            allowed_namespaces=frozenset({run.application.namespace}),
            recorded=record.of_file,
            unsealing=run.grants.unsealing,
            strict=run.grants.strict,
        )
    )
    state = replace(state, repository=spec.source.url)
    memory.desired = state
    memory.desired_for = (run.application.generation, content)
    return state


async def _parse(run: Run, memory: Memory, snapshot: Snapshot, limits: Limits) -> Parsed:
    """Parse what is new; what stood at the same path with the same blob before is taken from memory."""
    known = memory.parsed
    parsed = {place: known[place] for file in snapshot.files if (place := _place(file)) in known}
    waiting = [file for file in snapshot.files if _place(file) not in parsed]
    while waiting:
        size = 0
        some: list[File] = []
        while waiting and size < _BYTES_AT_A_TIME:
            file = waiting.pop()
            size += len(file.data)
            some.append(file)

        def work(some: Sequence[File] = some) -> dict[tuple[str, str, int], ParsedFile]:
            return {_place(file): documents.parse_file(file, limits=limits) for file in some}

        parsed |= work() if size <= _QUICK_BYTES else await run.ports.tasks.apart(work)
    memory.parsed = {_place(file): parsed[_place(file)] for file in snapshot.files}
    return documents.collect((path, found) for (path, _, _), found in memory.parsed.items())


def _place(file: File) -> tuple[str, str, int]:
    return file.path, file.blob, file.layer


async def _note_rewrite(run: Run, memory: Memory, credential: GitCredential | None, new: Revision) -> None:
    """A branch that was rewritten is followed, and told."""
    old = memory.record.newest
    if old is None or old.commit == new.commit or old.ref != new.ref:
        return
    source = run.application.spec.source
    if await run.ports.git.is_ancestor(source, credential, old.commit, new.commit):
        return
    await run.ports.audit.write(
        [AuditEntry("event", run.id, "git", run.application_id, new, "forced-push", facts={"before": old.commit})]
    )
    await run.ports.home.event(
        run.application_id,
        kind="Warning",
        reason="ForcedPush",
        message=f"the branch was rewritten: {new.commit[:12]} does not descend from {old.commit[:12]}",
    )
