"""Charts of the source that need others: from their own source, and from servers by Chart.lock, with the real renderer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from memory_world import sources
from memory_world.sealed_files import encrypt
from whole_runs import manifests as m
from whole_runs.installation import Installation

from agent.manifests import chart_dependencies
from agent.values.errors import SourceError

if TYPE_CHECKING:
    from agent.adapters.render.pool import Renderers

REPOSITORY = "https://charts.example.com/stable"
OCI = "oci://registry.example.com/charts"
NAMES = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Chart.Name }}}
data: {version: {{ .Chart.Version | quote }}, host: {{ .Values.host | default "none" }}}
"""


def chart(folder: str, name: str, version: str = "1.0.0", *, needs: str = "") -> dict[str, str]:
    about = f"apiVersion: v2\nname: {name}\nversion: {version}\n"
    return {
        f"{folder}/Chart.yaml": about + (f"dependencies:\n{needs}" if needs else ""),
        f"{folder}/templates/names.yaml": NAMES,
    }


def lock(entries: str, *wanted: dict[str, object], versions: tuple[str, ...]) -> str:
    locked = [{**each, "version": version} for each, version in zip(wanted, versions, strict=True)]
    return f"dependencies:\n{entries}digest: {chart_dependencies.digest(wanted, locked)}\n"  # pyright: ignore[reportArgumentType]


def world(renderers: Renderers, files: dict[str, str], **helm: object) -> Installation:
    render = {"helm": {"chart": {"path": "apps/shop"}, **helm}}
    made = Installation(files=files, operator=m.operator(), render=render)
    made.renderers = sources.Renderers(renderers)
    return made


SERVED = {
    **chart(
        "apps/shop",
        "shop",
        needs=f"- {{name: db, version: '~1.2', repository: '{REPOSITORY}'}}\n- {{name: cache, version: '>=2', repository: '{OCI}'}}\n",
    ),
    "apps/shop/Chart.lock": lock(
        f"- {{name: db, version: 1.2.9, repository: '{REPOSITORY}'}}\n- {{name: cache, version: 2.1.0, repository: '{OCI}'}}\n",
        {"name": "db", "version": "~1.2", "repository": REPOSITORY},
        {"name": "cache", "version": ">=2", "repository": OCI},
        versions=("1.2.9", "2.1.0"),
    ),
}


def serving(made: Installation) -> Installation:
    for key, shown, name, version in (
        ("db", f"{REPOSITORY}/db", "db", "1.2.9"),
        ("cache", f"{OCI}/cache", "cache", "2.1.0"),
    ):
        made.charts.others[f"{shown} {version}"] = version
        made.charts.archives[version] = chart(key, name, version)
    return made


async def test_charts_of_the_same_source_are_taken_from_there_and_so_are_theirs(renderers: Renderers) -> None:
    files = {
        **chart("apps/shop", "shop", needs="- {name: lib, version: '*', repository: 'file://../../libs/lib'}\n"),
        **chart("libs/lib", "lib", needs="- {name: base, version: '*', repository: 'file://../base'}\n"),
        **chart("libs/base", "base"),
        "libs/base/values.yaml": "host: base.example.com\n",
    }
    made = world(renderers, files)
    ran = await made.run()
    assert (ran.problems, ran.writes) == (
        [],
        ["apply ConfigMap/base", "apply ConfigMap/lib", "apply ConfigMap/shop"],
    )
    assert made.value("ConfigMap/base", "data", "host") == "base.example.com"
    made.push({**files, "libs/base/values.yaml": "host: new\n"})
    assert (await made.run()).writes == ["apply ConfigMap/base"]


async def test_charts_of_servers_are_those_of_the_lock_each_asked_with_its_own_login(renderers: Renderers) -> None:
    logins = [{"url": f"{REPOSITORY}/", "credentials": {"secretName": "charts"}}]
    made = serving(world(renderers, SERVED, dependencies=logins))
    ran = await made.run()
    assert (ran.problems, ran.writes) == (
        [],
        ["apply ConfigMap/cache", "apply ConfigMap/db", "apply ConfigMap/shop"],
    )
    assert made.value("ConfigMap/db", "data", "version") == "1.2.9"
    assert made.charts.asked == [f"charts {REPOSITORY}/db", f"anonymous {OCI}/cache"]
    assert (await made.run()).quiet


async def test_a_server_that_has_another_version_is_not_believed(renderers: Renderers) -> None:
    made = serving(world(renderers, SERVED))
    made.charts.others[f"{REPOSITORY}/db 1.2.9"] = "2.1.0"
    ran = await made.run()
    assert (ran.writes, ran.ready) == ([], "Chart")


