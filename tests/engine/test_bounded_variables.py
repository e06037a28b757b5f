"""What variables cost is bounded: their number, their length, what becomes of them, and where it is computed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from memory_world import sources
from whole_runs import manifests as m
from whole_runs.installation import Installation

from agent.desired import disclosing
from agent.manifests import expansion

if TYPE_CHECKING:
    from collections.abc import Callable

FILE = {"files": ["vars.yaml"]}


def world(variables: str, text: str = "${V0}") -> Installation:
    files = {"app/a.yaml": m.config("a", data=text), "vars.yaml": variables}
    return Installation(files=files, layers=["app"], substitute=FILE)


@pytest.mark.parametrize(
    ("variables", "problems"),
    [
        ("".join(f"V{number}: a\n" for number in range(10_000)), []),
        ("".join(f"V{number}: a\n" for number in range(10_001)), ["Limit"]),
        (f"V0: &a {'a' * 100_000}\n" + "".join(f"V{number}: *a\n" for number in range(1, 200)), ["Limit"]),
    ],
    ids=["many", "too many", "too long together"],
)
async def test_variables_are_bounded(variables: str, problems: list[str]) -> None:
    ran = await world(variables).run()
    assert [problem.split(" ")[0] for problem in ran.problems] == problems
    assert [error.facts.get("file") for error in ran.errors] == ["vars.yaml"] * len(problems)


async def test_nodes_that_variables_become_are_bounded_for_all_objects_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(expansion, "Room", partial(expansion.Room, nodes=5000))
    text = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: NAME}\nspec:\n  template: ${A}\n"
    for uses, problems in ((4, []), (6, ["Limit"])):
        files = {f"app/{number}.yaml": text.replace("NAME", f"a{number}") for number in range(uses)}
        files["vars.yaml"] = f"A: '[{'0,' * 990}0]'\n"
        ran = await Installation(files=files, layers=["app"], substitute=FILE).run()
        assert [each.reason for each in ran.errors if each.reason == "Limit"] == problems


async def test_names_of_variables_are_computed_beside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    beside: list[bool] = []
    inside = [False]
    labels, in_thread = disclosing.labels, sources.Tasks.in_thread

    async def entered(tasks: sources.Tasks, work: Callable[[], object]) -> object:
        inside[0] = True
        try:
            return await in_thread(tasks, work)
        finally:
            inside[0] = False

    def counted(*given: object) -> dict[str, str]:
        beside.append(inside[0])
        return labels(*given)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(sources.Tasks, "in_thread", entered)
    monkeypatch.setattr(disclosing, "labels", counted)
    ran = await world("V0: a\n").run()
    assert (ran.problems, beside) == ([], [True])
