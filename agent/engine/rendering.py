"""Rendering: which files an overlay is made of, what the renderer gets of them, and the objects that come back.

A result is a function of the files that the renderer was given, so equal files are not rendered again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from agent.desired import cautions, disclosing, generators, inputs, live_variables, rendering
from agent.desired.compiler import UnknownChangeError
from agent.desired.generators import Generated
from agent.engine import charting, charts, releases, several, suffixes
from agent.engine.bases import Mounted, Reader
from agent.engine.charts import Release
from agent.engine.renderers import Kustomization, SourceTree
from agent.engine.rooms import Room
from agent.engine.state import Rendering
from agent.manifests import hooks, kustomizations, remote_bases
from agent.manifests.kustomizations import Overlay, Wanted
from agent.manifests.remote_bases import Allowed
from agent.values.errors import AgentError, InputError
from agent.values.problems import Problem
from agent.yaml.limits import Limits as YamlLimits

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from agent.api.application import ApplicationSpec
    from agent.api.operator import Limits
    from agent.api.render import Kustomize, Render, Substitute
    from agent.desired.cautions import Strictness
    from agent.desired.charts import ChartValues
    from agent.desired.inputs import Given
    from agent.desired.live_variables import LiveVariables
    from agent.desired.rendering import Made
    from agent.engine.bases import Files
    from agent.engine.chart_dependencies import Fetching
    from agent.engine.charting import ChartArchive
    from agent.engine.context import Run
    from agent.engine.ports import TasksPort
    from agent.engine.renderers import Chart, Rendered
    from agent.engine.several import Origin
    from agent.engine.state import State
    from agent.engine.suffixes import Settled
    from agent.manifests.documents import File, Parsed
    from agent.manifests.kinds import Kinds
    from agent.manifests.substitution import Variables
    from agent.values.ids import Revision
    from agent.values.tree import Object

_NOTHING = Overlay({}, frozenset())
_NOT_GENERATED = Generated()
_NO_NOTES: Final = "(the template of the notes fails)"


@dataclass(frozen=True, slots=True)
class Inputs:
    """What an Application's objects are rendered of. `blobs` has every file, by path; `values` are those of a chart."""

    overlay: Overlay
    given: Given
    generated: Generated
    handed: frozenset[str]
    blobs: Mapping[str, str]
    variables: Variables | None
    live: LiveVariables = live_variables.NONE
    values: ChartValues | None = None
    folder: str = ""

    def labels(self) -> Mapping[str, str]:
        """The names of variables with sealed values, by what each value is labelled with."""
        return disclosing.labels(self.variables, self.given.sources) if self.variables is not None else {}


async def committed(run: Run, given: Sequence[Origin], revision: Revision, live: LiveVariables) -> Inputs | None:
    """The files of a commit that the Application renders; None where it renders none. Raises as `collect`, and SourceError."""
    spec = run.application.spec
    if spec.render is None and spec.substitute is None:
        return None
    files = await several.tree(run, given, revision)
    chart = await charting.archive(run, live.chart)
    fetch = charting.fetching(run)
    return await collect(spec, files, live, run.limits, run.ports.tasks, chart=chart, fetch_chart=fetch, room=run.room)


async def collect(  # where they are, and how much of it
    spec: ApplicationSpec,
    files: Files,
    live: LiveVariables,
    limits: Limits,
    tasks: TasksPort,
    *,
    chart: ChartArchive | None = None,
    fetch_chart: Fetching | None = None,
    room: Room | None = None,
) -> Inputs:
    """The files that an Application renders. `chart` is that of a server, fetched, `fetch_chart` gets those that it depends on.

    Raises UnknownChangeError for what is wrong with them, and SourceError.
    """
    mounted = Mounted(files, chart, fetch_chart)
    try:
        return await _collected(spec, Reader(mounted, limits, room=room or Room()), live, tasks)
    except InputError as error:
        error = remote_bases.placed(error, mounted.bases)
        raise UnknownChangeError((Problem(error, file=str(error.facts.get("file", ""))),)) from None


