"""From a commit to the desired state: which commit, its files, parsed, verified, compiled. What was verified before is not opened."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from agent.desired import compiler, hooks, metadata, namespaces
from agent.desired.compiler import DesiredState, UnknownChangeError
from agent.engine import (
    charting,
    disclosing,
    gating,
    judge,
    live_variables,
    opening,
    pace,
    releases,
    rendering,
    rooms,
    several,
    suffixes,
    trusting,
)
from agent.engine.causes import Cause
from agent.engine.ports import AuditEntry
from agent.engine.rooms import LargerError
from agent.engine.state import NOTHING, Compiled, Refused, Tried
from agent.manifests import documents, generated
from agent.values.errors import AgentError, ConfigError, LimitError, SignatureError, SourceError
from agent.values.ids import short
from agent.values.problems import Problem
from agent.yaml.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent.desired.live_variables import LiveVariables
    from agent.engine.context import Run
    from agent.engine.opening import Verified
    from agent.engine.rendering import Inputs
    from agent.engine.repositories import Snapshot
    from agent.engine.several import Origin
    from agent.engine.state import Place, State
    from agent.manifests.documents import File, Parsed, ParsedFile
    from agent.manifests.kinds import Kinds
    from agent.values.ids import Revision

_BYTES_AT_A_TIME: Final = 1024 * 1024
"""Of one Application's files, before another's have their turn: a tenant's 5 MiB of YAML take seconds."""
_QUICK_BYTES: Final = 64 * 1024
"""What is parsed at once."""


class TooManyError(UnknownChangeError):
    """A commit holds more than is taken, whenever it is read."""


async def check(run: Run, state: State) -> tuple[State, Sequence[Origin]]:
    """Ask Git for the newest commit and bring it into the mirror: `checked` is what to compile, or `unread` says why there is none.

    The sources are those of the commit that was brought, if one was. A run that only heals or rotates asks nothing, and nothing is fetched where the newest commit was compiled already.
    """
    known = _known(run, state)
    if not run.rounds.resumed and state.checked is not None:
        run.rounds.version = state.checked.version
    if run.rounds.resumed or (not run.checks_source and (known is not None or state.unread)):
        return state, ()
    try:
        given = await several.origins(run)
        named = await several.heads(run, given, run.asked)
        run.rounds.version = named.version
        looked = state.checked is None or state.checked.version == named.version
        if known is not None and known.serves(named.version, known.variables) and looked and not state.unread:
            return state, ()
        if state.gate.closed and looked and not state.unread and trusting.accepted(run, given, named):
            return state, ()  # it is in the mirror since it was looked at first
        revision = await several.fetch(run, given)
        run.rounds.version = revision.version
        await trusting.check(run, given, revision)
        for each in given:
            await _note_rewrite(run, each, revision)
        given, revision = await several.expand(run, given, revision)
    except (SignatureError, ConfigError) as error:
        return replace(state, unread=(Problem(error),)), ()
    except SourceError as error:
        run.ports.credentials.invalidate(run.application_id)
        return replace(state, unread=(Problem(error),)), ()
    unread = state.refusal(revision.version, run.application.generation)
    return replace(state, checked=revision, unread=unread), given


async def read(run: Run, state: State, kinds: Kinds, given: Sequence[Origin]) -> tuple[State, Read | None]:
    """The files of the commit that was checked, parsed and verified, unless what was compiled serves it or it is `unread`.

    `given` are its sources, where the check found them. What is parsed and verified stays in the state whatever becomes of the commit, so that trying it again costs little. Raises LimitError,
    and what the cluster raises.
    """
    if not run.rounds.resumed and run.ledger.record.generation != run.application.generation:
        state = replace(state, verified={}, untaken={})
    known, commit = _known(run, state), state.checked
    if state.unread or state.gate.closed or commit is None or (known is not None and not run.checks_source):
        return state, None
    try:
        live = await charting.named(run, await live_variables.read(run))
        if known is not None and await _is_outdated(run, state, known, kinds):
            known = None
        if known is not None and known.serves(commit.version, live.version):
            return state, None
        return await _read(run, state, commit, live, known, given)
    except SourceError as error:
        return replace(state, unread=(Problem(error),)), None
    except UnknownChangeError as error:
        if isinstance(error, TooManyError):
            run.room.begin_again()
            state = replace(state, refused=Refused(commit.version, run.application.generation, error.problems))
        return replace(state, unread=error.problems), None
    except LimitError as error:
        if not _is_forgotten(run, state):
            raise
        run.room.begin_again()
        return replace(state, unread=(Problem(error),)), None


