"""Rendering: which files an overlay is made of, what the renderer gets of them, and the objects that come back.

A result is a function of the files that the renderer was given, so equal files are not rendered again.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from agent.desired import cautions, disclosing, generators, inputs, live_variables, rendering
from agent.desired.compiler import UnknownChangeError
from agent.engine import suffixes
from agent.engine.bases import CommittedFiles, Mounted
from agent.engine.renderers import Kustomization, SourceTree
from agent.engine.state import Rendering
from agent.manifests import kustomizations, remote_bases
from agent.manifests.documents import File
from agent.manifests.kustomizations import Overlay, Wanted
from agent.manifests.remote_bases import Allowed
from agent.values.errors import AgentError, InputError, LimitError, SourceError
from agent.values.problems import Problem
from agent.yaml.limits import Limits as YamlLimits

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from agent.api.application import ApplicationSpec
    from agent.api.operator import Limits
    from agent.api.render import Kustomize
    from agent.desired.cautions import Strictness
    from agent.desired.generators import Generated
    from agent.desired.inputs import Given
    from agent.desired.live_variables import LiveVariables
    from agent.desired.rendering import Made
    from agent.engine.bases import Files
    from agent.engine.context import Run
    from agent.engine.credentials import GitCredential
    from agent.engine.ports import TasksPort
    from agent.engine.renderers import Rendered
    from agent.engine.state import State
    from agent.engine.suffixes import Settled
    from agent.manifests.documents import Parsed
    from agent.manifests.substitution import Variables
    from agent.values.tree import Object

_NOTHING = Overlay({}, frozenset())


@dataclass(frozen=True, slots=True)
class Inputs:
    """What an Application's objects are rendered of. `blobs` has every file, by path."""

    overlay: Overlay
    given: Given
    generated: Generated
    handed: frozenset[str]
    blobs: Mapping[str, str]
    variables: Variables | None
    live: LiveVariables = live_variables.NONE

    def labels(self) -> Mapping[str, str]:
        """The names of variables with sealed values, by what each value is labelled with."""
        return disclosing.labels(self.variables, self.given.sources) if self.variables is not None else {}


async def committed(run: Run, credential: GitCredential | None, commit: str, live: LiveVariables) -> Inputs | None:
    """The files of a commit that the Application renders; None where it renders none. Raises as `collect`, and SourceError."""
    spec = run.application.spec
    if spec.render is None and spec.substitute is None:
        return None
    listing = await run.ports.git.tree(spec.source, credential, commit)
    files = CommittedFiles(run, spec.source, credential, commit, listing)
    return await collect(spec, files, live, run.limits, run.ports.tasks)


async def collect(spec: ApplicationSpec, files: Files, live: LiveVariables, limits: Limits, tasks: TasksPort) -> Inputs:
    """The files that an Application renders. Raises UnknownChangeError for what is wrong with them, and SourceError."""
    mounted = Mounted(files)
    try:
        return await _collected(spec, mounted, live, limits, tasks)
    except InputError as error:
        error = remote_bases.placed(error, mounted.bases)
        raise UnknownChangeError((Problem(error, file=str(error.facts.get("file", ""))),)) from None


async def _collected(
    spec: ApplicationSpec, files: Mounted, live: LiveVariables, limits: Limits, tasks: TasksPort
) -> Inputs:
    reader = _Reader(files, limits)
    overlay = await _followed(reader, spec.render.kustomize, tasks) if spec.render is not None else _NOTHING
    named = await reader.read(overlay.uses)
    values = await reader.read(spec.substitute.files if spec.substitute else ())
    served = YamlLimits.served(size=limits.file_bytes, depth=limits.yaml_depth)

    def present() -> tuple[Given, Generated, frozenset[str], Variables | None]:
        given = inputs.present([(file, overlay.uses[path]) for path, file in named.items()], served)
        handed = frozenset[str](given.sources)
        generated = generators.of(given, overlay)
        asked = spec.substitute
        variables = inputs.variables(asked, values.values(), live, given, served) if asked else None
        remote_bases.check_sealed(given.sealed)
        return given, generated, handed, variables

    given, generated, handed, variables = await tasks.in_thread(present)
    blobs = {path: file.blob for path, file in sorted({**named, **values}.items())}
    return Inputs(overlay, given, generated, handed, blobs, variables, live)


async def _followed(reader: _Reader, asked: Kustomize, tasks: TasksPort) -> Overlay:
    walk = kustomizations.follow(
        [asked.path, *asked.components],
        reader.files.listing,
        most=reader.limits.objects,
        generate=asked.generate,
        allowed=Allowed(tuple(each.url for each in asked.remote_bases), reader.files.own.granted),
    )
    contents: dict[str, bytes] | None = None

    def step() -> Wanted | Overlay:
        try:
            return next(walk) if contents is None else walk.send(contents)
        except StopIteration as end:
            found = end.value
            assert isinstance(found, Overlay)
            return found

    while not isinstance(wanted := await tasks.in_thread(step), Overlay):
        for base in wanted.bases:
            files = await reader.files.fetch(base)
            await tasks.in_thread(partial(reader.files.mount, base, files))
        contents = {path: file.data for path, file in (await reader.read(wanted.paths)).items()}
    return wanted


