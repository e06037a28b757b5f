"""What a run knows of those before it: restarts, killed runs, records that are lost or damaged, and another agent that takes over."""

from __future__ import annotations

import pytest
from whole_runs import manifests as m
from whole_runs.installation import Installation

from agent.values.errors import ObjectInvalidError

FILES = {f"{name}.yaml": m.config(name) for name in "abcd"}
LESS = {name: text for name, text in FILES.items() if name != "d.yaml"}
ALL = [f"apply ConfigMap/{name}" for name in "abcd"]


async def applied(files: dict[str, str] = FILES, **spec: object) -> Installation:
    world = Installation(files=files, **spec)
    assert (await world.run()).writes == ALL
    return world


class TestOfANewProcess:
    async def test_it_writes_nothing_where_all_stands_as_recorded(self) -> None:
        world = await applied()
        world.restart()
        ran = await world.run()
        assert ran.quiet
        assert (ran.audit, ran.reads) == ([], [])

    async def test_it_applies_what_differs(self) -> None:
        world = await applied()
        world.restart()
        world.edit("ConfigMap/a", "data", "value", to="edited")
        world.delete("ConfigMap/b")
        world.push({**FILES, "c.yaml": m.config("c", "2")})
        ran = await world.run()
        assert ran.causes == {"ConfigMap/a": "live-edit", "ConfigMap/b": "live-deletion", "ConfigMap/c": "commit"}
        assert world.value("ConfigMap/a", "data", "value") == "1"

    async def test_it_deletes_what_left_git_meanwhile(self) -> None:
        world = await applied()
        world.restart()
        world.push(LESS)
        assert (await world.run()).writes == ["delete ConfigMap/d"]

    async def test_it_goes_on_with_a_first_apply_that_was_cut_off(self) -> None:
        world = Installation(files=FILES)
        world.meanwhile("apply ConfigMap/c", lambda: setattr(world.traffic, "away", True))
        await world.run()
        assert (world.recorded, world.begun) == (["ConfigMap/a", "ConfigMap/b"], ["ConfigMap/c", "ConfigMap/d"])
        world.traffic.away = False
        world.restart()
        ran = await world.run()
        assert ran.writes == ["apply ConfigMap/c", "apply ConfigMap/d"]
        assert set(ran.causes.values()) == {"commit"}

    async def test_after_an_outage_the_rest_of_a_run_is_not_tried(self) -> None:
        world = Installation(files={**FILES, "w.yaml": m.workload()})
        tried: list[str] = []
        world.meanwhile("apply ConfigMap/a", lambda: setattr(world.traffic, "away", True))
        world.meanwhile("apply Deployment/web", lambda: tried.append("web"))
        ran = await world.run()
        assert tried == []
        assert "ClusterUnavailable Deployment/web" in ran.problems

    async def test_it_deletes_what_a_run_that_was_cut_off_had_begun_and_left_git(self) -> None:
        world = await applied(FILES)
        world.push({**FILES, "n.yaml": m.config("n")})

        def dies() -> None:
            world.make(m.config("n"), "signet", owner="app-1", operation="Apply")
            world.traffic.away = True

        world.meanwhile("apply ConfigMap/n", dies)
        await world.run()
        assert world.begun == ["ConfigMap/n"]
        world.traffic.away = False
        world.restart()
        world.push(FILES)
        assert (await world.run()).writes == ["delete ConfigMap/n"]

    async def test_a_forced_push_that_happened_meanwhile_is_reported(self) -> None:
        world = await applied()
        world.restart()
        world.git.force_push(FILES)
        assert (await world.run()).events == ["ForcedPush"]