def _is_forgotten(run: Run, state: State) -> bool:
    """Whether what was applied last has to be read again, which no commit that is too large may prevent."""
    return state.compiled is None and run.ledger.record.newest is not None


async def _is_outdated(run: Run, state: State, known: Compiled, kinds: Kinds) -> bool:
    """Whether stores or the cluster answer otherwise than when this was compiled."""
    return await disclosing.changed(run, known.disclosed) or await rendering.is_answered_otherwise(run, state, kinds)


async def compile_read(run: Run, state: State, kinds: Kinds, files: Read | None) -> tuple[State, DesiredState | None]:
    """The desired state of these files, or the one compiled before; else the one applied last, marked incomplete, or None.

    Raises LimitError and what the cluster raises.
    """
    state, desired = await _compiled(run, state, kinds, files)
    if desired is None:
        return state, desired
    state = await releases.note(run, state, kinds)
    warnings = (*desired.warnings, state.release) if state.release else desired.warnings
    return state, replace(desired, problems=(*desired.problems, *map(Problem, state.gate.faults)), warnings=warnings)


def untaken(state: State) -> tuple[Problem, ...]:
    """Why there is no desired state at all. What is waited for is no problem."""
    return (*_unmet(state), *map(Problem, state.gate.faults))


def _unmet(state: State) -> tuple[Problem, ...]:
    """Why neither the newest commit nor the last one with the values of now was compiled: what holds for both is said once."""
    tried = state.tried.problems if state.tried else ()
    said = {(each.file, str(each.error)) for each in state.unread}
    return (*state.unread, *(each for each in tried if (each.file, str(each.error)) not in said))


async def _compiled(run: Run, state: State, kinds: Kinds, files: Read | None) -> tuple[State, DesiredState | None]:
    known = _known(run, state)
    if files is not None:
        try:
            state = await _compile(run, state, kinds, files)
        except UnknownChangeError as error:
            state = replace(state, unread=error.problems)
        except LimitError as error:
            if not _is_forgotten(run, state):
                raise
            state = replace(state, unread=(Problem(error),))
        else:
            return state, state.desired
    elif known is not None and not (state.unread or state.tried or (state.gate.closed and run.checks_source)):
        return state, known.desired
    return await last_good(run, state, kinds)


async def last_good(run: Run, state: State, kinds: Kinds) -> tuple[State, DesiredState | None]:
    """The desired state that was applied last, from memory or from the mirror; None where there is none.

    It has the values of variables that the last run which asks Git found, and is marked incomplete where something is wrong.
    """
    known, record = state.compiled, run.ledger.record
    if run.checks_source:
        state = replace(state, tried=None)
    if known is not None and known.desired.repository != run.application.spec.addresses:
        known = None  # its keys are not this one's, and the other way round
    if known is None and record.newest is not None and gating.same_spec(run):
        state = await _again(run, state, kinds, record.newest, None)
        known = state.compiled if state.tried is None else None
    elif known is not None and run.checks_source and known.asked == gating.fingerprint(run):
        state = await _again(run, state, kinds, known.desired.revision, known)
        known = state.compiled
    if known is None:
        return state, None
    return state, replace(known.desired, problems=(*known.desired.problems, *_unmet(state)))


