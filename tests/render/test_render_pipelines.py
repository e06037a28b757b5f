"""Random pipelines of template functions over a sealed value give what Helm gives, or are refused."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

import bench.pipelines
from testbed.equivalence import pipelines
from testbed.equivalence.pipelines import Judge, Pipeline
from testbed.equivalence.renderer import Renderer

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

COUNT = 2000


@pytest.fixture(scope="module")
def judge() -> Generator[Judge]:
    with Renderer() as renderer:
        yield Judge(renderer.helm)


def test_no_pipeline_gives_something_else_than_helm(judge: Judge) -> None:
    found: Counter[str] = Counter()
    for each in pipelines.drawn(20261129, COUNT):
        result = judge.judged(each)
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
        (("println", "toPrettyJson"), "PEM", "bare", "equal"),
        (("println", "quote"), "PEM", "bare", "equal"),
        (("toYaml", "fromYaml"), "easy", "by quote", "refused"),
    ],
)
def test_what_was_found_is_right(
    judge: Judge, steps: tuple[str, ...], value: str, surrounding: str, result: str
) -> None:
    assert judge.judged(Pipeline(steps, value, surrounding)) == result


def test_a_long_run_goes_on_where_it_was_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench.pipelines, "_EACH", 10)
    results = tmp_path / "results"
    assert bench.pipelines.main(["--count", "20", "--seed", "7", "--results", str(results)]) == 0
    first = results.read_text()
    capsys.readouterr()
    assert bench.pipelines.main(["--count", "30", "--seed", "7", "--results", str(results)]) == 0
    said = capsys.readouterr()
    assert (said.out.splitlines()[0], said.err) == ("30 pipelines of the seeds 7 to 9", "seed 9\n")
    assert results.read_text().startswith(first)
    assert results.read_text().count("\n") == 3
