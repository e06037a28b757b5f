"""The file that each object comes from is what kustomize says in its annotations, and asking for it changes no object."""

from __future__ import annotations

import json
import posixpath
from typing import TYPE_CHECKING, Any, cast

import overlays
import pytest
from hypothesis import HealthCheck, given, settings
from test_render_kustomize import drawn, render

from agent.yaml.read import manifests

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.adapters.render.pool import Renderers

    Files = Mapping[str, str | bytes]
    Cli = Callable[[Files, str], list[object] | None]

ROOT = "prod/kustomization.yaml"
ASKED = "buildMetadata: [originAnnotations]"


def said_by_kustomize(cli: Cli, files: Files) -> list[str]:
    """Files as `kustomize build` annotates objects with them: the resource's own, or the one with the generator's configuration."""
    text = str(files[ROOT])
    if text.startswith("{"):
        text = json.dumps({**json.loads(text), "buildMetadata": ["originAnnotations"]}, ensure_ascii=False)
    elif "buildMetadata" not in text:
        text += "\n" + ASKED + "\n"
    found: list[str] = []
    for tree in cli({**files, ROOT: text}, "prod") or []:
        annotations = cast("dict[str, Any]", tree)["metadata"].get("annotations", {})
        (origin,) = manifests.parse(annotations["config.kubernetes.io/origin"].encode(), file="origin", strict=False)
        place = cast("dict[str, str]", origin.tree)
        found.append(posixpath.normpath(posixpath.join("prod", place.get("path") or place["configuredIn"])))
    return found


@pytest.mark.parametrize("name", overlays.OVERLAYS)
async def test_files_are_those_that_kustomize_says(renderers: Renderers, cli: Cli, name: str) -> None:
    files = overlays.OVERLAYS[name]
    plain, asked = [await render(renderers, files, origins=origins) for origins in (False, True)]
    assert [each.tree for each in asked.objects] == [each.tree for each in plain.objects]
    assert (asked.read, asked.looked_for) == (plain.read, plain.looked_for)
    assert str(asked.error) == str(plain.error)
    assert [each.file for each in asked.objects] == said_by_kustomize(cli, files)


def unpatched(files: Files) -> Files:
    """Without the patches, of which some take kustomize's annotations away. None changes which objects there are, or their order."""
    read = {name: json.loads(text) for name, text in files.items() if name.endswith("kustomization.yaml")}
    kept = {name: {key: value for key, value in each.items() if key != "patches"} for name, each in read.items()}
    return {**files, **{name: json.dumps(each, ensure_ascii=False) for name, each in kept.items()}}


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=drawn())
async def test_files_of_drawn_overlays_are_those_that_kustomize_says(
    renderers: Renderers, cli: Cli, files: dict[str, str]
) -> None:
    asked = await render(renderers, files, origins=True)
    expected = cli(files, "prod")
    assert [each.tree for each in asked.objects] == (expected or [])
    said = said_by_kustomize(cli, unpatched(files)) if expected else []
    if any("\\u" in text for text in files.values()):
        # An escape might spell a mark, so kustomize's annotation counts, which a patch may take away.
        said = [
            each.file if posixpath.basename(each.file) == "kustomization.yaml" else file
            for each, file in zip(asked.objects, said, strict=True)
        ]
    assert [each.file for each in asked.objects] == said


async def test_what_an_application_adds_may_be_a_resource_too(renderers: Renderers) -> None:
    """A file that is a resource and, as the Application has it, a patch."""
    files = overlays.on_base("")
    patches = [{"path": "../base/service.yaml", "target": {"kind": "Service"}}]
    plain, asked = [await render(renderers, files, origins=origins, patches=patches) for origins in (False, True)]
    assert [each.tree for each in asked.objects] == [each.tree for each in plain.objects]
    assert [each.file for each in asked.objects] == ["base/service.yaml", "base/deployment.yaml"]