async def _again(run: Run, state: State, kinds: Kinds, revision: Revision, known: Compiled | None) -> State:
    """The state with an earlier commit compiled, unless it is `known` with the values that variables have now.

    A failure is in `tried`, and leaves the rest of the state as it was.
    """
    version = ""
    try:
        live = await charting.named(run, await live_variables.read(run))
        version = live.version
        same = known is not None and known.variables == version
        if same and known is not None and not await _is_outdated(run, state, known, kinds):
            return state
        made, files = await _read(run, state, revision, live, None)
        if files is not None:
            made = await _compile(run, made, kinds, files)
    except UnknownChangeError as error:
        return replace(state, tried=Tried(version, error.problems))
    except AgentError as error:
        return replace(state, tried=Tried(version, (Problem(error),)))
    return replace(made, untaken=state.untaken)


def _known(run: Run, state: State) -> Compiled | None:
    """What was compiled of this generation of the Application."""
    compiled = state.compiled
    return compiled if compiled is not None and compiled.generation == run.application.generation else None


@dataclass(frozen=True, slots=True)
class Read:
    """The files of a commit: `content` is a digest of every path and blob, `verified` what is known of the encrypted ones.

    `inputs` are those that are rendered, and the values of variables.
    """

    revision: Revision
    snapshot: Snapshot
    content: str
    parsed: Parsed
    verified: Verified
    inputs: Inputs | None


async def _read(  # noqa: PLR0917  # what is asked for, and what is known of it
    run: Run,
    state: State,
    revision: Revision,
    live: LiveVariables,
    known: Compiled | None,
    given: Sequence[Origin] = (),
) -> tuple[State, Read | None]:
    """A commit's files; None where what is `known` has the same content. Raises UnknownChangeError, SourceError, LimitError."""
    if not given:
        given, revision = await several.expand(run, await several.origins(run), revision)
    run = replace(run, revision=revision)
    try:
        snapshot = await several.files(run, given, revision, state.parsed)
    except LargerError:
        if isinstance(lacking := run.room.lacking(), LargerError):
            raise
        raise TooManyError((Problem(lacking),)) from None
    inputs = await rendering.committed(run, given, revision, live)
    content = run.fingerprints.desired.text(
        *(f"{file.layer}:{file.path}:{file.blob}" for file in snapshot.files),
        *(f"refused:{path}:{error}" for path, error in snapshot.refused),
        *(f"rendered:{path}:{blob}" for path, blob in (inputs.blobs.items() if inputs else ())),
        *([f"variables:{live.version}"] if live.version else ()),
        *(f"submodule:{each.path}:{each.url}" for each in revision.submodules),
    )
    if known is not None and known.content == content and not known.desired.incomplete:
        return replace(state, compiled=replace(known, commit=revision.version)), None
    try:
        parsed = await _parse(run, state.parsed, snapshot)
    except LimitError as error:
        raise TooManyError((Problem(error),)) from None
    state = replace(state, parsed=parsed)
    found = documents.collect((path, file) for (path, _, _), file in parsed.items())
    before = {*state.verified.items(), *state.untaken.items()}
    blobs = {file.path: file.blob for file in snapshot.files}
    if inputs is not None:
        found = replace(found, sealed={**found.sealed, **inputs.given.sealed})
        blobs |= inputs.blobs
    # no key is asked for what is not taken anyway
    count = len(found.documents) <= run.limits.objects
    verified = await opening.verify(run, before, found, blobs) if count else opening.Verified({}, {})
    return replace(state, untaken=verified.blobs), Read(revision, snapshot, content, found, verified, inputs)