async def _collected(spec: ApplicationSpec, reader: Reader, live: LiveVariables, tasks: TasksPort) -> Inputs:
    limits = reader.limits
    served = YamlLimits.served(size=limits.file_bytes, depth=limits.yaml_depth)
    if spec.render is not None and spec.render.helm is not None:
        found = await charts.collected(spec.render.helm, reader, served, tasks, live)
        overlay = replace(_NOTHING, bases=tuple(reader.files.bases))
        charted = _Presented(found.given, found.read, overlay, values=found.values, folder=found.folder)
        return await _with_variables(spec.substitute, reader, charted, live, tasks)
    asked = spec.render.kustomize if spec.render is not None else None
    overlay = await _followed(reader, asked, tasks) if asked is not None else _NOTHING
    named = await reader.read(overlay.uses)

    def present() -> _Presented:
        given = inputs.present([(file, overlay.uses[path]) for path, file in named.items()], served)
        return _Presented(given, named, overlay, generators.of(given, overlay))

    return await _with_variables(spec.substitute, reader, await tasks.in_thread(present), live, tasks)


@dataclass(frozen=True, slots=True)
class _Presented:
    given: Given
    read: Mapping[str, File]
    overlay: Overlay = _NOTHING
    generated: Generated = _NOT_GENERATED
    values: ChartValues | None = None
    folder: str = ""


async def _with_variables(
    asked: Substitute | None, reader: Reader, found: _Presented, live: LiveVariables, tasks: TasksPort
) -> Inputs:
    """The inputs with the values that variables have."""
    given = found.given
    handed = frozenset(found.values.handed if found.values is not None else given.sources)
    files = await reader.read(asked.files if asked else ())
    served = YamlLimits.served(size=reader.limits.file_bytes, depth=reader.limits.yaml_depth)

    def present() -> Variables | None:
        made = inputs.variables(asked, files.values(), live, given, served) if asked else None
        remote_bases.check_sealed(given.sealed)
        return made

    variables = await tasks.in_thread(present)
    blobs = {path: file.blob for path, file in sorted({**found.read, **files}.items())}
    return Inputs(found.overlay, given, found.generated, handed, blobs, variables, live, found.values, found.folder)


async def _followed(reader: Reader, asked: Kustomize, tasks: TasksPort) -> Overlay:
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


def trusted(given: Inputs, untrusted: Mapping[str, AgentError], strict: Strictness) -> None:
    """Raises UnknownChangeError where an encrypted file of an overlay cannot be trusted.

    An overlay is one whole: nothing shows which objects the file would have changed.
    """
    if strict.clear_values:
        untrusted = {**cautions.untrusted(given.given.manifests), **untrusted}
    problems = [Problem(error, file=path) for path, error in untrusted.items() if path in given.blobs]
    if problems:
        raise UnknownChangeError(tuple(problems))


async def documents(
    run: Run, state: State, kinds: Kinds, found: Parsed, given: Inputs
) -> tuple[State, Parsed, Made, Settled]:
    """The documents of the run's commit, rendered, by the names that stand.

    Raises UnknownChangeError where nothing can be said of them, and what the cluster raises.
    """
    asked, settled = run.application.spec.render, suffixes.NOTHING
    if asked is not None:
        state = replace(state, rendering=await _rendered(run, state, kinds, asked, given))
    result = state.rendering.result if asked is not None and state.rendering is not None else None
    if result is not None and asked is not None and asked.kustomize is not None:
        settled = await suffixes.settle(run, result, found, given.given)
    made = await run.ports.tasks.in_thread(
        lambda: make(
            run.application.spec,
            result and settled.result(result),
            settled.layers(found),
            given,
            run.application.namespace,
        )
    )
    return state, replace(found, documents=made.documents), made, settled


def make(spec: ApplicationSpec, result: Rendered | None, found: Parsed, given: Inputs, namespace: str) -> Made:
    """Documents of what the renderer gave and of the layers, of objects in this namespace.

    Raises UnknownChangeError where it refused what it was given.
    """
    outputs: tuple[tuple[str, Object], ...] = ()
    if spec.render is not None and result is not None:
        if result.error is not None:
            raise _refused(result.error, spec.render.path, given)
        origins = given.generated.origins
        files = (origins.get(each.file, each.file) or spec.render.path for each in result.objects)
        shown = (remote_bases.shown(file, given.overlay.bases) for file in files)
        trees = (hooks.named(each.tree) if spec.render.helm is not None else each.tree for each in result.objects)
        outputs = tuple(zip(shown, trees, strict=True))
    made = rendering.of(
        outputs,
        found.documents,
        sources={**given.given.sources, **(result.expressions if result else {})},
        handed=[each for each in given.given.sources if each in given.handed],
        variables=given.variables,
        cut=given.overlay.cut,
        folder=spec.render.path if spec.render is not None else "",
        questions=result.questions if result else (),
        generations=result.generated if result else None,
        namespace=namespace,
    )
    if result is None:
        return made
    notes = _NO_NOTES if result.notes is None else result.notes
    return replace(made, skipped=result.skipped, elsewhere=result.elsewhere, notes=notes)