@dataclass(slots=True)
class _Reader:
    """Files by path, each within the limits, and all of them together too."""

    files: Mounted
    limits: Limits
    size: int = 0
    known: dict[str, File] = field(default_factory=dict[str, File])

    async def read(self, paths: Collection[str]) -> Mapping[str, File]:
        new = sorted({*paths} - self.known.keys())
        self.size += sum(map(self._size, new))
        if self.size > self.limits.manifest_bytes:
            raise LimitError(
                "the files to render are larger together than the agent accepts",
                hint="limits.manifestBytes in the operator's file is the limit",
                limit=self.limits.manifest_bytes,
            )
        self.known.update(await self.files.read(new))
        return {path: self.known[path] for path in sorted(paths)}

    def _size(self, path: str) -> int:
        entry = self.files.listing.get(path)
        if entry is None or entry.kind != "file":
            raise SourceError("the repository has no such file", hint="check spec.substitute.files", file=path)
        if entry.size is None or entry.size > self.limits.file_bytes:
            raise LimitError(
                "larger than the agent accepts",
                hint="limits.fileBytes in the operator's file is the limit",
                file=path,
                limit=self.limits.file_bytes,
            )
        return entry.size


def trusted(given: Inputs, untrusted: Mapping[str, AgentError], strict: Strictness) -> None:
    """Raises UnknownChangeError where an encrypted file of an overlay cannot be trusted.

    An overlay is one whole: nothing tells which objects the file would have changed.
    """
    if strict.clear_values:
        untrusted = {**cautions.untrusted(given.given.manifests), **untrusted}
    problems = [Problem(error, file=path) for path, error in untrusted.items() if path in given.blobs]
    if problems:
        raise UnknownChangeError(tuple(problems))


async def documents(run: Run, state: State, found: Parsed, given: Inputs) -> tuple[State, Parsed, Made, Settled]:
    """The documents of a commit, rendered, by the names that stand. Raises UnknownChangeError where nothing can be said of them."""
    asked, settled = run.application.spec.render, suffixes.NOTHING
    if asked is not None:
        state = replace(state, rendering=await _rendered(run, state, asked.kustomize, given))
    result = state.rendering.result if asked is not None and state.rendering is not None else None
    if result is not None:
        settled = await suffixes.settle(run, result, found, given.given)
    made = await run.ports.tasks.in_thread(
        lambda: make(run.application.spec, result and settled.result(result), settled.layers(found), given)
    )
    return state, replace(found, documents=made.documents), made, settled


def make(spec: ApplicationSpec, result: Rendered | None, found: Parsed, given: Inputs) -> Made:
    """Documents of what the renderer gave and of the layers. Raises UnknownChangeError where it refused the overlay."""
    outputs: tuple[tuple[str, Object], ...] = ()
    if spec.render is not None and result is not None:
        if result.error is not None:
            error = given.generated.placed(result.error).with_facts(file=spec.render.kustomize.path)
            error = remote_bases.placed(error, given.overlay.bases)
            raise UnknownChangeError((Problem(error, file=str(error.facts.get("file", ""))),))
        origins = given.generated.origins
        files = (origins.get(each.file, each.file) or spec.render.kustomize.path for each in result.objects)
        shown = (remote_bases.shown(file, given.overlay.bases) for file in files)
        outputs = tuple(zip(shown, (each.tree for each in result.objects), strict=True))
    return rendering.of(
        outputs,
        found.documents,
        sources=given.given.sources,
        handed=[each for each in given.given.sources if each in given.handed],
        variables=given.variables,
        cut=given.overlay.cut,
        folder=spec.render.kustomize.path if spec.render is not None else "",
    )


async def _rendered(run: Run, state: State, asked: Kustomize, given: Inputs) -> Rendering:
    """What the renderer gives of these files, or gave before. Raises UnknownChangeError where it ended without an answer."""
    kustomization = kustomize(asked, given)
    replaced = sorted(kustomization.replaced.items())
    key = run.fingerprints.desired.text(
        str(run.application.generation), kustomization.sources.digest, *(text for each in replaced for text in each)
    )
    if state.rendering is not None and state.rendering.key == key:
        return state.rendering
    try:
        return Rendering(key, await run.ports.renderers.kustomize(run.application_id, kustomization))
    except AgentError as error:
        raise UnknownChangeError((Problem(error, file=asked.path),)) from None


def kustomize(asked: Kustomize, given: Inputs) -> Kustomization:
    """What the renderer is asked, with the fields of a kustomization that the Application adds, as kustomize names them."""
    up = "" if asked.path == "." else "../" * len(asked.path.split("/"))
    added: Object = asked.model_dump(
        by_alias=True,
        exclude_none=True,
        exclude_defaults=True,
        exclude={"path", "generate", "remote_bases", "components", "labels"},
    )
    if asked.components:
        added["components"] = [up + path for path in asked.components]
    if asked.labels:
        added["labels"] = [{"pairs": dict(asked.labels)}]
    sources = SourceTree.of({**given.given.files, **given.generated.files})
    folder = "" if asked.path == "." else asked.path
    return Kustomization(folder, sources, added, origins=True, replaced=given.generated.kustomizations)


def warnings(made: Made, given: Inputs, disclosed: Collection[str] = ()) -> tuple[Problem, ...]:
    """What is rendered all the same, and hardly meant; and which variables are in the clear."""
    found = (*cautions.unused(made.unused), *cautions.clear_values(given.given.manifests))
    return (*found, *disclosing.warning(disclosed))
