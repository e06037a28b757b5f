"""Where each object came from: files of Git and the overlay, in the status and in the audit trail, of bounded size."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from memory_world import sources
from whole_runs import manifests as m
from whole_runs.installation import Installation

from agent.adapters.audit import record

if TYPE_CHECKING:
    from whole_runs.ran import Ran

    from agent.adapters.render.pool import Renderers

OVERLAY = {
    "base/kustomization.yaml": "resources: [a.yaml]\nconfigMapGenerator: [{name: g, literals: [k=v]}]\n",
    "base/a.yaml": m.config("a"),
    "prod/kustomization.yaml": "resources: [../base]\n",
}


def recorded(ran: Ran) -> dict[str, tuple[str, list[str], str]]:
    """Files and overlay by action and object, as the trail has them."""
    found = [
        record.content(each, agent="a", time="2026-01-01T00:00:00Z") for each in ran.audit if each.object is not None
    ]
    return {
        f"{each['action']} {str(each['object']).rpartition('/')[2].partition('-')[0]}": (
            str(each["phase"]),
            list(each.get("files", [])),  # pyright: ignore[reportArgumentType]
            str(each.get("renderedFrom", "")),
        )
        for each in found
    }


async def test_rendered_objects_name_their_file_and_overlay(renderers: Renderers) -> None:
    files = {**OVERLAY, "app/a.yaml": m.config("a", data="2"), "app/b.yaml": m.config("b")}
    made = Installation(files=files, render={"kustomize": {"path": "prod"}}, layers=["app"])
    made.renderers = sources.Renderers(renderers)
    ran = await made.run()
    assert ran.problems == []
    shown = {
        each.object.rpartition("/")[2].partition("-")[0]: (each.file, each.rendered_from) for each in ran.status.objects
    }
    assert shown == {
        "a": ("base/a.yaml, app/a.yaml", "prod"),
        "b": ("app/b.yaml", ""),
        "g": ("base/kustomization.yaml", "prod"),
    }
    assert recorded(ran) == {
        "create a": ("outcome", ["base/a.yaml", "app/a.yaml"], "prod"),
        "create b": ("outcome", ["app/b.yaml"], ""),
        "create g": ("outcome", ["base/kustomization.yaml"], "prod"),
    }
    made.push({path: text for path, text in files.items() if path != "app/b.yaml"})
    assert recorded(await made.run()) == {"prune b": ("outcome", ["app/b.yaml"], "")}


async def test_files_of_one_object_are_bounded() -> None:
    layers = [f"{'layer' * 50}{number}" for number in range(32)]
    made = Installation(files={f"{layer}/{'x' * 200}.yaml": m.config("a") for layer in layers}, layers=layers)
    ran = await made.run()
    (shown,) = ran.status.objects
    assert len(shown.file) <= 512
    for each in ran.audit:
        content = record.content(each, agent="a", time="2026-01-01T00:00:00Z")
        assert len(json.dumps(content["files"])) < 51 * 300
