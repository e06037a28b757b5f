"""What the operator sets for renderers: how much one overlay may take, and how many processes there are."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from agent.adapters.render.pool import Renderers
from agent.api import operator
from agent.api.operator import RenderLimits
from agent.engine.renderers import Kustomization, SourceTree
from agent.values.errors import ConfigError, RenderLimitError
from agent.values.ids import ApplicationId

if TYPE_CHECKING:
    from pathlib import Path

    from agent.values.tree import Tree

_MIB = 1024 * 1024
_LARGE = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a%d}\ndata: {a: %s}\n"
OVERLAY = Kustomization(
    "",
    SourceTree.of(
        {
            "kustomization.yaml": b"resources: [a.yaml]\n",
            "a.yaml": "---\n".join(_LARGE % (number, "x" * 600_000) for number in range(2)).encode(),
        }
    ),
)


def application(namespace: str) -> ApplicationId:
    return ApplicationId(namespace, "web", "1")


@pytest.mark.parametrize(
    ("limits", "says", "field"),
    [
        (RenderLimits(objects=1), "more objects", "limits.render.objects"),
        (RenderLimits(output_bytes=_MIB), "more output", "limits.render.outputBytes"),
    ],
)
async def test_what_is_over_a_limit_is_an_error_that_names_it(
    program: Path, limits: RenderLimits, says: str, field: str
) -> None:
    renderers = Renderers(program, limits)
    error = (await renderers.kustomize(application("a"), OVERLAY)).error
    await renderers.close()
    assert isinstance(error, RenderLimitError)
    assert says in str(error)
    assert field in error.hint


async def test_as_many_processes_run_as_the_operator_says(program: Path) -> None:
    renderers = Renderers(program, RenderLimits(processes=3))
    rendered = await asyncio.gather(*(renderers.kustomize(application(f"n{n}"), OVERLAY) for n in range(9)))
    assert renderers.resting == 3
    assert all(len(each.objects) == 2 for each in rendered)
    await renderers.close()


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"seconds": 0}, "limits.render.seconds"),
        ({"memoryBytes": _MIB}, "limits.render.memoryBytes"),
        ({"outputBytes": 4096 * _MIB}, "limits.render.outputBytes"),
        ({"objects": 0}, "limits.render.objects"),
        ({"processes": 0}, "limits.render.processes"),
        ({"processes": "2"}, "limits.render.processes"),
        ({"memory": 1}, "limits.render.memory"),
    ],
)
def test_a_limit_that_is_none_is_refused_by_name(given: dict[str, Tree], field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        _ = operator.parse({"limits": {"render": given}})
    assert caught.value.facts["field"] == field


def test_an_empty_file_has_the_limits_that_are_documented() -> None:
    render = operator.parse(None).limits.render
    assert (render.seconds, render.memory_bytes, render.output_bytes) == (30, 512 * _MIB, 64 * _MIB)
    assert (render.objects, render.processes) == (50_000, 2)
