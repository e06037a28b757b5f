"""Applications whose chart is not in their source, with the real renderer: a new version rolls out, and a server that is away breaks nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memory_world import sources
from memory_world.sealed_files import encrypt
from whole_runs import manifests as m
from whole_runs.installation import Installation

from agent.values.errors import ChartError, SourceUnavailableError

if TYPE_CHECKING:
    from agent.adapters.render.pool import Renderers

SETTINGS = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {version: {{ .Chart.Version }}, host: {{ .Values.host }}}
"""
SECRET = """\
apiVersion: v1
kind: Secret
metadata: {name: db}
data: {password: {{ .Values.password | b64enc }}}
"""
OCI = {"oci": "oci://registry.example.com/charts/shop", "version": "~1.2"}


def archived(version: str, **more: str) -> dict[str, str]:
    return {
        "shop/Chart.yaml": f"apiVersion: v2\nname: shop\nversion: {version}\n",
        "shop/values.yaml": "host: example.com\n",
        "shop/templates/settings.yaml": SETTINGS,
        **more,
    }


def world(renderers: Renderers, chart: dict[str, object] | None = None, **helm: object) -> Installation:
    files = {"values.yaml": encrypt("password: s3cret\n", "values.yaml"), "kept.yaml": m.config("kept")}
    render = {"helm": {"chart": chart or OCI, **helm}}
    made = Installation(files=files, operator=m.operator(), render=render)
    made.renderers = sources.Renderers(renderers)
    made.charts.put("1.2.0", archived("1.2.0"))
    return made


async def test_a_newer_version_in_the_range_rolls_out_without_a_commit(renderers: Renderers) -> None:
    made = world(renderers)
    assert (await made.run()).writes == ["apply ConfigMap/settings"]
    assert made.value("ConfigMap/settings", "data") == {"version": "1.2.0", "host": "example.com"}
    assert (await made.run()).quiet
    made.charts.put("1.2.1", archived("1.2.1"))
    assert (await made.run()).writes == ["apply ConfigMap/settings"]
    assert made.value("ConfigMap/settings", "data", "version") == "1.2.1"


async def test_sealed_values_of_the_source_reach_its_templates(renderers: Renderers) -> None:
    made = world(renderers, valuesFiles=["values.yaml"])
    made.charts.put("1.2.0", archived("1.2.0", **{"shop/templates/db.yaml": SECRET}))
    assert sorted((await made.run()).writes) == ["apply ConfigMap/settings", "apply Secret/db"]


async def test_an_encrypted_file_of_a_chart_is_refused(renderers: Renderers) -> None:
    made = world(renderers)
    made.charts.put("1.2.0", archived("1.2.0", **{"shop/values.yaml": encrypt("host: x\n", "values.yaml")}))
    ran = await made.run()
    assert (ran.writes, ran.ready) == ([], "RemoteBase")


async def test_the_last_version_is_healed_while_its_server_is_away(renderers: Renderers) -> None:
    made = world(renderers)
    await made.run()
    made.charts.error = SourceUnavailableError("no answer")
    assert (await made.run()).ready == "SourceUnavailable"
    made.edit("ConfigMap/settings", "data", "host", to="edited")
    assert (await made.heal()).writes == ["apply ConfigMap/settings"]


async def test_what_is_wrong_with_a_chart_names_it(renderers: Renderers) -> None:
    made = world(renderers)
    made.charts.error = ChartError("no version")
    ran = await made.run()
    assert ran.problems == ["Chart oci://registry.example.com/charts/shop"]
    made.charts.error = None
    made.charts.put("1.2.1", {"Chart.yaml": "name: shop\n"})
    assert (await made.run()).problems == ["Chart"]
    made.charts.put("1.2.2", archived("1.2.2", **{"shop/templates/bad.yaml": '{{ fail "no" }}'}))
    (problem,) = (await made.run()).problems
    assert problem.startswith("Chart oci://registry.example.com/charts/shop//shop/templates/bad.yaml?ref=sha256:")


async def test_the_login_of_the_chart_is_the_one_that_its_server_gets(renderers: Renderers) -> None:
    chart = {"repository": "https://charts.example.com", "name": "shop", "version": "1.2.0"}
    made = world(renderers, {**chart, "credentials": {"secretName": "charts"}})
    await made.run()
    assert {*made.charts.asked} == {"charts https://charts.example.com/shop"}
