"""A deletion that waits for a confirmation waits, whatever else changes; a confirmation names one set of objects, and no other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from memory_world.sources import commit_of
from whole_runs import manifests as m
from whole_runs.installation import Installation

from agent.engine.guard import Guard
from agent.values.ids import ObjectId

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from whole_runs.ran import Ran


def test_a_confirmation_is_spent_by_what_it_confirms_and_by_nothing_else() -> None:
    commit, given = "1f0c3b2a9d4e", "1f0c3b2"
    first = Guard().after((), confirmation=given, commit=commit)
    again = first.after((), confirmation=given, commit=commit)
    assert (first.spent, again.spent) == (False, False), "nothing waited for it"
    used = again.after((KEY,), confirmation=given, commit=commit)
    assert used.spent
    assert used.after((), confirmation=given, commit=commit).spent
    assert not used.after((), confirmation=f"{given}a", commit=commit).spent, "another one"


def files(names: str, folder: str = "base") -> dict[str, str]:
    return {f"{folder}/{name}.yaml": m.config(name) for name in names}


KEY = ObjectId("", "ConfigMap", "shop", "c")
ALL, LEFT, MORE = files("abcde"), files("ab"), files("opqrstuv")
WAITING = [f"ConfigMap/{name}" for name in "cde"]


async def waiting(**more: str) -> Installation:
    """Three of five objects wait; `more` is what the same commit brings."""
    world = Installation(files=ALL, layers=["base"])
    assert (await world.run()).problems == []
    world.push({**LEFT, **more})
    ran = await world.run()
    assert [write for write in ran.writes if write.startswith("delete")] == []
    assert sorted(ran.problems) == [f"PruneRefused {name}" for name in WAITING]
    return world


def asked(ran: Ran) -> str:
    """What the question of a run says confirms it."""
    (text,) = {str(error.facts["confirm"]) for error in ran.errors if error.reason == "PruneRefused"}
    return text


async def nothing(_: Installation) -> None: ...


async def a_commit_beside(world: Installation) -> None:
    world.push({**LEFT, "base/a.yaml": m.config("a", "2")})


async def new_objects(world: Installation) -> None:
    world.push({**LEFT, **MORE})
    await world.run()


async def another_layer(world: Installation) -> None:
    world.push({**LEFT, **files("opqrstuv", "more")})
    await world.run()
    world.spec(layers=["base", "more"])
    await world.run()


async def pruning_off_and_on(world: Installation) -> None:
    world.spec(prune=False)
    assert (await world.run("spec")).problems == []
    await new_objects(world)
    world.spec(prune=True)


async def detection_and_back(world: Installation) -> None:
    world.spec(sync={"mode": "detect"})
    await world.run("spec")
    world.spec(sync={"mode": "apply"})


async def a_restart(world: Installation) -> None:
    world.restart()


async def a_lost_lease(world: Installation) -> None:
    world.push({**LEFT, **MORE, "base/z.yaml": m.config("z")})
    world.meanwhile("apply ConfigMap/z", lambda: setattr(world, "lease", False))
    assert (await world.run()).ended_by == "LeaseLost"
    world.lease = True
    await world.another_agent_takes()
    world.restart()


async def another_spec(world: Installation) -> None:
    world.spec(interval="10m")


async def another_address(world: Installation) -> None:
    world.spec(url="https://git.example.com/y.git")


async def a_hold(world: Installation) -> None:
    world.push({**LEFT, **MORE, "base/secret.yaml": m.secret("db")})
    await world.run()
    world.stores.write("kv/db", password="p")


async def one_is_deleted_by_hand(world: Installation) -> None:
    world.delete("ConfigMap/e")


async def one_comes_back(world: Installation) -> None:
    world.push(files("abe"))


HAPPENS: dict[str, Callable[[Installation], Awaitable[None]]] = {
    each.__name__.replace("_", " "): each
    for each in (
        nothing,
        a_commit_beside,
        new_objects,
        another_layer,
        pruning_off_and_on,
        detection_and_back,
        a_restart,
        a_lost_lease,
        another_spec,
        another_address,
        a_hold,
        one_is_deleted_by_hand,
        one_comes_back,
    )
}


@pytest.mark.parametrize("brings", [{}, MORE], ids=["", "among new objects"])
@pytest.mark.parametrize("happens", HAPPENS)
async def test_it_waits_whatever_happens(happens: str, brings: dict[str, str]) -> None:
    world = await waiting(**brings)
    await HAPPENS[happens](world)
    for _ in range(2):
        ran = await world.run()
        assert [write for write in ran.writes if write.startswith("delete")] == []
    stays = [name for name in WAITING if world.live(name) is not None and name != "ConfigMap/e"]
    assert stays == WAITING[:2]
    assert {f"PruneRefused {name}" for name in stays} <= set(ran.problems)
    world.annotate(confirm_prune=asked(ran))
    ran = await world.run("spec")
    assert {f"delete {name}" for name in stays} <= set(ran.writes)
    assert ran.problems == []


async def test_new_objects_of_a_run_that_was_cut_off_do_not_dilute_it() -> None:
    world = Installation(files=ALL, layers=["base"])
    await world.run()
    world.push({**LEFT, **MORE})
    world.meanwhile("apply ConfigMap/v", lambda: setattr(world.traffic, "away", True))
    await world.run()
    world.traffic.away = False
    world.restart()
    ran = await world.run()
    assert [write for write in ran.writes if write.startswith("delete")] == []
    assert sorted(ran.problems) == [f"PruneRefused {name}" for name in WAITING]


async def test_nor_do_those_that_are_applied_while_something_is_held() -> None:
    world = Installation(files=ALL, layers=["base"])
    await world.run()
    world.push({**LEFT, **MORE, "base/secret.yaml": m.secret("db")})
    await world.run()
    world.stores.write("kv/db", password="p")
    ran = await world.run()
    assert ran.writes == ["apply Secret/db"]
    assert sorted(ran.problems) == [f"PruneRefused {name}" for name in WAITING]


async def test_nor_those_that_are_applied_while_pruning_is_off() -> None:
    world = Installation(files=ALL, layers=["base"], prune=False)
    await world.run()
    world.push({**LEFT, **MORE})
    await world.run()
    world.spec(prune=True)
    ran = await world.run("spec")
    assert sorted(ran.problems) == [f"PruneRefused {name}" for name in WAITING]


async def test_each_commit_is_judged_by_what_was_applied_before_it() -> None:
    """Two at a time, nothing is asked, until what is left would all go."""
    world = Installation(files=files("abcdefghij"))
    await world.run()
    for left in ("abcdefgh", "abcdef", "abcd", "ab"):
        world.push(files(left))
        assert len((await world.run()).writes) == 2
    world.push({})
    ran = await world.run()
    assert ran.writes == []
    assert len(ran.problems) == 2


async def test_commits_between_two_runs_are_judged_together() -> None:
    world = Installation(files=files("abcdefghij"))
    await world.run()
    for left in ("abcdefgh", "abcdef", "abcd"):
        world.push(files(left))
    ran = await world.run()
    assert ran.writes == []
    assert len(ran.problems) == 6


class TestOfAConfirmation:
    async def test_the_one_that_the_question_names_deletes_what_it_asks_about(self) -> None:
        world = await waiting()
        ran = await world.run()
        assert asked(ran).startswith(commit_of(2)[:12] + "-")
        assert {str(error.facts["confirm"]) in str(error) for error in ran.errors} == {True}
        world.annotate(confirm_prune=asked(ran))
        assert (await world.run("spec")).writes == [f"delete {name}" for name in WAITING]

    async def test_one_for_another_set_is_none(self) -> None:
        world = await waiting()
        text = asked(await world.run())
        world.spec(layers=["nowhere"])
        world.annotate(confirm_prune=text)
        ran = await world.run("spec")
        assert ran.writes == []
        assert len(ran.problems) == 5
        assert asked(ran) != text

    async def test_nor_is_the_commit_where_another_set_was_asked_about_at_it(self) -> None:
        world = await waiting()
        world.spec(layers=["nowhere"])
        world.confirm(2)
        ran = await world.run("spec")
        assert ran.writes == []
        assert len(ran.problems) == 5

    async def test_one_that_was_given_when_nothing_waited_is_none(self) -> None:
        world = Installation(files=ALL, layers=["base"])
        world.confirm(1)
        await world.run()
        world.spec(layers=["nowhere"])
        assert (await world.run("spec")).writes == []

    async def test_one_that_was_carried_out_is_not_one_for_what_comes_next(self) -> None:
        world = await waiting()
        world.confirm(2)
        assert len((await world.run("spec")).writes) == 3
        world.spec(layers=["nowhere"])
        ran = await world.run("spec")
        assert ran.writes == []
        world.annotate(confirm_prune=asked(ran))
        assert (await world.run("spec")).writes == ["delete ConfigMap/a", "delete ConfigMap/b"]

    async def test_one_for_a_commit_that_is_not_the_newest_is_none_when_the_branch_goes_back(self) -> None:
        world = await waiting()
        world.push({**LEFT, "base/a.yaml": m.config("a", "2")})
        await world.run()
        world.confirm(2)
        await world.run("spec")
        world.git.head_number = 2
        world.spec(layers=["nowhere"])
        assert [each for each in (await world.run("spec")).writes if each.startswith("delete")] == []

    @pytest.mark.parametrize("restart", [False, True], ids=["", "restarted"])
    async def test_what_could_not_be_deleted_is_deleted_later_without_another(self, restart: bool) -> None:
        world = await waiting()
        world.confirm(2)
        world.meanwhile("delete ConfigMap/d", lambda: setattr(world.traffic, "away", True))
        await world.run("spec")
        world.traffic.away = False
        if restart:
            world.restart()
        ran = await world.run()
        assert ran.problems == []
        assert all(world.live(name) is None for name in WAITING)

    async def test_what_comes_back_meanwhile_needs_another(self) -> None:
        world = await waiting()
        world.confirm(2)
        world.meanwhile("delete ConfigMap/c", lambda: setattr(world.traffic, "away", True))
        await world.run("spec")
        world.traffic.away = False
        world.git.head_number = 1
        await world.run()
        world.git.head_number = 2
        ran = await world.run()
        assert ran.writes == []
        assert len(ran.problems) == 3

    async def test_it_can_be_taken_back(self) -> None:
        world = await waiting()
        world.confirm(2)
        world.meanwhile("delete ConfigMap/c", lambda: setattr(world.traffic, "away", True))
        await world.run("spec")
        world.traffic.away = False
        world.annotate(confirm_prune="")
        ran = await world.run("spec")
        assert ran.writes == []
        assert len(ran.problems) == 3

    async def test_one_for_other_objects_does_not_delete_a_volume_with_its_application(self) -> None:
        world = Installation(files={**ALL, "base/disk.yaml": m.claim()}, layers=["base"], deletionPolicy="prune")
        await world.run()
        world.push({"base/a.yaml": ALL["base/a.yaml"], "base/disk.yaml": m.claim()})
        ran = await world.run()
        world.confirm(2)
        await world.run("spec")
        ran = await world.retire()
        assert "delete PersistentVolumeClaim/disk" not in ran.writes

    async def test_one_that_was_given_before_an_application_goes_deletes_its_volumes(self) -> None:
        world = Installation(files={**ALL, "base/disk.yaml": m.claim()}, layers=["base"], deletionPolicy="prune")
        await world.run()
        world.confirm(1)
        await world.run("spec")
        assert "delete PersistentVolumeClaim/disk" in (await world.retire()).writes


class TestOfARename:
    @pytest.mark.parametrize(
        ("before", "after", "old", "text"),
        [
            ({"a.yaml": m.config("a")}, {"a.yaml": m.config("b")}, "ConfigMap/a", "a → b"),
            (
                {"a.yaml": m.claim("data"), "b.yaml": m.config("b")},
                {"a.yaml": m.claim("disk"), "b.yaml": m.config("b")},
                "PersistentVolumeClaim/data",
                "data → disk",
            ),
            (
                {"a.yaml": m.config("a"), "w.yaml": m.workload("web")},
                {"a.yaml": m.config("b"), "w.yaml": m.workload("shop")},
                "Deployment/web",
                "web → shop",
            ),
        ],
        ids=["all there is", "a volume claim", "one of each kind"],
    )
    async def test_the_question_says_what_it_looks_like(
        self, before: dict[str, str], after: dict[str, str], old: str, text: str
    ) -> None:
        world = Installation(files=before)
        await world.run()
        world.push(after)
        for _ in range(3):
            assert f"looks like a rename of {text}" in str((await world.run()).error_of(old))
            world.restart()

    @pytest.mark.parametrize("after", ["", "bc"], ids=["nothing new", "two new"])
    async def test_where_there_is_not_one_for_one_it_says_nothing(self, after: str) -> None:
        world = Installation(files=files("a"))
        await world.run()
        world.push(files(after))
        assert "rename" not in str((await world.run()).error_of("ConfigMap/a"))
