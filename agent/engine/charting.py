"""Charts that are not in the source: what the engine asks of their servers, and which one a run takes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from agent.desired.compiler import UnknownChangeError
from agent.engine import credentials
from agent.manifests.documents import RENDERED, File
from agent.values.errors import InputError
from agent.values.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from agent.api.charts import ChartSource
    from agent.desired.live_variables import LiveVariables
    from agent.engine.chart_dependencies import Fetching
    from agent.engine.context import Run
    from agent.engine.credentials import GitCredential
    from agent.manifests.charts import FoundChart
    from agent.manifests.documents import TreeEntry


class ChartPort(Protocol):
    """Charts of registries and of repositories of charts, kept per server and credential."""

    async def find(self, chart: ChartSource, login: GitCredential | None) -> FoundChart:
        """Which one the version names now. Raises SourceError, ChartError, LimitError, SignatureError."""
        ...

    async def tree(self, chart: ChartSource, login: GitCredential | None, found: FoundChart) -> Mapping[str, TreeEntry]:
        """Every path of its archive, fetched where it is not kept. Raises as `find`."""
        ...

    async def blobs(
        self, chart: ChartSource, login: GitCredential | None, found: FoundChart, blobs: Collection[str]
    ) -> Mapping[str, bytes]:
        """The contents of files that `tree` named."""
        ...


@dataclass(frozen=True, slots=True)
class ChartArchive:
    """The files of a chart that a server has. A chart has no others of its own."""

    run: Run
    asked: ChartSource
    login: GitCredential | None
    found: FoundChart
    listing: Mapping[str, TreeEntry]

    async def read(self, paths: Iterable[str]) -> Mapping[str, File]:
        blobs = {path: self.listing[path].blob for path in paths}
        contents = await self.run.ports.charts.blobs(self.asked, self.login, self.found, {*blobs.values()})
        return {path: File(path, blob, contents[blob], RENDERED) for path, blob in blobs.items()}


async def named(run: Run, live: LiveVariables) -> LiveVariables:
    """With the chart that the spec names now, where it is not in the source. Raises UnknownChangeError, SourceError."""
    asked = run.application.spec.render
    if asked is None or asked.helm is None or asked.helm.chart.path is not None:
        return live
    chart = asked.helm.chart
    try:
        login = await run.ports.credentials.chart(run.application)
        with credentials.shown(login):
            found = await run.ports.charts.find(chart, login)
    except InputError as error:
        raise UnknownChangeError((Problem(error, file=chart.shown),)) from None
    return replace(live, chart=found, version=f"{live.version}|{found.digest}")


def fetching(run: Run) -> Fetching:
    """How the charts of Chart.lock are fetched for an Application."""

    async def fetch(chart: ChartSource) -> ChartArchive:
        login = await run.ports.credentials.dependency(run.application, chart.url)
        with credentials.shown(login):
            found = await run.ports.charts.find(chart, login)
            listing = await run.ports.charts.tree(chart, login, found)
        return ChartArchive(run, chart, login, found, listing)

    return fetch


async def archive(run: Run, found: FoundChart | None) -> ChartArchive | None:
    """The files of the chart that was named, fetched where they are not kept. Raises UnknownChangeError, SourceError."""
    asked = run.application.spec.render
    if found is None or asked is None or asked.helm is None:
        return None
    chart = asked.helm.chart
    try:
        login = await run.ports.credentials.chart(run.application)
        with credentials.shown(login):
            listing = await run.ports.charts.tree(chart, login, found)
    except InputError as error:
        raise UnknownChangeError((Problem(error, file=chart.shown),)) from None
    return ChartArchive(run, chart, login, found, listing)