class TestOfARecordThatIsGone:
    @pytest.mark.parametrize(("happens", "reason"), [("lost", "RecordLost"), ("damaged", "RecordDamaged")])
    async def test_everything_is_applied_once_more_and_reported(self, happens: str, reason: str) -> None:
        world = await applied()
        world.lose_record() if happens == "lost" else world.damage_record()
        world.restart()
        ran = await world.run()
        assert sorted(ran.writes) == ALL
        assert world.value("ConfigMap/a", "data") == {"value": "1"}
        reasons = {each.type: each.reason for each in ran.status.conditions}
        assert reasons["RecordLost"] == reason
        assert ran.ready == "Applied"
        if happens == "lost":
            assert ran.events == ["RecordLost"]
            assert [each.action for each in ran.audit if each.phase == "event"] == ["record-lost"]
        ran = await world.run()
        assert ran.quiet
        assert ran.events == []
        assert "RecordLost" in {each.type for each in ran.status.conditions}
        world.restart()
        ran = await world.run()
        assert "RecordLost" not in {each.type for each in ran.status.conditions}

    @pytest.mark.parametrize("happens", ["lost", "damaged"])
    async def test_what_is_proven_ours_is_deleted_and_nothing_else(self, happens: str) -> None:
        world = await applied()
        world.edit("ConfigMap/c", "metadata", "annotations", "signet-gitops.dev/owner", to="v1.x")
        world.lose_record() if happens == "lost" else world.damage_record()
        world.restart()
        world.push({name: FILES[name] for name in ("a.yaml", "b.yaml")})
        ran = await world.run()
        assert [write for write in ran.writes if write.startswith("delete")] == ["delete ConfigMap/d"]
        assert world.live("ConfigMap/c") is not None

    async def test_a_new_application_has_lost_nothing(self) -> None:
        world = Installation(files=FILES)
        ran = await world.run()
        assert ran.events == []
        assert "RecordLost" not in {each.type for each in ran.status.conditions}

    async def test_a_rollout_is_not_repeated(self) -> None:
        files = {"s.yaml": m.plain_secret("db"), "w.yaml": m.workload(uses="db")}
        world = Installation(files=files)
        await world.run()
        before = world.live("Deployment/web")
        world.lose_record()
        world.restart()
        await world.run()
        assert world.live("Deployment/web") == before


async def announces_no_more_once_taken(world: Installation) -> None:
    """Another agent takes the Application while its first object is applied."""

    def taken() -> None:
        world.clock.seconds += 2
        with pytest.raises(StopIteration):
            world.another_agent_takes().send(None)  # it waits for nothing

    world.meanwhile("apply ConfigMap/a", taken)
    ran = await world.run()
    assert (ran.writes, ran.ended_by) == (["apply ConfigMap/a"], "LeaseLost")
    assert [each.object.name for each in ran.audit if each.object and each.phase == "intent"] == ["a"]


class TestOfAnotherAgent:
    async def test_a_run_that_lost_its_lease_writes_nothing(self) -> None:
        world = await applied()
        world.push({**FILES, "a.yaml": m.config(data="2")})
        world.lease = False
        ran = await world.run()
        assert (ran.writes, ran.ended_by) == ([], "LeaseLost")

    async def test_a_run_whose_application_another_agent_took_writes_nothing(self) -> None:
        world = await applied()
        world.push({**FILES, "a.yaml": m.config(data="2")})
        await world.another_agent_takes()
        ran = await world.run()
        assert (ran.writes, ran.ended_by) == ([], "LeaseLost")

    async def test_a_heal_whose_application_another_agent_took_writes_nothing(self) -> None:
        world = await applied()
        world.clock.seconds += 2
        world.edit("ConfigMap/a", "data", "value", to="edited")
        await world.another_agent_takes()
        ran = await world.heal()
        assert (ran.writes, ran.ended_by) == ([], "LeaseLost")

    async def test_a_deletion_whose_application_another_agent_took_is_not_sent(self) -> None:
        world = await applied()
        world.push(LESS)
        await world.another_agent_takes()
        ran = await world.run()
        assert (ran.writes, ran.ended_by) == ([], "LeaseLost")

    async def test_a_wave_is_not_announced_where_another_agent_took_the_application_since(self) -> None:
        world = Installation(files={"a.yaml": m.config(), "w.yaml": m.workload()})
        await announces_no_more_once_taken(world)

    async def test_a_deletion_is_not_announced_where_another_agent_took_the_application_since(self) -> None:
        world = await applied()
        world.push({**LESS, "a.yaml": m.config(data="2")})
        await announces_no_more_once_taken(world)

    async def test_a_lease_that_is_lost_within_a_run_ends_it(self) -> None:
        world = Installation(files={**FILES, "w.yaml": m.workload()})
        world.meanwhile("apply ConfigMap/b", lambda: setattr(world, "lease", False))
        ran = await world.run()
        assert ran.ended_by == "LeaseLost"
        assert "apply Deployment/web" not in ran.writes
        assert [each.result for each in ran.audit if each.phase == "outcome"] == ["ok", "ok", "LeaseLost", "LeaseLost"]

    async def test_after_a_conflict_the_epoch_is_shown_before_the_next_attempt(self) -> None:
        world = await applied()
        world.push({**FILES, "a.yaml": m.config(data="2")})

        def other() -> None:
            world.edit("ConfigMap/a", "data", "value", to="of the other agent")
            with pytest.raises(StopIteration):
                world.another_agent_takes().send(None)  # it waits for nothing

        world.meanwhile("apply ConfigMap/a", other)
        ran = await world.run()
        assert (ran.writes, ran.ended_by) == (["apply ConfigMap/a: StaleObject"], "LeaseLost")
        assert world.value("ConfigMap/a", "data", "value") == "of the other agent"

    async def test_who_took_the_application_goes_on_from_its_record(self) -> None:
        world = await applied()
        await world.another_agent_takes()
        world.restart()
        assert (await world.run()).quiet


