"""Which files of a commit are a chart, and how each of them is used. What is in them is Helm's to judge."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Final

from agent.values.errors import ChartError, LimitError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.manifests.documents import TreeEntry
    from agent.manifests.kustomizations import Use

MOST_FILES: Final = 10_000


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
        found[path] = frozenset({"values" if posixpath.basename(path) == "values.yaml" else "chart"})
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