async def _compile(run: Run, state: State, kinds: Kinds, files: Read) -> State:
    """The state with these files compiled. Raises UnknownChangeError, LimitError and what the cluster raises."""
    spec, revision, found, snapshot = run.application.spec, files.revision, files.parsed, files.snapshot
    made, settled, disclosed, rendered = None, suffixes.NOTHING, NOTHING, 0
    run = replace(run, revision=revision)
    if files.inputs is not None:
        rendering.trusted(files.inputs, files.verified.untrusted, run.grants.strict)
        inputs, disclosed = await disclosing.disclose(run, revision, files.inputs)
        state, found, made, settled = await rendering.documents(run, state, kinds, found, inputs)
        rendered = rooms.of_rendered(found.documents)
        run.room.take(rendered)
    documents.refuse_many(found.documents, objects=run.limits.objects, values=run.limits.values)
    recorded = run.ledger.record.of_file
    desired = await run.ports.tasks.in_thread(
        lambda: compiler.compute(
            revision,
            found,
            untrusted=files.verified.untrusted,
            refused=snapshot.refused,
            layered=len(spec.source.layers) + (spec.render is not None) > 1,
            kinds=kinds,
            places=run.places,
            recorded=recorded,
            unsealing=run.grants.unsealing,
            strict=run.grants.strict,
            ignore=spec.ignore,
        )
    )
    desired = namespaces.created(settled.stated(desired), run.application)
    desired = replace(metadata.stamp(desired, spec.common_metadata), repository=spec.addresses)
    if files.inputs is not None and made is not None:
        desired = replace(
            desired,
            expressions=made.expressions,
            questions=made.questions,
            notes=made.notes,
            generated=generated.kept(made.generated, desired.objects, made.expressions, run.application.namespace),
            whole=files.inputs.given.whole,
            live=files.inputs.live.keys,
            variables=await run.ports.tasks.in_thread(files.inputs.labels),
            warnings=(*desired.warnings, *rendering.warnings(made, files.inputs, disclosed.names)),
        )
    desired = hooks.apart(desired, found.documents)
    desired_digests = await pace.over_all(
        run,
        (item.tree for item in desired.everything.values()),
        lambda: judge.desired_digests(
            run.fingerprints.desired, run.application_id.uid, desired.objects, hooks=desired.hooks
        ),
    )
    variables = files.inputs.live.version if files.inputs is not None else ""
    generation = run.application.generation
    asked = gating.fingerprint(run)
    compiled = Compiled(
        desired, generation, files.content, desired_digests, revision.version, variables, disclosed, asked, rendered
    )
    return replace(state, compiled=compiled, verified=files.verified.blobs, untaken={}, tried=None)


async def _parse(run: Run, known: Mapping[Place, ParsedFile], snapshot: Snapshot) -> dict[Place, ParsedFile]:
    """Parse what is new; what stood at the same path with the same blob before is known."""
    limits = Limits.served(size=run.limits.file_bytes, depth=run.limits.yaml_depth)
    parsed = {place: known[place] for file in snapshot.files if (place := _place(file)) in known}
    waiting = [file for file in snapshot.files if _place(file) not in parsed]
    found = [each for file in parsed.values() for each in file.documents]
    while waiting:
        size = 0
        some: list[File] = []
        while waiting and size < _BYTES_AT_A_TIME:
            file = waiting.pop()
            size += len(file.data)
            some.append(file)

        def work(some: Sequence[File] = some) -> dict[Place, ParsedFile]:
            return {_place(file): documents.parse_file(file, limits=limits) for file in some}

        run.room.check(rooms.expected(some, limits.values))
        new = work() if size <= _QUICK_BYTES else await run.ports.tasks.in_thread(work)
        parsed |= new
        run.room.take(sum(rooms.of_documents(file.documents) for file in new.values()))
        found += [each for file in new.values() for each in file.documents]
        if waiting:
            documents.refuse_many(found, objects=run.limits.objects, values=run.limits.values)
    run.room.take(rooms.of_copies(found))
    return {_place(file): parsed[_place(file)] for file in snapshot.files}


def _place(file: File) -> Place:
    return file.path, file.blob, file.layer


async def _note_rewrite(run: Run, origin: Origin, newest: Revision) -> None:
    """A branch that was rewritten is followed, and reported."""
    before, new = run.ledger.record.newest, origin.of(newest)
    old = None if before is None else dict((("", before), *before.further)).get(origin.name)
    if old is None or old.commit == new.commit or old.ref != new.ref:
        return
    if await run.ports.git.is_ancestor(origin.source, origin.credential, old.commit, new.commit):
        return
    await run.ports.audit.write(
        [
            AuditEntry(
                "event", run.id, Cause.COMMIT, run.application_id, newest, "forced-push", facts={"before": old.commit}
            )
        ]
    )
    await run.ports.home.event(
        run.application_id,
        kind="Warning",
        reason="ForcedPush",
        message=f"the branch was rewritten: {short(new.commit)} does not descend from {short(old.commit)}",
    )
