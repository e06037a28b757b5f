"""Which files of a commit are a chart, and how each of them is used. What is in them is Helm's to judge."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.values.errors import ChartError, LimitError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from agent.manifests.documents import TreeEntry
    from agent.manifests.kustomizations import Use

MOST_FILES: Final = 10_000


@dataclass(frozen=True, slots=True)
class FoundChart:
    """A chart as its server has it: the digest of its manifest or archive, its version, and the archive's URL.

    The version is empty where the digest alone was asked for, the URL in a registry.
    """

    digest: str
    version: str
    url: str = ""


def folder_of(listing: Collection[str], *, shown: str) -> str:
    """The folder of an archive that has its chart. Raises ChartError."""
    tops = {path.partition("/")[0] for path in listing}
    if len(tops) != 1 or f"{(top := tops.pop())}/Chart.yaml" not in listing:
        raise ChartError(
            "the archive is none of a chart",
            hint="it has one folder with Chart.yaml, as helm package makes it",
            chart=shown,
        )
    return top


def use(path: str) -> frozenset[Use]:
    """How a file of a chart is used."""
    return frozenset({"values" if posixpath.basename(path) == "values.yaml" else "chart"})


def uses(folder: str, listing: Mapping[str, TreeEntry]) -> dict[str, frozenset[Use]]:
    """The files below a chart's folder, `.` for the whole repository. Raises ChartError, LimitError."""
    prefix = "" if folder == "." else f"{folder}/"
    found: dict[str, frozenset[Use]] = {}
    for path in sorted(path for path in listing if path.startswith(prefix)):
        if listing[path].kind != "file":
            raise ChartError(
                "a chart has a symbolic link or a submodule, which is not followed",
                hint="commit the files themselves",
                file=path,
            )
        found[path] = use(path)
        if len(found) > MOST_FILES:
            raise LimitError(
                "a chart has more files than the agent takes",
                hint="keep the chart in a folder of its own",
                limit=MOST_FILES,
            )
    if f"{prefix}Chart.yaml" not in found:
        raise ChartError(
            "there is no chart in this folder",
            hint="spec.render.helm.chart.path names the folder that has Chart.yaml, from the repository's root",
            file=f"{prefix}Chart.yaml",
        )
    return found