class TestOfTheTrail:
    async def test_a_trail_that_cannot_be_written_lets_nothing_be_applied(self) -> None:
        world = Installation(files=FILES)
        world.audit.full = True
        ran = await world.run()
        assert (ran.writes, ran.ended_by, ran.ready) == ([], "Audit", "Audit")
        world.audit.full = False
        assert (await world.run()).writes == ALL

    async def test_a_trail_that_cannot_be_written_lets_nothing_be_deleted(self) -> None:
        world = await applied()
        world.push(LESS)
        world.audit.full = True
        ran = await world.run()
        assert (ran.writes, ran.ended_by) == ([], "Audit")

    async def test_every_change_has_its_intent_before_and_its_outcome_after(self) -> None:
        world = Installation(files=FILES)

        def admit(key, _) -> None:
            if key.name == "b":
                raise ObjectInvalidError("object is invalid", field="data")

        world.server.admission.append(admit)
        ran = await world.run()
        assert [(each.phase, each.result) for each in ran.audit] == [
            *[("intent", "")] * 4,
            ("outcome", "ok"),
            ("outcome", "ObjectInvalid"),
            ("outcome", "ok"),
            ("outcome", "ok"),
        ]
        assert {each.revision.commit[:12] for each in ran.audit if each.revision} == {"000000000001"}
        assert {each.application.name for each in ran.audit} == {"web"}
        failed = ran.outcome_of("ConfigMap/b")
        assert failed.facts is not None
        assert failed.facts["field"] == "data"

    async def test_a_run_that_changes_nothing_leaves_no_trace(self) -> None:
        world = await applied()
        checkpoints = world.audit.checkpoints
        ran = await world.run()
        assert (ran.audit, world.audit.checkpoints) == ([], checkpoints)


class TestOfAnApiServerThatIsAway:
    async def test_the_run_ends_and_says_so(self) -> None:
        world = Installation(files=FILES)
        world.traffic.away = True
        ran = await world.run()
        assert (ran.writes, ran.ended_by) == ([], "ClusterUnavailable")

    async def test_once_it_is_away_the_rest_is_not_tried(self) -> None:
        world = Installation(files={**FILES, "w.yaml": m.workload()})
        world.meanwhile("apply ConfigMap/b", lambda: setattr(world.traffic, "away", True))
        ran = await world.run()
        assert world.recorded == ["ConfigMap/a"]
        assert set(ran.problems) == {
            f"ClusterUnavailable {name}" for name in ("ConfigMap/b", "ConfigMap/c", "ConfigMap/d", "Deployment/web")
        }
        world.traffic.away = False
        assert len((await world.run()).writes) == 4

    async def test_what_was_applied_of_it_is_not_applied_again(self) -> None:
        world = await applied()
        world.push({name: text.replace('"1"', '"2"') for name, text in FILES.items()})
        world.meanwhile("apply ConfigMap/c", lambda: setattr(world.traffic, "away", True))
        await world.run()
        world.traffic.away = False
        assert (await world.run()).writes == ["apply ConfigMap/c", "apply ConfigMap/d"]


async def test_counts_tell_what_became_of_the_objects() -> None:
    world = await applied()
    world.push({**LESS, "a.yaml": m.config(data="2"), "s.yaml": m.secret("db"), "x.yaml": m.config("x")})

    def admit(key, _) -> None:
        if key.name == "x":
            raise ObjectInvalidError("object is invalid")

    world.server.admission.append(admit)
    counts = (await world.run()).status.counts
    assert (counts.total, counts.applied, counts.unchanged, counts.held, counts.failed) == (5, 1, 2, 1, 1)
    world.stores.write("kv/db", password="p")
    world.server.admission.clear()
    counts = (await world.run()).status.counts
    assert (counts.total, counts.applied, counts.unchanged, counts.held, counts.failed, counts.pruned) == (
        5,
        2,
        3,
        0,
        0,
        1,
    )
