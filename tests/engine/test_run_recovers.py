"""The cluster was made again, or the agent's namespace was lost: what an earlier Application applied is taken over as it stands."""

from __future__ import annotations

import pytest
from memory_world.sealed_files import encrypt
from whole_runs import manifests as m
from whole_runs.endings import finish, job
from whole_runs.installation import Installation

from agent.manifests import ownership

FILES = {
    "s.yaml": encrypt(m.plain_secret("db"), "s.yaml"),
    "w.yaml": m.workload(uses="db", kind="Deployment"),
    "c.yaml": m.config(),
}
ALL = ("Secret/db", "Deployment/web", "ConfigMap/a")
TEMPLATE = ("Deployment/web", "spec", "template")
ROLL = ("metadata", "annotations", "signet-gitops.dev/secrets-version")
OWNER = ("metadata", "annotations", ownership.ANNOTATION_OWNER)


async def lost(files: dict[str, str] = FILES, *, key: bool = False, **spec: object) -> Installation:
    """Applied once, and then everything that the agent knew was lost; with the `key`, only that it knew which uid it had."""
    world = Installation(files=files, **spec)
    assert (await world.run()).problems == []
    world.lose_cluster(key=key)
    return world


class TestWhereNothingProvesWhoseItIs:
    async def test_nothing_is_written_until_it_is_handed_over(self) -> None:
        world = await lost()
        world.push({**FILES, "more.yaml": m.config("more")})
        ran = await world.run()
        assert (ran.writes, ran.audit) == ([], [])
        assert {(each.object, each.sync) for each in ran.status.objects} == {
            (f"{kind} shop/{name}", "Held")
            for kind, name in (
                ("Secret", "db"),
                ("Deployment.apps", "web"),
                ("ConfigMap", "a"),
                ("ConfigMap", "more"),
            )
        }
        assert {each.reason for each in ran.status.failures} == {"RecoveryNeeded"}
        assert world.recorded == world.begun == []

    async def test_all_of_it_has_to_be(self) -> None:
        world = await lost()
        world.hand_over(*ALL[1:])
        assert (await world.run()).writes == []

    async def test_to_this_application(self) -> None:
        world = await lost()
        world.hand_over(*ALL, to="shop/other")
        assert (await world.run()).writes == []

    async def test_what_no_commit_has_is_not_waited_for_and_stays(self) -> None:
        world = await lost()
        world.push({name: text for name, text in FILES.items() if name != "c.yaml"})
        world.hand_over(*ALL[:2])
        ran = await world.run()
        assert (ran.problems, ran.writes) == ([], ["apply Secret/db", "apply Deployment/web"])
        world.hand_over("ConfigMap/a")
        world.restart()
        assert (await world.run()).quiet
        assert world.live("ConfigMap/a") is not None

    async def test_detection_says_it_too(self) -> None:
        world = await lost()
        world.spec(sync={"mode": "detect"})
        assert {each.partition(" ")[0] for each in (await world.run()).problems} == {"RecoveryNeeded"}


