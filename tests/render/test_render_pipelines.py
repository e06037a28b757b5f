"""Random pipelines of template functions over a sealed value give what Helm gives, or are refused."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from testbed.equivalence import pipelines
from testbed.equivalence.pipelines import Pipeline

if TYPE_CHECKING:
    from agent.adapters.render.pool import Renderers

COUNT = 2000


async def test_no_pipeline_gives_something_else_than_helm(renderers: Renderers) -> None:
    found: Counter[str] = Counter()
    for each in pipelines.drawn(20261129, COUNT):
        result = await pipelines.judged(renderers, each)
        assert result in pipelines.CLASSES, str(each)
        found[result] += 1
    assert found["equal"] > COUNT // 4
    assert found["refused"] < COUNT // 2


@pytest.mark.parametrize(
    ("steps", "value", "surrounding", "result"),
    [
        (("indent 2",), "lines", "encoded", "equal"),
        (("indent 2", "indent 2"), "PEM", "by quote", "equal"),
        (("fromYaml",), "map", "by quote", "refused"),
        (("nindent 4", "fromYaml"), "JSON", "in a block", "refused"),
        (("fromJson",), "JSON", "by quote", "refused"),
        (("toYaml", "fromYaml"), "easy", "by quote", "refused"),
    ],
)
async def test_what_was_found_is_right(
    renderers: Renderers, steps: tuple[str, ...], value: str, surrounding: str, result: str
) -> None:
    assert await pipelines.judged(renderers, Pipeline(steps, value, surrounding)) == result
