"""Charts over plain values are what `helm template` makes of them: signet-render's own functions and order are Helm's."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import charts
import pytest
from openings import CLUSTER, NAMES, render_plain, standing

from agent.yaml.read import manifests
from testbed import binaries

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from agent.adapters.render.pool import Renderers
    from agent.values.tree import Tree

VALUES = {"easy": "s3cretPassw0rd", "quoted where it has to be": "p@ss:w/rd?&=%+#'\"\\<>{}[]!*|$~`^ ,;"}


def helm_template(folder: Path, row: charts.Row, values: Mapping[str, str]) -> list[Tree] | None:
    """Its objects; None where it refuses the chart."""
    for name, text in row.files.items():
        (folder / "chart" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "chart" / name).write_text(text)
    (folder / "values.yaml").write_text(json.dumps(standing(row.values, values)))
    release, namespace = NAMES
    served = [part for name in sorted(CLUSTER.serves) for part in ("--api-versions", name)]
    done = subprocess.run(
        [binaries.path("helm"), "template", release, "chart", "--namespace", namespace, "--values", "values.yaml",
         "--include-crds", "--kube-version", CLUSTER.version, *served],
        cwd=folder, capture_output=True, check=False, env={"PATH": "", "HOME": str(folder)},
    )  # fmt: skip
    if done.returncode:
        return None
    return [each.tree for each in manifests.parse(done.stdout, file="helm", strict=False)]


def sorted_texts(objects: Sequence[Tree]) -> list[str]:
    return sorted(json.dumps(each, sort_keys=True) for each in objects)


@pytest.mark.parametrize("name", charts.CHARTS)
async def test_a_chart_over_plain_values_is_what_helm_template_makes_of_it(
    renderers: Renderers, name: str, tmp_path: Path
) -> None:
    row = charts.CHARTS[name]
    for value in VALUES.values():
        values = {"a": value, "b": value + "-b"}
        plain = await render_plain(renderers, row, values)
        folder = tmp_path / os.urandom(4).hex()
        folder.mkdir()
        expected = helm_template(folder, row, values)
        assert (plain.error is None) == (expected is not None)
        assert sorted_texts([each.tree for each in plain.objects]) == sorted_texts(expected or [])
