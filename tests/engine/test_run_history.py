"""The history of an Application: what was released and what was healed, each apart, with the commit's subject, author and cause."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from whole_runs import manifests as m
from whole_runs.installation import Installation

from agent.controllers import status
from agent.values.errors import SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.api.status import SyncRecord
    from agent.values.tree import Object


def causes(entries: Sequence[SyncRecord]) -> list[str]:
    """What started each, without what it changed."""
    return [each.cause.partition(":")[0] for each in entries]


@pytest.mark.parametrize(
    ("asked", "cause"),
    [
        ("request", "git+request"),
        ("interval", "git"),
        ("retry", "git+retry"),
        ("spec", "git+spec"),
        ("interval request", "git+request"),
    ],
)
async def test_a_commit_is_released_because_of_git_whatever_made_the_agent_look(asked: str, cause: str) -> None:
    world = Installation(files={"a.yaml": m.config()})
    assert causes((await world.run()).status.history) == ["git+start"]
    world.push({"a.yaml": m.config("a", "2")})
    ran = await world.run(*asked.split())
    assert causes(ran.status.history) == [cause, "git+start"]
    assert ran.status.history[0].revision == "refs/heads/main@000000000002"


async def test_without_another_commit_the_cause_is_what_asked() -> None:
    world = Installation(files={"s.yaml": m.secret("db")})
    world.stores.write("kv/db", password="one")
    await world.run()
    world.annotate(requested_at="1")
    assert len((await world.run("request")).status.history) == 1, "nothing came of it"
    world.stores.write("kv/db", password="two")
    ran = await world.probe()
    assert ran is not None
    assert causes(ran.status.history) == ["secret", "git+start"]


@pytest.mark.parametrize("asked", ["git", "push", "interval", "request"])
async def test_a_commit_that_leaves_the_files_is_no_entry(asked: str) -> None:
    world = Installation(files={"base/a.yaml": m.config()}, layers=["base"])
    await world.run()
    world.push({"base/a.yaml": m.config(), "other/README.md": "text"})
    ran = await world.run(asked)
    assert (ran.writes, causes(ran.status.history)) == ([], ["git+start"])
    assert str(ran.status.checked_revision).endswith("@000000000002")
    world.edit("ConfigMap/a", "data", "value", to="by hand")
    ran = await world.heal()
    assert (causes(ran.status.history), causes(ran.status.heals)) == (["git+start"], ["live"])


async def test_a_commit_whose_files_say_the_same_is_an_entry_with_its_own_name() -> None:
    world = Installation(files={"base/a.yaml": m.config()}, layers=["base"])
    await world.run()
    world.push({"base/a.yaml": f"# a comment\n{m.config()}"})
    ran = await world.run("request")
    assert (ran.writes, causes(ran.status.history)) == ([], ["git+request", "git+start"])
    assert ran.status.history[0].revision.endswith("@000000000002")
    assert ran.status.history[0].subject == "commit 2"


async def test_each_commit_that_fails_is_an_entry() -> None:
    world = Installation(files={"a.yaml": m.config()})
    await world.run()
    for number in range(2):
        world.push({"a.yaml": "a: [\n", "other": f"{number}"})
        assert (await world.run()).problems
    ran = await world.run("retry")
    assert [each.subject for each in ran.status.history] == ["commit 3", "commit 2", "commit 1"]


async def test_heals_push_no_release_out_and_releases_no_heal() -> None:
    world = Installation(files={"a.yaml": m.config()})
    await world.run()
    for number in range(12):
        world.edit("ConfigMap/a", "data", "value", to=f"by hand {number}")
        ran = await world.heal()
    assert causes(ran.status.history) == ["git+start"]
    assert causes(ran.status.heals) == ["live"] * 10
    for number in range(12):
        world.push({"a.yaml": m.config("a", f"{number + 2}")})
        ran = await world.run()
    assert causes(ran.status.history) == ["git"] * 10
    assert causes(ran.status.heals) == ["live"] * 10


async def test_a_release_that_heals_beside_is_a_release() -> None:
    world = Installation(files={"a.yaml": m.config(), "b.yaml": m.config("b")})
    await world.run()
    world.edit("ConfigMap/a", "data", "value", to="by hand")
    world.push({"a.yaml": m.config(), "b.yaml": m.config("b", "2")})
    ran = await world.run("live", "interval")
    assert (causes(ran.status.history)[0], ran.status.heals) == ("git+live", ())


async def test_subject_and_author_are_the_commit_s_bounded_and_escaped() -> None:
    world = Installation(files={"a.yaml": m.config()})
    world.git.subjects[1] = "Change \x1b[31m " + "x" * 500
    entry = (await world.run()).status.history[0]
    assert entry.subject.startswith("Change \\x1b[31m xxx")
    assert len(entry.subject) == 120
    assert entry.author == "Dev <dev@example.com>"


async def test_an_outage_of_git_is_one_entry() -> None:
    world = Installation(files={"a.yaml": m.config()})
    await world.run()
    world.git.error = SourceUnavailableError("the Git server cannot be reached")
    for _ in range(3):
        ran = await world.run("retry")
    assert causes(ran.status.history) == ["retry", "git+start"]


def test_an_earlier_status_is_read() -> None:
    entry: Object = {
        "revision": "main@1",
        "startedAt": "",
        "finishedAt": "",
        "result": "succeeded",
        "cause": "interval",
    }
    old = status.of_tree({"history": [entry], "failures": [{"reason": "Yaml", "message": "x"}]})
    assert (old.history[0].cause, old.history[0].subject) == ("interval", "")
    assert (old.heals, old.objects, old.failures[0].retry_at) == ((), (), None)
