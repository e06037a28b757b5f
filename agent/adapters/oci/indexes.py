"""The index of a repository of charts: the versions of one chart, each with its archive's digest and where it is.

Such a file has all versions of all charts, tens of megabytes of them. What is parsed is the part of one chart, which is found by its lines, as
`helm repo index` writes them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin

from agent.manifests import versions
from agent.values.errors import AgentError, ChartError, LimitError
from agent.values.tree import get, get_text
from agent.yaml.limits import Limits
from agent.yaml.read import manifests as yaml

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.api.charts import ChartSource
    from agent.values.tree import Tree

LARGEST: Final = 32 * 1024 * 1024
"""Bytes of an index."""
_PART: Final = 4 * 1024 * 1024
"""Bytes of one chart's part."""
_MOST: Final = 5000
"""Versions of a chart."""
_HEX: Final = re.compile(r"(?:sha256:)?([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Archived:
    """A version of a chart: its archive's digest, `sha256:…`, and URL."""

    version: str
    digest: str
    url: str


def choose(index: bytes, asked: ChartSource) -> Archived:
    """The newest version that is asked for. Raises ChartError, LimitError."""
    name, wanted = asked.name or "", asked.version or ""
    found = {get_text(each, "version"): each for each in reversed(_entries(index, name))}
    version = wanted if wanted in found else versions.newest(found, wanted)
    if version is None:
        raise ChartError(
            "the repository has no version of the chart in this range",
            hint="check spec.render.helm.chart.version; early versions count only where the range names one",
            chart=asked.shown,
        )
    entry = found[version]
    digest, url = _HEX.fullmatch(get_text(entry, "digest")), get_text(entry, "urls", 0)
    if digest is None or not url:
        raise ChartError(
            "the repository's index has no digest or no address of the chart's archive",
            hint="write the index again with helm repo index",
            chart=asked.shown,
            version=version,
        )
    return Archived(version, f"sha256:{digest[1]}", urljoin((asked.repository or "").rstrip("/") + "/", url))


def _entries(index: bytes, name: str) -> list[Tree]:
    part = b"\n".join(_part(index, name))
    if len(part) > _PART:
        raise LimitError(
            "the index has more of the chart than the agent reads", hint="remove old versions", limit=_PART
        )
    try:
        (document,) = yaml.parse(part, file="index.yaml", limits=Limits.served(size=_PART, depth=32))
        found = get(document.tree, name)
    except (AgentError, ValueError):
        raise ChartError(
            "the repository's index cannot be read", hint="write it again with helm repo index", chart=name
        ) from None
    if not isinstance(found, list) or len(found) > _MOST:
        raise ChartError("the repository's index has no such chart, or too many versions of it", chart=name)
    return found


def _part(index: bytes, name: str) -> Iterable[bytes]:
    """The lines of one chart, without the indent that all have. Raises ChartError where there are none."""
    lines = iter(index.split(b"\n"))
    for line in lines:
        if line.rstrip() == b"entries:":
            break
    wanted = {text.encode() for text in (f"{name}:", f'"{name}":', f"'{name}':")}
    indent = -1
    for line in lines:
        bare = line.lstrip(b" ")
        depth = len(line) - len(bare)
        if not bare.strip() or bare.startswith(b"#"):
            continue
        if depth == 0:
            break
        if indent < 0 and bare.rstrip() in wanted:
            indent = depth
            yield bare
        elif indent >= 0:
            if depth < indent or (depth == indent and not bare.startswith(b"- ")):
                return
            yield line[indent:]
    if indent < 0:
        raise ChartError(
            "the repository's index has no such chart",
            hint="check spec.render.helm.chart.name; an index in one line of JSON is not read",
            chart=name,
        )
