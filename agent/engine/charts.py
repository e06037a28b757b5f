"""Charts: which files one is made of, what the renderer is asked, and whether what it gave before still holds in this cluster."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.desired import charts, inputs
from agent.engine import chart_dependencies
from agent.engine.renderers import Chart, Cluster, SourceTree
from agent.manifests import charts as chart_files
from agent.manifests.remote_bases import Base
from agent.values.errors import ChartError

if TYPE_CHECKING:
    from agent.api.helm import Helm
    from agent.desired.charts import ChartValues
    from agent.desired.inputs import Given
    from agent.desired.live_variables import LiveVariables
    from agent.engine.bases import Reader
    from agent.engine.ports import TargetPort, TasksPort
    from agent.engine.renderers import Rendered
    from agent.engine.state import Rendering
    from agent.manifests.documents import File
    from agent.manifests.kinds import Kinds
    from agent.yaml.limits import Limits as YamlLimits

LONGEST_NAME: Final = 53
"""Characters of a release's name, as Helm has it."""


@dataclass(frozen=True, slots=True)
class ChartFiles:
    """`folder` is where the chart is, `given` what the renderer gets of the chart and of files of values, `values` their order, `read` the committed files."""

    folder: str
    given: Given
    values: ChartValues
    read: dict[str, File]


async def _folder(asked: Helm, reader: Reader, tasks: TasksPort) -> str:
    """The chart's folder. One of a server is put beside the files of the source first, as a remote base is."""
    chart, archive = asked.chart, reader.files.chart
    if chart.path is not None:
        return chart.path
    if archive is None:
        raise ChartError(
            "commands on a work tree fetch no charts",
            hint="helm pull --untar, and name the folder with --helm",
            chart=chart.shown,
        )
    base = Base(chart.shown, archive.found.digest)
    await tasks.in_thread(lambda: reader.files.mount(base, archive))
    return f"{base.folder}/{chart_files.folder_of(archive.listing, shown=chart.shown)}"


async def collected(
    asked: Helm, reader: Reader, limits: YamlLimits, tasks: TasksPort, live: LiveVariables
) -> ChartFiles:
    """The chart and its values. Raises ChartError, LimitError, SourceError and what presenting raises."""
    folder = await _folder(asked, reader, tasks)
    uses = await tasks.in_thread(lambda: chart_files.uses(folder, reader.files.listing))
    for path in asked.values_files:
        entry = reader.files.listing.get(path)
        if entry is None or entry.kind != "file":
            raise ChartError(
                "the repository has no such file of values",
                hint="check spec.render.helm.valuesFiles: paths begin at the repository's root",
                file=path,
            )
    own = await reader.read(uses)
    named = await reader.read(asked.values_files)
    needed = await chart_dependencies.collected(folder, own, reader, limits, fetch=reader.files.fetch_chart)

    def present() -> ChartFiles:
        given = inputs.present([(file, chart_files.use(path)) for path, file in {**own, **needed}.items()], limits)
        chart_dependencies.check_sealed(given.sealed, needed)
        values = charts.values(asked, [named[path] for path in asked.values_files], given, limits, live)
        return ChartFiles(folder, given, values, {**own, **needed, **named})

    return await tasks.in_thread(present)


@dataclass(frozen=True, slots=True)
class Release:
    """Its name and namespace, and when: Unix seconds."""

    name: str
    namespace: str
    now: int


def release_name(asked: Helm, application: str) -> str:
    """The name of the release of an Application."""
    return asked.release_name or application


def chart(asked: Helm, folder: str, given: Given, values: ChartValues, *, release: Release, cluster: Cluster) -> Chart:
    """What the renderer is asked. Raises ChartError."""
    name = release_name(asked, release.name)
    if len(name) > LONGEST_NAME:
        raise ChartError(
            "the Application's name is too long for that of a release",
            hint="set spec.render.helm.releaseName, to 53 characters at most",
            name=name,
        )
    return Chart(
        "" if folder == "." else folder,
        SourceTree.of(given.files),
        name,
        release.namespace,
        cluster,
        release.now,
        values.files,
        values.tree,
        charts.known(given.sources),
        crds=asked.crds == "apply",
        skips_hooks=asked.hooks == "skip",
    )


async def cluster_of(target: TargetPort, kinds: Kinds) -> Cluster:
    """What templates may ask of a cluster. Raises what the cluster raises."""
    return Cluster(await target.version(), kinds.served_names())


def texts(asked: Chart) -> tuple[str, ...]:
    """All that a result depends on, except for the time and what the cluster serves."""
    return (
        asked.sources.digest,
        json.dumps(asked.values, sort_keys=True),
        asked.name,
        asked.namespace,
        asked.cluster.version,
        *asked.values_files,
    )


def holds(before: Rendering, asked: Chart) -> bool:
    """Whether a result of the same texts would be the same again."""
    return is_answered(before.result, asked.cluster) and (not before.result.clock or before.now == asked.now)


def is_answered(result: Rendered, cluster: Cluster) -> bool:
    """Whether the cluster still answers what templates asked of it as it did."""
    return all(served == (name in cluster.serves) for name, served in result.asked.items())
