"""Rendering: which files an overlay is made of, what the renderer gets of them, and the objects that come back.

A result is a function of the files that the renderer was given, so equal files are not rendered again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent.desired import cautions, inputs, rendering
from agent.desired.compiler import UnknownChangeError
from agent.desired.inputs import Blob, Given
from agent.engine.renderers import Kustomization, SourceTree
from agent.engine.state import Rendering
from agent.manifests import kustomizations
from agent.manifests.kustomizations import Overlay
from agent.values.errors import AgentError, InputError, LimitError, SourceError
from agent.values.problems import Problem
from agent.yaml.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from agent.api.render import Kustomize
    from agent.desired.rendering import Made
    from agent.engine.context import Run
    from agent.engine.credentials import GitCredential
    from agent.engine.state import State
    from agent.manifests.documents import Parsed, TreeEntry
    from agent.manifests.substitution import Variables
    from agent.values.tree import Object

_NOTHING = Overlay({}, frozenset())


@dataclass(frozen=True, slots=True)
class Inputs:
    """What an Application's objects are rendered of. `content` names every file with its blob."""

    content: str
    overlay: Overlay
    given: Given
    handed: frozenset[str]
    blobs: Mapping[str, str]
    variables: Variables | None


async def collect(run: Run, credential: GitCredential | None, commit: str) -> Inputs | None:
    """The files of a commit that the Application renders; None where it renders none.

    Raises UnknownChangeError for what is wrong with them, and SourceError where they cannot be had.
    """
    spec = run.application.spec
    if spec.render is None and spec.substitute is None:
        return None
    try:
        return await _collected(run, credential, commit)
    except InputError as error:
        raise UnknownChangeError((Problem(error, file=str(error.facts.get("file", ""))),)) from None


async def _collected(run: Run, credential: GitCredential | None, commit: str) -> Inputs:
    spec = run.application.spec
    reader = _Reader(run, credential, commit, await run.ports.git.tree(spec.source, credential, commit))
    overlay = _NOTHING
    if spec.render is not None:
        overlay = await _followed(run, reader, [spec.render.kustomize.path, *spec.render.kustomize.components])
    named = await reader.read(overlay.uses)
    values = await reader.read(spec.substitute.files if spec.substitute else ())
    limits = Limits.served(size=run.limits.file_bytes, depth=run.limits.yaml_depth)

    def present() -> tuple[Given, frozenset[str], Variables | None]:
        given = inputs.present([(blob, overlay.uses[path]) for path, blob in named.items()], limits)
        handed = frozenset[str](given.sources)
        asked = spec.substitute
        return given, handed, inputs.variables(asked, values.values(), given, limits) if asked else None

    given, handed, variables = await run.ports.tasks.in_thread(present)
    every = {**named, **values}
    content = run.fingerprints.desired.text(*(f"{path}:{blob.blob}" for path, blob in sorted(every.items())))
    blobs = {path: blob.blob for path, blob in every.items()}
    return Inputs(content, overlay, given, handed, blobs, variables)


async def _followed(run: Run, reader: _Reader, folders: Collection[str]) -> Overlay:
    walk = kustomizations.follow(folders, reader.listing, most=run.limits.objects)
    try:
        wanted = next(walk)
        while True:
            wanted = walk.send({path: blob.data for path, blob in (await reader.read(wanted)).items()})
    except StopIteration as end:
        found = end.value
        assert isinstance(found, Overlay)
        return found


@dataclass(slots=True)
class _Reader:
    """Files of one commit by path, each within the limits, and all of them together too."""

    run: Run
    credential: GitCredential | None
    commit: str
    listing: Mapping[str, TreeEntry]
    size: int = 0

    async def read(self, paths: Collection[str]) -> dict[str, Blob]:
        found = {path: self._entry(path) for path in sorted(paths)}
        self.size += sum(entry.size or 0 for entry in found.values())
        if self.size > self.run.limits.manifest_bytes:
            raise LimitError(
                "the files to render are larger together than the agent accepts",
                hint="limits.manifestBytes in the operator's file is the limit",
                limit=self.run.limits.manifest_bytes,
            )
        source = self.run.application.spec.source
        wanted = {entry.blob for entry in found.values()}
        contents: Mapping[str, bytes] = {}
        if wanted:
            contents = await self.run.ports.git.blobs(source, self.credential, self.commit, wanted)
        return {path: Blob(path, entry.blob, contents[entry.blob]) for path, entry in found.items()}

    def _entry(self, path: str) -> TreeEntry:
        entry = self.listing.get(path)
        if entry is None or entry.kind != "file":
            raise SourceError(
                "the repository has no such file", hint="check spec.substitute.files", file=path, commit=self.commit
            )
        if entry.size is None or entry.size > self.run.limits.file_bytes:
            raise LimitError(
                "larger than the agent accepts",
                hint="limits.fileBytes in the operator's file is the limit",
                file=path,
                limit=self.run.limits.file_bytes,
            )
        return entry


async def documents(
    run: Run, state: State, found: Parsed, given: Inputs, untrusted: Mapping[str, AgentError]
) -> tuple[State, Parsed, Made]:
    """The documents of a commit, rendered. Raises UnknownChangeError where nothing can be said of them.

    An overlay is one whole: of a SOPS file that cannot be trusted nothing tells which objects it would have changed.
    """
    problems = [Problem(error, file=path) for path, error in untrusted.items() if path in given.blobs]
    if problems:
        raise UnknownChangeError(tuple(problems))
    outputs: tuple[tuple[str, Object], ...] = ()
    asked = run.application.spec.render
    if asked is not None:
        state = replace(state, rendering=await _rendered(run, state, asked.kustomize, given))
        assert state.rendering is not None
        result = state.rendering.result
        if result.error is not None:
            raise UnknownChangeError((Problem(result.error, file=str(result.error.facts.get("file", ""))),))
        outputs = tuple((each.file or asked.kustomize.path, each.tree) for each in result.objects)

    def make() -> Made:
        return rendering.of(
            outputs,
            found.documents,
            sources=given.given.sources,
            handed=[each for each in given.given.sources if each in given.handed],
            variables=given.variables,
            cut=given.overlay.cut,
        )

    made = await run.ports.tasks.in_thread(make)
    return state, replace(found, documents=made.documents), made


async def _rendered(run: Run, state: State, asked: Kustomize, given: Inputs) -> Rendering:
    """What the renderer gives of these files, or gave before. Raises UnknownChangeError where it ended without an answer."""
    sources = SourceTree.of(given.given.files)
    key = run.fingerprints.desired.text(str(run.application.generation), asked.path, sources.digest)
    if state.rendering is not None and state.rendering.key == key:
        return state.rendering
    kustomization = Kustomization(asked.path.removeprefix("."), sources, _overlay(asked), origins=True)
    try:
        return Rendering(key, await run.ports.renderers.kustomize(run.application_id, kustomization))
    except AgentError as error:
        raise UnknownChangeError((Problem(error, file=asked.path),)) from None


def _overlay(asked: Kustomize) -> Object:
    """The fields of a kustomization that the Application adds, as kustomize names them."""
    up = "" if asked.path == "." else "../" * len(asked.path.split("/"))
    given: Object = asked.model_dump(
        by_alias=True, exclude_none=True, exclude_defaults=True, exclude={"path", "components", "labels"}
    )
    if asked.components:
        given["components"] = [up + path for path in asked.components]
    if asked.labels:
        given["labels"] = [{"pairs": dict(asked.labels)}]
    return given


def warnings(made: Made) -> tuple[Problem, ...]:
    return tuple(cautions.unused(made.unused))
