"""A folder of charts is compared with Helm, value by value: what is right, refused, unused and wrong is counted apart."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

import charts
import pytest

from testbed.equivalence import __main__ as command
from testbed.equivalence import charts as corpus
from testbed.equivalence.charts import Leaf

if TYPE_CHECKING:
    from pathlib import Path

    from agent.adapters.render.pool import Renderers

VALUES = "auth: {password: '', existingSecret: '', unusedToken: ''}\nmatched: {apiKey: ''}\n"
FILES = {
    **charts.chart(
        _names=charts.NAMES,
        secret=charts.SECRETS + "stringData: {password: {{ .Values.auth.password | quote }}}\n",
        other='{{- if regexMatch "^x" .Values.matched.apiKey }}{{ fail "never" }}{{ end }}',
    ),
    "values.yaml": VALUES,
}
CONTENT = {name: text.encode() for name, text in FILES.items()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in CONTENT.items():
        (tmp_path / "plain" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "plain" / name).write_bytes(content)
    with tarfile.open(tmp_path / "shop.tgz", "w:gz") as archive:
        archive.add(tmp_path / "plain", "shop")
    nested = tmp_path / "plain/charts/below"
    nested.mkdir(parents=True)
    (nested / "Chart.yaml").write_text(FILES["Chart.yaml"])
    return tmp_path


def test_charts_are_folders_and_archives_and_none_within_another(folder: Path) -> None:
    found = dict(corpus.found(folder))
    assert list(found) == ["plain", "shop.tgz"]
    assert found["shop.tgz"] == CONTENT
    assert found["plain"].keys() == {*CONTENT, "charts/below/Chart.yaml"}


async def test_each_value_that_looks_secret_is_compared(renderers: Renderers) -> None:
    rows = await corpus.judged(renderers, "shop", CONTENT)
    assert {(each.path, each.result) for each in rows} == {
        ("auth.password", "right"),
        ("auth.unusedToken", "unused"),
        ("matched.apiKey", "refused"),
    }
    assert {each.kind for each in rows} == set(corpus.KINDS)
    assert {each.why for each in rows if each.result == "refused"} == {
        "a function reads a sealed value (regexMatch chart/templates/other.yaml 1)"
    }


async def test_what_is_not_what_helm_gives_is_wrong(renderers: Renderers, monkeypatch: pytest.MonkeyPatch) -> None:
    real = corpus.openings.opened

    def cut(given, sealing, values):
        return real(given, sealing, {name: value[:-1] for name, value in values.items()})

    monkeypatch.setattr(corpus.openings, "opened", cut)
    rows = await corpus.judged(renderers, "shop", CONTENT)
    assert {each.result for each in rows if each.path == "auth.password"} == {"wrong"}


def test_the_report_counts_and_fails_where_something_is_wrong(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main([str(folder), "--limit", "1"]) == 0
    shown = capsys.readouterr().out
    assert "6 values reach an object or are refused, 50.0% refused, 0 wrong" in shown
    assert "  refused: 3 a function reads a sealed value" in shown

    async def one(*_: object) -> list[Leaf]:
        return [Leaf("shop", "a", "easy", "wrong", "x")]

    monkeypatch.setattr(corpus, "judged", one)
    assert command.main([str(folder), "--limit", "1", "--json", str(tmp_path / "out.json")]) == 1
    assert '"result": "wrong"' in (tmp_path / "out.json").read_text()
