"""Charts of the source that need others: from their own source, and from servers by Chart.lock, with the real renderer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from memory_world import sources
from memory_world.sealed_files import encrypt
from whole_runs import manifests as m
from whole_runs.installation import Installation

from agent.adapters.render.pool import Renderers
from agent.manifests import chart_dependencies
from agent.values.errors import SourceError
from render import build

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

REPOSITORY = "https://charts.example.com/stable"
OCI = "oci://registry.example.com/charts"
NAMES = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Chart.Name }}}
data: {version: {{ .Chart.Version | quote }}, host: {{ .Values.host | default "none" }}}
"""


@pytest.fixture
async def renderers() -> AsyncGenerator[Renderers]:
    running = Renderers(build.built())
    yield running
    await running.close()


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
