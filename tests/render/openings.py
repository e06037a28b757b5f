"""A chart rendered over sealed values, and its objects with the values put in."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import charts

from agent.engine.renderers import Chart, Cluster, Rendered, SourceTree
from agent.manifests import rendered
from agent.manifests.rendered import Output
from agent.values import placeholders
from agent.values.expressions import Evaluation
from agent.values.ids import ApplicationId
from agent.values.reveal import reveal
from agent.values.secret import Sealed, Secret
from agent.values.tree import map_leaves

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.adapters.render.pool import Renderers
    from agent.values.expressions import Source
    from agent.values.placeholders import Placeholder
    from agent.values.tree import Leaf, Path, Tree

APPLICATION = ApplicationId("shop", "web", "1")
CLUSTER = Cluster("v1.36.3", frozenset({"v1", "apps/v1", "apps/v1/Deployment"}))
NAMES = ("web", "shop")
"""Release and namespace."""


def standing(value: charts.Value, sealed: Mapping[str, str]) -> Tree:
    """Values with texts where sealed ones stand."""
    if isinstance(value, charts.Secret):
        return sealed[value.name]
    if isinstance(value, dict):
        return {key: standing(each, sealed) for key, each in value.items()}
    if isinstance(value, list):
        return [standing(each, sealed) for each in value]
    return value


SEALED = {name: Sealed(f"values.yaml {name}", f"sops:values.yaml#{name}", "str") for name in "ab"}
PLACEHOLDERS = {name: placeholders.of("sops", leaf.id) for name, leaf in SEALED.items()}


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
    written = json.dumps(standing(row.values, values), ensure_ascii=False)
    for breaking in "\x7f\x85\u2028":  # YAML reads these as line breaks, or not at all
        written = written.replace(breaking, f"\\u{ord(breaking):04x}")
    files["values.yaml"] = written.encode()
    sources = SourceTree.of(files)
    return Chart("chart", sources, *NAMES, CLUSTER, now=1_700_000_000, values_files=("values.yaml",))


def opened(given: Rendered, values: Mapping[str, str]) -> tuple[list[Tree], bool]:
    """The objects with their values, and whether every question has the answer that they were rendered for."""
    sources: dict[Placeholder, Source] = {PLACEHOLDERS[name]: SEALED[name] for name in values}
    sources.update(given.expressions)
    found = rendered.read(
        [Output(each.file, each.tree) for each in given.objects], sources, [PLACEHOLDERS[name] for name in values]
    )
    secrets: dict[str, Secret] = {PLACEHOLDERS[name]: Secret(text, name) for name, text in values.items()}
    evaluation = Evaluation(
        {**given.expressions, **found.expressions.known}, secrets, time.monotonic, time.monotonic() + 10
    )
    by_id = {leaf.id: Secret(values[name], name) for name, leaf in SEALED.items() if name in values}

    def leaf(_: Path, each: Leaf) -> Leaf:
        if not isinstance(each, Sealed):
            return each
        value = reveal(by_id[each.id] if each.id in by_id else evaluation.value(found.expressions.known[each.id]))
        return value.decode() if isinstance(value, bytes) else value

    errors = [each.error for each in found.objects if each.error is not None]
    if errors:
        raise errors[0]
    return [map_leaves(each.tree, leaf) for each in found.objects], all(map(evaluation.holds, given.questions))
