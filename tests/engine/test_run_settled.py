"""A commit that leaves an Application's files looks at none of its objects, and at all of them where anything else is as it was not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from whole_runs import manifests as m
from whole_runs.installation import Installation

from agent.engine import polling
from agent.engine.settled import Settled
from agent.engine.state import State

if TYPE_CHECKING:
    from collections.abc import Callable

FILES = {"base/a.yaml": m.config(), "base/b.yaml": m.config("b"), "base/s.yaml": m.secret("db")}


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many objects each run looked at, of those that looked at any."""
    counted: list[int] = []
    observe = polling.observe

    async def counting(run, objects, kinds):
        counted.append(len(objects))
        return await observe(run, objects, kinds)

    monkeypatch.setattr(polling, "observe", counting)
    return counted


async def settled(looked: list[int], **spec: object) -> Installation:
    """One that had nothing to do in its last run, and a commit after it that leaves its files."""
    world = Installation(files=FILES, layers=["base"], **spec)
    world.stores.write("kv/db", password="one")
    await world.run()
    assert (await world.run("interval")).quiet
    elsewhere(world)
    looked.clear()
    return world


def elsewhere(world: Installation) -> None:
    world.push({**FILES, "other/README.md": f"{world.git.head_number}"})


@pytest.mark.parametrize("trigger", ["git", "push", "git push"])
async def test_a_commit_that_leaves_the_files_looks_at_no_object(trigger: str, looked: list[int]) -> None:
    world = await settled(looked)
    before = await world.run("interval")
    looked.clear()
    for _ in range(3):
        elsewhere(world)
        ran = await world.run(*trigger.split())
        assert ran.quiet
        assert (ran.reads, ran.opened, looked) == ([], [], [])
        assert ran.status.checked_revision is not None
        assert ran.status.checked_revision.endswith(world.commit[:12])
        assert [each.status for each in ran.status.conditions] == [each.status for each in before.status.conditions]
        assert (ran.status.revision, ran.status.objects) == (before.status.revision, before.status.objects)
        assert ran.status.counts == before.status.counts


@pytest.mark.parametrize("trigger", ["interval", "request", "start", "git interval", "push request"])
async def test_whatever_else_started_the_run_looks(trigger: str, looked: list[int]) -> None:
    world = await settled(looked)
    assert (await world.run(*trigger.split())).quiet
    assert looked == [3]


CHANGES: dict[str, tuple[Callable[[Installation], object], list[str]]] = {
    "an edit": (lambda world: world.edit("ConfigMap/a", "data", "value", to="by hand"), ["apply ConfigMap/a"]),
    "a deletion": (lambda world: world.delete("ConfigMap/a"), ["apply ConfigMap/a"]),
    "its files": (lambda world: world.push({**FILES, "base/a.yaml": m.config("a", "2")}), ["apply ConfigMap/a"]),
    "a file less": (lambda world: world.push({name: FILES[name] for name in list(FILES)[1:]}), ["delete ConfigMap/a"]),
    "its spec": (
        lambda world: world.spec(layers=["base"], commonMetadata={"labels": {"team": "a"}}),
        ["apply ConfigMap/a", "apply ConfigMap/b"],
    ),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_whatever_else_changed_is_seen_by_the_run_that_a_commit_starts(change: str, looked: list[int]) -> None:
    make, writes = CHANGES[change]
    world = await settled(looked)
    make(world)
    ran = await world.run("git")
    assert looked != []
    assert [each for each in ran.writes if each in writes] == writes
    assert (await world.run("git")).quiet


async def test_what_a_store_has_rotated_is_applied_by_the_run_that_a_commit_starts(looked: list[int]) -> None:
    world = await settled(looked)
    world.stores.write("kv/db", password="two")
    ran = await world.probe("git")
    assert ran is not None
    assert ran.writes == ["apply Secret/db"]


async def test_kinds_that_were_asked_for_since_are_looked_up(looked: list[int]) -> None:
    world = await settled(looked)
    await world.discover()
    assert (await world.run("git")).quiet
    assert looked == [3]
    elsewhere(world)
    assert (await world.run("git")).quiet
    assert looked == [3], "they are the same again"


async def test_a_problem_is_looked_at_again(looked: list[int]) -> None:
    world = await settled(looked)
    world.push({**FILES, "base/c.yaml": m.secret("missing", "vault://main/kv/missing#password")})
    assert (await world.run("git")).problems
    for _ in range(2):
        world.push(
            {**FILES, "base/c.yaml": m.secret("missing", "vault://main/kv/missing#password"), "other/x": world.commit}
        )
        looked.clear()
        assert (await world.run("git")).problems
        assert looked == [4]


def test_it_keeps_no_manifests_that_are_to_be_forgotten() -> None:
    known = State(settled=Settled(*[object()] * 7))  # type: ignore[arg-type]
    assert known.without_manifests.settled is None


async def test_what_is_only_detected_is_looked_at_again(looked: list[int]) -> None:
    world = await settled(looked, sync={"mode": "detect"})
    assert (await world.run("git")).pending
    assert looked == [3]
