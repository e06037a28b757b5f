"""Folders without a kustomization.yaml that are taken as Flux takes them, with the real renderer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from memory_world import sources
from memory_world.sealed_files import encrypt
from whole_runs import manifests as m
from whole_runs.installation import Installation

if TYPE_CHECKING:
    from agent.adapters.render.pool import Renderers


def world(renderers: Renderers, files: dict[str, str], path: str = "apps", **more: object) -> Installation:
    made = Installation(files=files, render={"kustomize": {"path": path, "generate": True, **more}})
    made.renderers = sources.Renderers(renderers)
    return made


FILES = {
    "apps/a.yaml": m.config(),
    "apps/deep/er/b.yml": m.config("b"),
    "apps/deep/db.enc.yaml": encrypt(m.plain_secret()),
    "apps/sub/kustomization.yml": "resources: [in/c.yaml]\nnamePrefix: sub-\n",
    "apps/sub/in/c.yaml": m.config("c"),
    "apps/sub/not-listed.yaml": "no: manifest",
    "apps/sub/in/kustomization.yaml": "resources: [not-listed-either.yaml]\n",
    "apps/notes.json": "[",
    "apps/README.md": "# apps",
    "apps/.sops.yaml": "creation_rules: []",
    "apps/deep/.github/workflows/ci.yaml": "on: push",
    "other/d.yaml": m.config("d"),
    "apps-too/e.yaml": m.config("e"),
}


@pytest.mark.parametrize("path", ["apps", "clusters/prod"])
async def test_all_manifests_below_a_folder_count_and_kustomizations_as_what_they_are(
    renderers: Renderers, path: str
) -> None:
    files = {name.replace("apps/", f"{path}/"): text for name, text in FILES.items()}
    ran = await world(renderers, files, path, namePrefix="p-").run()
    assert (ran.problems, ran.warnings) == ([], [])
    assert ran.writes == [
        "apply ConfigMap/p-a",
        "apply ConfigMap/p-b",
        "apply ConfigMap/p-sub-c",
        "apply Secret/p-db",
    ]


async def test_a_repository_may_be_such_a_folder(renderers: Renderers) -> None:
    ran = await world(renderers, {"a.yaml": m.config(), "b/c.yaml": m.config("c")}, ".").run()
    assert (ran.problems, ran.writes) == ([], ["apply ConfigMap/a", "apply ConfigMap/c"])


async def test_a_kustomization_that_is_there_counts_alone(renderers: Renderers) -> None:
    ran = await world(renderers, {**FILES, "apps/Kustomization": "resources: [a.yaml]\n"}).run()
    assert (ran.problems, ran.writes) == ([], ["apply ConfigMap/a"])


async def test_nothing_is_listed_where_that_is_not_asked_for(renderers: Renderers) -> None:
    ran = await world(renderers, FILES, generate=False).run()
    assert (ran.problems, ran.writes) == (["Render apps"], [])


async def test_files_that_come_and_go_are_rendered(renderers: Renderers) -> None:
    files = {"apps/a.yaml": m.config()}
    made = world(renderers, files)
    await made.run()
    made.push({**files, "apps/README.md": "more", "b.yaml": m.config("b")})
    ran = await made.run()
    assert (ran.quiet, len(made.renderers.asked)) == (True, 1)
    made.push({**files, "apps/b.yaml": m.config("b")})
    ran = await made.run()
    assert (ran.problems, ran.writes, len(made.renderers.asked)) == ([], ["apply ConfigMap/b"], 2)


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"apps/values.yaml": "replicas: 1\n"}, "Render apps"),
        ({"apps/.sourceignore": "*.txt\n"}, "UnsupportedManifest apps/.sourceignore"),
        ({".sourceignore": "/*\n!/apps\n"}, "UnsupportedManifest .sourceignore"),
        ({"apps/deep/.sourceignore": ""}, "UnsupportedManifest apps/deep/.sourceignore"),
        ({"apps/sub/kustomization.yaml": "resources: [../../apps]\n"}, "Render apps"),
        ({"apps/again.yaml": m.config()}, "Render apps"),
        ({"apps/x.enc.yaml": encrypt(m.plain_secret("x"), recipient="age1other")}, "DataKey apps/x.enc.yaml"),
    ],
)
async def test_what_cannot_be_listed_leaves_the_last_good_state(
    renderers: Renderers, files: dict[str, str], problem: str
) -> None:
    good = {"apps/a.yaml": m.config()}
    made = world(renderers, good)
    await made.run()
    made.push({**good, **files})
    ran = await made.run()
    assert (ran.problems, ran.writes) == ([problem], [])
    assert ran.errors[0].hint
    assert "kustomization.yaml" not in str(ran.errors[0]), "which is not in the repository"
