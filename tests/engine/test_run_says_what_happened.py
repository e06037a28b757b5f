"""What the trail, events and counts say of a run is what the API server answered: nothing that was only planned, or done by others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from memory_world.server import REMOVED
from whole_runs import manifests as m
from whole_runs.installation import Installation

from agent.values.errors import ForbiddenError, ObjectInvalidError

if TYPE_CHECKING:
    from collections.abc import Callable

OTHER = "other"
FILES = {f"{name}.yaml": m.config(name) for name in "abcd"}
LESS = {name: text for name, text in FILES.items() if name != "d.yaml"}

REFUSED = {
    "ConfigMap/x": m.config("x"),
    "PersistentVolumeClaim/disk": m.claim(),
    "Namespace/team": m.other("Namespace", "team"),
    "CustomResourceDefinition/gadgets.example.com": m.definition(),
    "Gadget/g": m.gadget(),
}


def refuse(world: Installation, name: str, error: type[ForbiddenError | ObjectInvalidError]) -> None:
    def admit(key, _) -> None:
        if f"{key.kind}/{key.name}" == name:
            raise error("it is refused")

    world.server.admission.append(admit)


class TestOfWhatWasNeverMade:
    @pytest.mark.parametrize("name", REFUSED)
    @pytest.mark.parametrize("restart", [False, True], ids=["", "restarted"])
    async def test_leaving_git_it_is_neither_deleted_nor_asked_about(self, name: str, restart: bool) -> None:
        world = Installation(files={**FILES, "x.yaml": REFUSED[name]})
        refuse(world, name, ObjectInvalidError)
        assert len((await world.run()).problems) == 1
        if restart:
            world.restart()
        world.push(FILES)
        ran = await world.run()
        assert (ran.writes, ran.problems, ran.audit, ran.events) == ([], [], [], [])
        assert ran.ready == "Applied"
        assert (world.begun, ran.status.counts.pruned) == ([], 0)

    async def test_an_object_of_another_application_was_never_ours(self) -> None:
        world = Installation(files=FILES)
        world.others[OTHER] = f"shop/{OTHER}"
        await world.run()
        world.make(m.claim(), owner=OTHER)
        world.push({**FILES, "x.yaml": m.claim()})
        assert len((await world.run()).problems) == 1
        world.push(FILES)
        ran = await world.run()
        assert (ran.writes, ran.problems, ran.audit) == ([], [], [])
        assert world.live("PersistentVolumeClaim/disk") is not None

    async def test_what_an_earlier_record_has_of_it_is_forgotten(self) -> None:
        """A first apply that was cut off is recorded as begun."""
        world = Installation(files={**FILES, "x.yaml": m.claim()})
        world.meanwhile("apply PersistentVolumeClaim/disk", lambda: setattr(world.traffic, "away", True))
        await world.run()
        assert "PersistentVolumeClaim/disk" in world.begun
        world.traffic.away = False
        world.restart()
        world.push(FILES)
        ran = await world.run()
        assert (ran.problems, ran.actions.get("PersistentVolumeClaim/disk")) == ([], None)
        assert world.begun == []

    async def test_it_goes_with_its_application_without_a_word(self) -> None:
        world = Installation(files={"a.yaml": FILES["a.yaml"], "x.yaml": m.claim()}, deletionPolicy="prune")
        refuse(world, "PersistentVolumeClaim/disk", ForbiddenError)
        await world.run()
        ran = await world.retire()
        assert ran.events == []
        assert ran.actions == {"ConfigMap/a": "prune"}


def delete(world: Installation) -> None:
    world.delete("ConfigMap/d")


def hand_over(world: Installation) -> None:
    world.give_to("ConfigMap/d", OTHER)


def disown(world: Installation) -> None:
    world.edit("ConfigMap/d", "metadata", "annotations", "signet-gitops.dev/owner", to="v1.x")


def keep_by_finalizer(world: Installation) -> None:
    world.edit("ConfigMap/d", "metadata", "finalizers", to=["example.com/x"])


ELSEWHERE = {"gone": delete, "handed-over": hand_over, "not-ours": disown}


class TestOfADeletion:
    @pytest.mark.parametrize("result", ELSEWHERE)
    async def test_what_went_otherwise_is_no_deletion(self, result: str) -> None:
        world = Installation(files=FILES)
        await world.run()
        ELSEWHERE[result](world)
        world.push(LESS)
        ran = await world.run()
        assert (ran.writes, ran.problems) == ([], [])
        assert [(each.phase, each.action, each.result) for each in ran.audit] == [("event", "forget", result)]
        assert ran.status.counts.pruned == 0
        assert "Pruned" not in ran.events
        assert "ConfigMap/d" not in world.recorded

    @pytest.mark.parametrize("result", ELSEWHERE)
    async def test_nor_is_what_goes_otherwise_right_before(self, result: str) -> None:
        world = Installation(files=FILES)
        await world.run()
        world.push(LESS)
        world.meanwhile("delete ConfigMap/d", lambda: ELSEWHERE[result](world))
        ran = await world.run()
        assert ran.problems == []
        assert ran.actions == {"ConfigMap/d": f"prune: {result}"}
        assert ran.status.counts.pruned == 0
        assert "ConfigMap/d" not in world.recorded

    async def test_what_a_finalizer_keeps_is_going_and_is_asked_for_once(self) -> None:
        world = Installation(files=FILES)
        await world.run()
        keep_by_finalizer(world)
        world.push(LESS)
        ran = await world.run()
        assert ran.actions == {"ConfigMap/d": "prune: deleting"}
        assert ran.status.counts.pruned == 0
        assert (await world.run()).quiet

    @pytest.mark.parametrize("lost", [False, True], ids=["as recorded", "after the record was lost"])
    async def test_one_that_git_takes_back_is_made_again_once_it_is_gone(self, *, lost: bool) -> None:
        world = Installation(files=FILES)
        await world.run()
        keep_by_finalizer(world)
        world.push(LESS)
        await world.run()
        if lost:
            world.lose_record()
            world.restart()
            await world.run()
        world.push(FILES)
        ran = await world.run()
        assert (ran.writes, ran.problems) == ([], ["Held ConfigMap/d"])
        assert [each.status for each in ran.status.conditions if each.type in {"Reconciling", "Stalled"}] == [
            "True",
            "False",
        ]
        world.edit("ConfigMap/d", "metadata", "finalizers", to=REMOVED)
        ran = await world.run("retry")
        assert (ran.actions, ran.causes) == ({"ConfigMap/d": "create"}, {"ConfigMap/d": "commit"})

    @pytest.mark.parametrize("gone", [delete, hand_over], ids=["gone", "handed over"])
    async def test_of_what_holds_other_things_and_is_gone_nothing_is_asked(
        self, gone: Callable[[Installation], None]
    ) -> None:
        world = Installation(files={**FILES, "d.yaml": m.claim("d")})
        await world.run()
        if gone is delete:
            world.delete("PersistentVolumeClaim/d")
        else:
            world.give_to("PersistentVolumeClaim/d", OTHER)
        world.push(LESS)
        ran = await world.run()
        assert (ran.writes, ran.problems, ran.ready) == ([], [], "Applied")


class TestOfAnApply:
    async def test_what_stood_there_before_is_taken_over_and_not_created(self) -> None:
        world = Installation(files=FILES)
        world.make(m.config("a", "theirs"))
        ran = await world.run()
        assert ran.actions["ConfigMap/a"] == "adopt"
        assert ran.actions["ConfigMap/b"] == "create"

    async def test_a_create_that_lost_a_race_is_none(self) -> None:
        world = Installation(files=FILES)
        world.meanwhile("apply ConfigMap/a", lambda: world.make(m.config("a", "theirs")))
        ran = await world.run()
        assert ran.actions["ConfigMap/a"] == "adopt"

    async def test_a_heal_that_wrote_nothing_is_none(self) -> None:
        world = Installation(files=FILES)
        await world.run()
        world.edit("ConfigMap/a", "data", "value", to="edited", by="theirs")
        world.meanwhile("apply ConfigMap/a", lambda: world.server.apply(world.key("ConfigMap/a"), given, "signet"))
        metadata = metadata_of(world, "ConfigMap/a")
        given = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"value": "1"}}
        ran = await world.heal()
        assert ran.writes == ["apply ConfigMap/a: StaleObject", "apply ConfigMap/a"]
        assert ran.actions == {"ConfigMap/a": "heal: unchanged"}
        assert ran.status.counts.applied == 0
        assert "Healed" not in ran.events

    async def test_applying_all_again_changes_what_differs_and_says_so(self) -> None:
        world = Installation(files=FILES)
        await world.run()
        world.edit("ConfigMap/a", "data", "value", to="edited")
        world.lose_record()
        world.restart()
        ran = await world.run()
        assert ran.actions == {
            "ConfigMap/a": "adopt",
            **{f"ConfigMap/{name}": "adopt: unchanged" for name in "bcd"},
        }
        assert (ran.status.counts.applied, ran.status.counts.unchanged) == (1, 3)

    async def test_a_replacement_that_was_deleted_and_not_made_is_reported_and_then_made(self) -> None:
        annotations = {"replace": "true"}
        world = Installation(files={**FILES, "w.yaml": m.workload(app="one", annotations=annotations)})
        await world.run()
        world.push({**FILES, "w.yaml": m.workload(app="two", annotations=annotations)})

        def admit(key, _) -> None:
            if key.kind == "Deployment" and world.live("Deployment/web") is None:
                raise ObjectInvalidError("it is refused")

        world.server.admission.append(admit)
        ran = await world.run()
        assert ran.writes == [
            "apply Deployment/web: ObjectInvalid",
            "delete Deployment/web",
            "apply Deployment/web: ObjectInvalid",
        ]
        done = ran.outcome_of("Deployment/web")
        assert (done.action, done.result) == ("replace", "ObjectInvalid")
        assert done.facts is not None
        assert done.facts["deleted"] == "yes"
        assert "Deployment/web" in world.begun
        world.server.admission.clear()
        ran = await world.run()
        assert ran.actions == {"Deployment/web": "create"}

    async def test_a_replacement_that_was_not_made_and_leaves_git_is_forgotten(self) -> None:
        annotations = {"replace": "true"}
        world = Installation(files={**FILES, "w.yaml": m.workload(app="one", annotations=annotations)})
        await world.run()
        world.push({**FILES, "w.yaml": m.workload(app="two", annotations=annotations)})
        refuse(world, "Deployment/web", ObjectInvalidError)
        world.server.admission.insert(0, lambda key, _: None)
        await world.run()
        world.push(FILES)
        ran = await world.run()
        assert ran.problems == []

    async def test_an_object_that_is_left_to_others_is_not_created(self) -> None:
        world = Installation(files={"a.yaml": m.config("a", annotations={"apply": "if-not-present"})})
        world.make(m.config("a", "theirs"))
        ran = await world.run()
        assert {each.action for each in ran.audit} == {"leave"}
        assert ran.status.counts.applied == 0


def metadata_of(world: Installation, name: str) -> dict[str, object]:
    """As the agent applies them."""
    metadata = (world.live(name) or {})["metadata"]
    assert isinstance(metadata, dict)
    return {part: metadata[part] for part in ("name", "namespace", "labels", "annotations")}
