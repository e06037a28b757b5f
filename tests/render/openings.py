"""A chart of the tests rendered over sealed values, and its objects with the values put in."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import charts

from agent.engine.renderers import Chart, Rendered, SourceTree
from agent.values.ids import ApplicationId
from testbed.equivalence import openings
from testbed.equivalence.openings import CLUSTER, Sealing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.adapters.render.pool import Renderers
    from agent.values.placeholders import Placeholder
    from agent.values.tree import Tree

APPLICATION = ApplicationId("shop", "web", "1")
NAMES = ("web", "shop")
"""Release and namespace."""
SEALING = Sealing.of("ab")
PLACEHOLDERS = SEALING.placeholders


def standing(value: charts.Value, sealed: Mapping[str, str]) -> Tree:
    """Values with texts where sealed ones stand."""
    if isinstance(value, charts.Secret):
        return sealed[value.name]
    if isinstance(value, dict):
        return {key: standing(each, sealed) for key, each in value.items()}
    if isinstance(value, list):
        return [standing(each, sealed) for each in value]
    return value


async def render(
    renderers: Renderers, row: charts.Row, *, known: tuple[Placeholder, ...] = (), skips_hooks: bool = False
) -> Rendered:
    asked = replace(_asked(row, PLACEHOLDERS), known=known, skips_hooks=skips_hooks)
    return await renderers.helm(APPLICATION, asked)


async def render_plain(renderers: Renderers, row: charts.Row, values: Mapping[str, str]) -> Rendered:
    """With the values themselves."""
    return await renderers.helm(APPLICATION, _asked(row, values))


def _asked(row: charts.Row, values: Mapping[str, str]) -> Chart:
    files = {f"chart/{name}": text.encode() for name, text in row.files.items()}
    files["values.yaml"] = openings.written(standing(row.values, values))
    return Chart("chart", SourceTree.of(files), *NAMES, CLUSTER, now=1_700_000_000, values_files=("values.yaml",))


def opened(given: Rendered, values: Mapping[str, str]) -> tuple[list[Tree], bool]:
    """The objects with their values, and whether every question has the answer that they were rendered for."""
    found = openings.opened(given, SEALING, values)
    return found.trees(), found.holds
