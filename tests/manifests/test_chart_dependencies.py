"""Chart.lock as Helm writes it, and what is refused of it and of Chart.yaml."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from agent.manifests import chart_dependencies
from agent.manifests.documents import RENDERED, File
from agent.values.errors import ChartError, LimitError
from agent.yaml.limits import Limits
from agent.yaml.read import manifests as yaml
from testbed import binaries

if TYPE_CHECKING:
    from pathlib import Path

DEPENDENCIES = """\
- name: lib
  version: ">=1.0 <2"
  repository: file://../lib
  condition: lib.enabled
  tags: [a, "b<c>&d"]
  alias: other
  import-values:
    - child: b
      parent: a
    - data
- {name: own, version: '*', repository: 'file://../own', enabled: true}
"""
SERVER = "- {name: db, version: '~1.2', repository: 'https://charts.example.com/stable/'}\n"


def file(path: str, text: str) -> File:
    return File(path, "", text.encode(), RENDERED)


def chart(dependencies: str = "") -> str:
    return f"apiVersion: v2\nname: app\nversion: 0.1.0\ndependencies:\n{dependencies}"


def entries(text: str) -> list[dict]:
    (document,) = yaml.parse(text.encode(), file="x")
    return document.tree["dependencies"]


def missing(
    dependencies: str, lock: str | None = None, *, vendored: tuple[str, ...] = ()
) -> list[tuple[str, str, str]]:
    found = chart_dependencies.missing(
        file("apps/app/Chart.yaml", chart(dependencies)),
        None if lock is None else file("apps/app/Chart.lock", lock),
        vendored,
        "apps/app",
        Limits(),
    )
    return [(each.name, each.version, each.folder) for each in found]


def test_a_lock_of_helm_fits_the_chart_that_it_was_made_of_and_no_other(tmp_path: Path) -> None:
    for name in ("lib", "own"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "Chart.yaml").write_text(f"apiVersion: v2\nname: {name}\nversion: 1.2.3\n")
    (tmp_path / "app").mkdir()
    (tmp_path / "app/Chart.yaml").write_text(chart(DEPENDENCIES))
    helm = [binaries.path("helm"), "dependency", "update", "app"]
    subprocess.run(helm, cwd=tmp_path, check=True, capture_output=True)
    lock = (tmp_path / "app/Chart.lock").read_text()
    assert f"digest: {chart_dependencies.digest(entries(chart(DEPENDENCIES)), entries(lock))}\n" in lock
    with pytest.raises(ChartError, match="is not of the dependencies"):
        missing(DEPENDENCIES + SERVER, lock)


def test_folders_of_the_source_need_no_lock_and_what_is_vendored_nothing() -> None:
    assert missing(DEPENDENCIES) == [("lib", "", "apps/lib"), ("own", "", "apps/own")]
    assert missing(DEPENDENCIES, vendored=("lib", "own")) == []
    assert chart_dependencies.vendored(
        "apps/app", ["apps/app/charts/lib/Chart.yaml", "apps/app/charts/my-db-v1.2.3-rc.1.tgz", "charts/no/Chart.yaml"]
    ) == {"lib", "my-db"}


def locked(dependencies: str, entry: str) -> str:
    text = f"dependencies:\n{entry}"
    return f"{text}digest: {chart_dependencies.digest(entries(chart(dependencies)), entries(text))}\n"


def test_a_version_comes_from_the_lock() -> None:
    entry = SERVER.replace("~1.2", "1.2.9")
    assert missing(SERVER, locked(SERVER, entry)) == [("db", "1.2.9", "")]


REFUSED = {
    "no lock": (SERVER, None, "neither in its folder charts"),
    "another chart's": (SERVER, "dependencies: []\ndigest: sha256:00\n", "is not of the dependencies"),
    "no entry": (SERVER, locked(SERVER, SERVER.replace("db", "other")), "has no version"),
    "another repository": (SERVER, locked(SERVER, SERVER.replace("stable", "other")), "has no version"),
    "an alias": (SERVER.replace("https://charts.example.com/stable/", "@stable"), "", "by an alias"),
    "outside": (DEPENDENCIES.replace("../lib", "../../../lib"), None, "outside of the source"),
    "absolute": (DEPENDENCIES.replace("../lib", "/etc"), None, "outside of the source"),
    "a path as a name": (SERVER.replace("name: db", "name: ../db"), None, "none of a chart"),
    "two of a name": (DEPENDENCIES.replace("own", "lib").replace("../lib', e", "../x', e"), None, "are not the same"),
    "no maps": ("- db\n", None, "no list of maps"),
}


@pytest.mark.parametrize(("dependencies", "lock", "says"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_hold_a_dependency_to_one_chart_is_refused(
    dependencies: str, lock: str | None, says: str
) -> None:
    if lock == "":
        lock = locked(dependencies, dependencies)
    with pytest.raises(ChartError, match=says):
        missing(dependencies, lock)


def test_a_chart_has_not_any_number_of_dependencies() -> None:
    with pytest.raises(LimitError):
        missing("".join(f"- {{name: d{number}, repository: 'file://../d'}}\n" for number in range(51)))


def test_a_name_of_any_length_is_looked_through_once() -> None:
    """A tree of Git may hold one of megabytes: to try each place in it as the one where the version begins would take for ever."""
    long = "-1.0" * 250_000
    assert chart_dependencies.vendored(".", [f"charts/{long}", f"charts/lib{long}.tgz"]) == {"lib"}