@pytest.mark.parametrize("key", [True, False])
class TestOfWhatIsTakenOver:
    async def recovered(self, key: bool, files: dict[str, str] = FILES) -> Installation:
        world = await lost(files, key=key)
        if not key:
            world.hand_over(*[name for name in ALL if world.live(name) is not None])
        return world

    async def test_nothing_of_it_restarts(self, key: bool) -> None:
        world = await self.recovered(key)
        template = world.value(*TEMPLATE)
        ran = await world.run()
        assert (ran.problems, set(ran.actions.values())) == ([], {"adopt"})
        assert world.value(*TEMPLATE) == template
        assert all(f".{'app-1'}." in str(world.value(name, *OWNER)) for name in ALL)
        assert (await world.run()).quiet
        world.restart()
        ran = await world.run()
        assert (ran.quiet, ran.reads) == (True, [])

    async def test_it_restarts_for_another_value_from_then_on(self, key: bool) -> None:
        world = await self.recovered(key)
        await world.run()
        world.push({**FILES, "s.yaml": encrypt(m.plain_secret("db", "second"), "s.yaml")})
        assert (await world.run()).writes == ["apply Secret/db", "apply Deployment/web"]
        assert world.value(*TEMPLATE, *ROLL) != "before"

    async def test_it_restarts_where_the_value_is_another_one_already(self, key: bool) -> None:
        world = await self.recovered(key)
        world.edit("Secret/db", "data", "password", to="b3RoZXI=", by="signet")
        await world.run()
        assert world.value(*TEMPLATE, *ROLL) != "before"

    async def test_a_run_that_is_cut_off_is_gone_on_with(self, key: bool) -> None:
        world = await self.recovered(key)
        template = world.value(*TEMPLATE)
        world.meanwhile("apply Deployment/web", lambda: setattr(world.traffic, "away", True))
        await world.run()
        world.traffic.away = False
        world.restart()
        ran = await world.run()
        assert ran.problems == []
        assert world.value(*TEMPLATE) == template
        assert (await world.run()).quiet

    async def test_what_people_added_stays_and_is_reported(self, key: bool) -> None:
        world = await self.recovered(key)
        world.edit("ConfigMap/a", "data", "more", to="x")
        await world.run()
        for _ in range(2):
            ran = await world.run()
            assert ran.writes == []
            assert [each.reason for each in ran.status.warnings] == ["Additions"]
        assert world.value("ConfigMap/a", "data", "more") == "x"

    async def test_a_job_that_ran_does_not_run_again(self, key: bool) -> None:
        files = {**FILES, "x.yaml": job(), "y.yaml": job("web:2").replace("migrate", "gone")}
        world = Installation(files=files)
        await world.run()
        for name in ("Job/migrate", "Job/gone"):
            finish(world, name)
        world.lose_cluster(key=key)
        world.delete("Job/gone")
        if not key:
            world.hand_over(*ALL, "Job/migrate")
        uid = world.value("Job/migrate", "metadata", "uid")
        ran = await world.run()
        assert (ran.problems, world.live("Job/gone")) == (["Held Job/gone"], None)
        assert world.value("Job/migrate", "metadata", "uid") == uid
        world.restart()
        assert ((await world.run()).writes, world.live("Job/gone")) == ([], None)

    async def test_the_loss_is_reported_once(self, key: bool) -> None:
        world = await self.recovered(key)
        ran = await world.run()
        assert [each for each in ran.audit if "record-lost" in str(each)]
        assert any(each.type == "RecordLost" for each in ran.status.conditions)
        assert not [each for each in (await world.run()).audit if "record-lost" in str(each)]


async def test_the_key_is_not_enough_outside_of_the_applications_namespace() -> None:
    """The earlier Application is gone, and others write there too."""
    world = await lost({"n.yaml": m.other("PriorityClass", "p", "scheduling.k8s.io/v1", value=1)}, key=True)
    assert (await world.run()).problems == ["RecoveryNeeded PriorityClass/p"]
    world.hand_over("PriorityClass/p")
    assert (await world.run()).writes == ["apply PriorityClass/p"]


async def test_what_a_living_application_owns_is_a_conflict_that_nothing_waits_for() -> None:
    world = await lost()
    world.others["other"] = "shop/other"
    world.give_to("ConfigMap/a", "other")
    world.hand_over(*ALL[:2])
    ran = await world.run()
    assert (ran.problems, ran.writes) == (
        ["OwnershipConflict ConfigMap/a"],
        ["apply Secret/db", "apply Deployment/web"],
    )


async def test_an_object_of_an_earlier_application_that_comes_into_the_commit_later_is_taken_as_ever() -> None:
    world = await lost()
    world.push({"b.yaml": m.config("b")})
    await world.run()
    world.push({"b.yaml": m.config("b"), "c.yaml": FILES["c.yaml"]})
    assert (await world.run()).writes == ["apply ConfigMap/a"]