def _refused(error: AgentError, path: str, given: Inputs) -> UnknownChangeError:
    error = given.generated.placed(error)
    if given.values is not None:
        error = given.values.placed(error)
    error = remote_bases.placed(error.with_facts(file=path), given.overlay.bases)
    return UnknownChangeError((Problem(error, file=str(error.facts.get("file", ""))),))


async def _rendered(run: Run, state: State, kinds: Kinds, asked: Render, given: Inputs) -> Rendering:
    """What the renderer gives of these files, or gave before.

    Raises UnknownChangeError where it ended without an answer, and what the cluster raises.
    """
    cluster = await charts.cluster_of(run.ports.target, kinds) if asked.helm is not None else None
    try:
        if asked.helm is None or given.values is None or cluster is None:
            assert asked.kustomize is not None
            return await _built(run, state.rendering, kustomize(asked.kustomize, given))
        now = run.revision.authored_at if run.revision is not None else 0
        release = Release(run.application.id.name, run.application.namespace, now)
        chart = charts.chart(asked.helm, given.folder, given.given, given.values, release=release, cluster=cluster)
        return await _charted(run, state.rendering, chart, kinds)
    except AgentError as error:
        raise UnknownChangeError((Problem(error, file=asked.path),)) from None


async def _built(run: Run, before: Rendering | None, asked: Kustomization) -> Rendering:
    replaced = sorted(asked.replaced.items())
    key = _key(run, asked.sources.digest, *(text for each in replaced for text in each))
    if before is not None and before.key == key:
        return before
    return Rendering(key, await run.ports.renderers.kustomize(run.application_id, asked))


async def _charted(run: Run, before: Rendering | None, asked: Chart, kinds: Kinds) -> Rendering:
    key = _key(run, *charts.texts(asked))
    same = before is not None and before.key == key and charts.holds(before, asked)
    if before is not None and same and not await _is_another_release(run, kinds, before):
        return before
    upgrades = before.upgrades if before is not None else False
    made = await run.ports.renderers.helm(run.application_id, replace(asked, upgrades=upgrades))
    found = Rendering(key, made, asked.cluster.version, asked.now, upgrades)
    if not await _is_another_release(run, kinds, found):
        return found
    made = await run.ports.renderers.helm(run.application_id, replace(asked, upgrades=not upgrades))
    return replace(found, result=made, upgrades=not upgrades)


async def _is_another_release(run: Run, kinds: Kinds, found: Rendering) -> bool:
    """Whether templates took an upgrade for an installation, or the other way round."""
    return found.result.of_release and found.upgrades != await releases.rendered_stands(run, kinds, found.result)


def _key(run: Run, *texts: str) -> str:
    return run.fingerprints.desired.text(str(run.application.generation), *texts)


async def is_answered_otherwise(run: Run, state: State, kinds: Kinds) -> bool:
    """Whether the cluster answers what templates asked of it otherwise than when the chart was rendered."""
    asked, before = run.application.spec.render, state.rendering
    if asked is None or asked.helm is None or before is None:
        return False
    cluster = await charts.cluster_of(run.ports.target, kinds)
    changed = cluster.version != before.version or not charts.is_answered(before.result, cluster)
    return changed or await _is_another_release(run, kinds, before)


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
    """What is rendered all the same, and hardly meant; which variables are in the clear, and which hooks are left out."""
    found = (*cautions.unused(made.unused), *cautions.clear_values(given.given.manifests))
    left = (*cautions.skipped(made.skipped), *cautions.elsewhere(made.elsewhere))
    return (*found, *left, *disclosing.warning(disclosed))