async def test_without_a_lock_or_with_another_ones_nothing_is_asked(renderers: Renderers) -> None:
    for changed in ("", SERVED["apps/shop/Chart.lock"].replace("1.2.9", "1.2.10")):
        files = {**SERVED, "apps/shop/Chart.lock": changed}
        if not changed:
            del files["apps/shop/Chart.lock"]
        made = serving(world(renderers, files))
        ran = await made.run()
        assert (ran.writes, ran.ready, made.charts.asked) == ([], "Chart", [])
        assert "helm dependency build" in ran.errors[0].hint


async def test_a_refusal_of_the_server_leaves_what_stands(renderers: Renderers) -> None:
    made = serving(world(renderers, SERVED))
    await made.run()
    made.charts.error = SourceError("the operator does not allow this host")
    made.push({**SERVED, "apps/shop/values.yaml": "host: x\n"})
    ran = await made.run()
    assert (ran.writes, ran.ready) == ([], "Source")


async def test_an_encrypted_file_of_a_dependency_is_refused(renderers: Renderers) -> None:
    made = serving(world(renderers, SERVED))
    made.charts.archives["1.2.9"] = {
        **chart("db", "db", "1.2.9"), "db/secret.yaml": encrypt("a: b\n", "secret.yaml")
    }  # fmt: skip
    ran = await made.run()
    assert (ran.writes, ran.ready) == ([], "Chart")


async def test_charts_that_need_one_another_end(renderers: Renderers) -> None:
    files = {
        **chart("apps/shop", "shop", needs="- {name: lib, version: '*', repository: 'file://../lib'}\n"),
        **chart("apps/lib", "lib", needs="- {name: shop, version: '*', repository: 'file://../shop'}\n"),
    }
    ran = await world(renderers, files).run()
    assert (ran.writes, ran.ready) == ([], "Limit")


PLATFORM = "https://git.example.com/platform.git"


def beside(renderers: Renderers, own: dict[str, str], platform: dict[str, str], path: str) -> Installation:
    """An Application of two sources, with a chart in one of them."""
    further = {"name": "platform", "url": PLATFORM, "revision": {"branch": "stable"}}
    made = Installation(files=own, render={"helm": {"chart": {"path": path}}}, sources=[further])
    made.git.further[PLATFORM] = sources.Git()
    made.git.further[PLATFORM].push(platform)
    made.renderers = sources.Renderers(renderers)
    return made


def needing(folder: str, path: str) -> dict[str, str]:
    return chart(folder, "shop", needs=f"- {{name: lib, version: '*', repository: 'file://{path}'}}\n")


@pytest.mark.parametrize(
    ("own", "platform", "path"),
    [
        (needing("apps/shop", "../../platform/charts/lib"), chart("charts/lib", "lib"), "apps/shop"),
        (chart("libs/lib", "lib"), needing("charts/shop", "../../../libs/lib"), "platform/charts/shop"),
        ({"README.md": ""}, {**needing("shop", "../lib"), **chart("lib", "lib")}, "platform/shop"),
    ],
    ids=["the chart's in another source", "the chart of another source's here", "both in another source"],
)
async def test_charts_of_further_sources_are_in_folders_of_their_names(
    renderers: Renderers, own: dict[str, str], platform: dict[str, str], path: str
) -> None:
    made = beside(renderers, own, platform, path)
    ran = await made.run()
    assert (ran.problems, ran.writes) == ([], ["apply ConfigMap/lib", "apply ConfigMap/shop"])
    assert (await made.run()).quiet


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("../../../platform/charts/lib", "a dependency is a folder outside of the source"),
        ("../../charts/lib", "there is no chart in the folder of a dependency"),
    ],
    ids=["as repositories side by side on a disk", "without the name of the source"],
)
async def test_another_path_to_a_further_source_is_refused_with_what_to_write(
    renderers: Renderers, written: str, message: str
) -> None:
    made = beside(renderers, needing("apps/shop", written), chart("charts/lib", "lib"), "apps/shop")
    ran = await made.run()
    (error,) = ran.errors
    assert (ran.writes, ran.ready, error.message) == ([], "Chart", message)
    assert (error.facts["file"], error.facts["dependency"]) == ("apps/shop/Chart.yaml", "lib")
    assert "spec.sources" in error.hint


async def test_a_new_commit_of_the_source_that_has_the_dependency_is_taken(renderers: Renderers) -> None:
    own, lib = needing("apps/shop", "../../platform/charts/lib"), chart("charts/lib", "lib")
    made = beside(renderers, own, lib, "apps/shop")
    await made.run()
    made.git.further[PLATFORM].push({**lib, "charts/lib/values.yaml": "host: new\n"})
    assert (await made.run()).writes == ["apply ConfigMap/lib"]
