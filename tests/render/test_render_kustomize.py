"""What signet-render makes of an overlay is what `kustomize build` of the same version makes of it, or both refuse."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import overlays
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.engine.renderers import Kustomization, SourceTree
from agent.values.errors import RenderError
from agent.values.ids import ApplicationId
from render import build as renderer
from testbed import binaries

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.adapters.render.pool import Renderers
    from agent.engine.renderers import Rendered

    Files = Mapping[str, str | bytes]
    Cli = Callable[[Files, str], list[object] | None]

APPLICATION = ApplicationId("shop", "web", "1")


async def render(
    renderers: Renderers, files: Files, path: str = "prod", *, origins: bool = False, **overlay: object
) -> Rendered:
    content = {name: each.encode() if isinstance(each, str) else each for name, each in files.items()}
    return await renderers.kustomize(APPLICATION, Kustomization(path, SourceTree.of(content), overlay, origins))


def test_the_program_says_the_version_that_is_compared_with() -> None:
    version = subprocess.run([binaries.path("kustomize"), "version"], capture_output=True, text=True, check=True)
    assert version.stdout.strip() == renderer.KUSTOMIZE


@pytest.mark.parametrize("name", overlays.OVERLAYS)
async def test_objects_are_those_of_kustomize_build(renderers: Renderers, cli: Cli, name: str) -> None:
    files = overlays.OVERLAYS[name]
    rendered = await render(renderers, files)
    expected = cli(files, "prod")
    assert (rendered.error is None, expected is None) == (name not in overlays.REFUSED, name in overlays.REFUSED), (
        rendered.error
    )
    assert [each.tree for each in rendered.objects] == (expected or [])


VALUES = st.one_of(
    st.sampled_from(
        ["yes", "0123", "a # b", "p: q", "*x", "-----BEGIN KEY-----\nMII=\n-----END KEY-----\n", "", " ", "ü€𝄞", "1e3"]
    ),
    st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=20),
)
NAMES = st.from_regex(r"[a-z]([a-z0-9-]{0,6}[a-z0-9])?", fullmatch=True)


@st.composite
def drawn(draw: st.DrawFn) -> dict[str, str]:
    """An overlay of an overlay, with features and values by chance. JSON is YAML, so what is drawn is written safely."""

    def layer(resources: list[str]) -> str:
        kustomization: dict[str, object] = {"resources": resources}
        options: dict[str, object] = {
            "namePrefix": draw(NAMES) + "-",
            "nameSuffix": "-" + draw(NAMES),
            "namespace": draw(NAMES),
            "labels": [{"pairs": {draw(NAMES): draw(NAMES)}, "includeSelectors": draw(st.booleans())}],
            "commonAnnotations": {draw(NAMES): draw(VALUES)},
            "images": [{"name": "registry.example.com/web", "newTag": draw(NAMES)}],
            "replicas": [{"name": "web", "count": draw(st.integers(0, 9))}],
            "configMapGenerator": [{"name": draw(NAMES), "literals": [f"{draw(NAMES)}={draw(VALUES)}"]}],
            "secretGenerator": [{"name": draw(NAMES), "literals": [f"{draw(NAMES)}={draw(VALUES)}"]}],
            "patches": [
                {
                    "target": {"kind": draw(st.sampled_from(["Deployment", "Service", "Secret"]))},
                    "patch": json.dumps(
                        [
                            {
                                "op": "add",
                                "path": draw(st.sampled_from(["/metadata/annotations", "/spec/x"])),
                                "value": {"k": draw(VALUES)},
                            }
                        ]
                    ),
                }
            ],
        }
        for name in draw(st.lists(st.sampled_from(sorted(options)), max_size=4, unique=True)):
            kustomization[name] = options[name]
        return json.dumps(kustomization, ensure_ascii=draw(st.booleans()))

    return {
        "base/kustomization.yaml": layer(["deployment.yaml", "service.yaml"]),
        "base/deployment.yaml": overlays.DEPLOYMENT,
        "base/service.yaml": overlays.SERVICE,
        "prod/kustomization.yaml": layer(["../base"]),
    }


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=drawn())
async def test_drawn_overlays_give_the_objects_of_kustomize_build(
    renderers: Renderers, cli: Cli, files: dict[str, str]
) -> None:
    rendered = await render(renderers, files)
    expected = cli(files, "prod")
    assert (rendered.error is None) == (expected is not None), rendered.error
    assert [each.tree for each in rendered.objects] == (expected or [])


async def test_every_file_that_was_read_or_looked_for_is_listed(renderers: Renderers) -> None:
    files = {**overlays.OVERLAYS["strategic patch that deletes"], "other/unused.yaml": "a: b"}
    rendered = await render(renderers, files)
    assert rendered.read == set(files) - {"other/unused.yaml"}
    assert rendered.looked_for >= {"prod/kustomization.yml", "prod/Kustomization", "base/Kustomization"}
    assert not rendered.looked_for & rendered.read


async def test_a_missing_file_is_reported_where_it_is_named(renderers: Renderers) -> None:
    rendered = await render(
        renderers,
        {"prod/kustomization.yaml": "resources:\n- there.yaml\n- ../gone\n", "prod/there.yaml": overlays.SERVICE},
    )
    assert isinstance(rendered.error, RenderError)
    assert str(rendered.error).startswith("prod/kustomization.yaml:3:3: no such file or folder")
    assert "gone" in rendered.looked_for


async def test_fields_of_an_application_are_added_to_the_overlay(renderers: Renderers, cli: Cli) -> None:
    files = overlays.on_base("namePrefix: a-\nimages: [{name: registry.example.com/web, newTag: '1'}]\n")
    rendered = await render(
        renderers,
        files,
        namePrefix="b-",
        namespace="shop",
        images=[{"name": "registry.example.com/web", "newTag": "2"}],
        patches=[
            {"target": {"kind": "Service"}, "patch": '[{"op": "add", "path": "/spec/type", "value": "NodePort"}]'}
        ],
    )
    as_written = overlays.on_base(
        "namePrefix: b-\nnamespace: shop\nimages: [{name: registry.example.com/web, newTag: '2'}]\n"
        'patches:\n- target: {kind: Service}\n  patch: \'[{"op": "add", "path": "/spec/type", "value": "NodePort"}]\'\n'
    )
    assert rendered.objects
    assert [each.tree for each in rendered.objects] == cli(as_written, "prod")


@pytest.mark.parametrize(
    "brings",
    [
        "openapi: {path: schema.json}",
        "OpenAPI: {path: schema.json}",
        "<<: {openapi: {path: schema.json}}",
        "<<: [{openapi: {path: schema.json}}]",
    ],
)
async def test_a_schema_of_one_overlay_does_not_reach_the_next(renderers: Renderers, brings: str, cli: Cli) -> None:
    """A schema by which the list of containers has no key would let a patch of one replace all of them."""
    own = {
        "prod/kustomization.yaml": f"{brings}\nresources: [c.yaml]\n",
        "prod/c.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n",
        "prod/schema.json": json.dumps(overlays.CONTAINERS_WITHOUT_KEY),
    }
    assert (await render(renderers, own)).objects

    files = overlays.PATCH_OF_ONE_CONTAINER
    assert [each.tree for each in (await render(renderers, files)).objects] == cli(files, "prod")
