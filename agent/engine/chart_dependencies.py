"""The charts that a chart of the source needs: of its own source, and of servers by the versions in Chart.lock. They are put into its folder `charts`."""

from __future__ import annotations

import posixpath
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

from agent.api.charts import ChartSource
from agent.manifests import chart_dependencies
from agent.manifests import charts as chart_files
from agent.values.errors import ChartError, LimitError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from agent.engine.bases import Reader
    from agent.engine.charting import ChartArchive
    from agent.manifests.chart_dependencies import Dependency
    from agent.manifests.documents import File
    from agent.yaml.limits import Limits

_DEEPEST: Final = 8
_MOST: Final = 100


class Fetching(Protocol):
    """Charts of servers, for an Application."""

    async def __call__(self, chart: ChartSource) -> ChartArchive:
        """An exact version. Raises SourceError, ChartError, LimitError, SignatureError."""
        ...


async def collected(
    folder: str, own: Mapping[str, File], reader: Reader, limits: Limits, *, fetch: Fetching | None
) -> dict[str, File]:
    """The files of the charts that a chart needs and does not have, where it would have them. `own` are its files.

    Raises ChartError, LimitError, SourceError and what reading raises.
    """
    return await _Walk(reader, limits, fetch).within(folder, folder, own, _DEEPEST)


class _Walk:
    def __init__(self, reader: Reader, limits: Limits, fetch: Fetching | None) -> None:
        self._reader = reader
        self._limits = limits
        self._fetch = fetch
        self._left = _MOST

    async def within(self, source: str, place: str, own: Mapping[str, File], depth: int) -> dict[str, File]:
        """`source` is where the chart is committed, `place` where it is put, by which its own files are named."""
        prefix = "" if place == "." else f"{place}/"
        chart = own.get(f"{prefix}Chart.yaml")
        if chart is None:
            return {}
        lock, there = own.get(f"{prefix}Chart.lock"), chart_dependencies.vendored(place, own)
        found: dict[str, File] = {}
        for each in chart_dependencies.missing(chart, lock, there, source, self._limits):
            self._left -= 1
            if self._left < 0 or depth == 0:
                raise LimitError("charts need more charts than the agent takes", file=chart.path, limit=_MOST)
            into = posixpath.join(prefix, "charts", each.name)
            if each.folder:
                found |= await self._of_source(each, into, depth - 1, chart.path)
            else:
                found |= await self._of_server(each, into, chart.path)
        return found

    async def _of_source(self, wanted: Dependency, into: str, depth: int, file: str) -> dict[str, File]:
        listing = self._reader.files.listing
        if posixpath.normpath(posixpath.join(wanted.folder, "Chart.yaml")) not in listing:
            raise ChartError(
                "there is no chart in the folder of a dependency",
                hint="name a folder by its path from the chart's; those of spec.sources are at the root, with their names",
                file=file,
                dependency=wanted.name,
                folder=wanted.folder,
            )
        uses = chart_files.uses(wanted.folder, listing)
        read = await self._reader.read(uses)
        files = _moved(read, wanted.folder, into)
        return {**files, **await self.within(wanted.folder, into, files, depth)}

    async def _of_server(self, wanted: Dependency, into: str, file: str) -> dict[str, File]:
        if self._fetch is None:
            raise ChartError(
                "commands on a work tree fetch no charts",
                hint="run helm dependency build, which puts them into the folder charts",
                file=file,
                dependency=wanted.name,
            )
        archive = await self._fetch(_asked(wanted, file))
        if archive.found.version not in {"", wanted.version}:
            raise ChartError("the server has not the version in Chart.lock", file=file, dependency=wanted.name)
        top = chart_files.folder_of(archive.listing, shown=archive.asked.shown)
        _ = chart_files.uses(top, archive.listing)
        self._reader.take(archive.listing)
        files = _moved(await archive.read(archive.listing), top, into)
        return {path: replace(each, path=path) for path, each in files.items()}


def _moved(files: Mapping[str, File], folder: str, into: str) -> dict[str, File]:
    return {
        path: replace(each, path=path)
        for name, each in files.items()
        if (path := posixpath.join(into, posixpath.relpath(name, folder)))
    }


def _asked(wanted: Dependency, file: str) -> ChartSource:
    try:
        if wanted.repository.startswith("oci://"):
            return ChartSource(oci=f"{wanted.repository}/{wanted.name}", version=wanted.version)
        return ChartSource(repository=wanted.repository, name=wanted.name, version=wanted.version)
    except ValueError:
        pass
    raise ChartError("the address or version of a dependency is none of a chart", file=file, dependency=wanted.name)


def check_sealed(sealed: Collection[str], needed: Mapping[str, File]) -> None:
    """Raises ChartError for an encrypted file of a dependency: keys open files where they are committed."""
    for path in sealed:
        if path in needed:
            raise ChartError(
                "a chart that is a dependency has an encrypted file",
                hint="give the value in a file of values of the Application",
                file=path,
            )
