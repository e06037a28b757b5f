"""What has run to its end runs again on request, and waits for a request where the record is lost."""

from __future__ import annotations

import pytest
from memory_world.server import REMOVED
from whole_runs import manifests as m
from whole_runs.endings import APPLIED, JOB, applied, finish, gone, job, train, trained
from whole_runs.installation import Installation

from agent.api.application import LONGEST_RERUN


class TestOfARequestToRunItAgain:
    async def test_what_is_gone_runs_once(self) -> None:
        world = await gone(await applied(job()))
        await world.run("live")
        world.annotate(rerun="Job/migrate 1")
        ran = await world.run("request")
        assert ran.writes == APPLIED
        assert (ran.causes, ran.actions) == ({JOB: "rerun"}, {JOB: "rerun"})
        await gone(world)
        for _ in range(2):
            assert (await world.run("request")).quiet
        world.restart()
        assert (await world.run()).quiet
        world.annotate(rerun="Job/migrate 2")
        assert (await world.run("request")).writes == APPLIED

    async def test_what_still_stands_is_deleted_first(self) -> None:
        world = await applied(job(ttl=None))
        finish(world)
        await world.run("live")
        before = world.value(JOB, "metadata", "uid")
        world.annotate(rerun="Job.batch/migrate 1")
        ran = await world.run("request")
        assert ran.writes == [f"delete {JOB}", f"apply {JOB}"]
        assert world.value(JOB, "metadata", "uid") != before
        assert (await world.run("request")).quiet

    async def test_what_is_ignored_of_it_is_opened_before_it_is_deleted(self) -> None:
        world, _ = await trained(train(), ignore=[{"kind": "TrainJob", "jsonPointers": ["/spec/password"]}])
        finish(world, "TrainJob/once")
        await world.run("live")
        world.annotate(rerun="TrainJob/once 1")
        ran = await world.run("request")
        assert ran.writes == ["delete TrainJob/once", "apply TrainJob/once", "patch TrainJob/once"]
        assert ran.problems == []

    async def test_it_runs_though_the_old_one_changes_as_it_is_deleted(self) -> None:
        world = await applied(job())
        finish(world)
        await world.run("live")
        label = ("metadata", "labels", "team")
        world.meanwhile(f"delete {JOB}", lambda: world.edit(JOB, *label, to="x", by="controller"))
        world.annotate(rerun=f"{JOB} 1")
        ran = await world.run("request")
        assert ran.writes == [f"delete {JOB}: StaleObject", f"delete {JOB}", f"apply {JOB}"]
        assert ran.problems == []

    async def test_what_asks_to_be_left_alone_is_left_and_reported(self) -> None:
        world = await applied(job())
        finish(world)
        await world.run("live")
        world.push({"x.yaml": job(annotations={"reconcile": "disabled"}), "a.yaml": m.config()})
        world.annotate(rerun=f"{JOB} 1")
        ran = await world.run("request")
        assert (ran.writes, ran.problems) == ([], [f"Held {JOB}"])

    @pytest.mark.parametrize(
        ("asked", "problem"),
        [
            ("Job/migrate", "Held Job/migrate"),
            ("ConfigMap/a", "Held ConfigMap/a"),
            ("Job/none", "NotFound"),
            (" ".join(["Job/none"] * 30), "Held"),
        ],
        ids=["it runs", "it does not run to an end", "there is none", "too many"],
    )
    async def test_what_cannot_run_again_is_left_and_reported(self, asked: str, problem: str) -> None:
        world = await applied(job())
        world.annotate(rerun=asked)
        ran = await world.run("request")
        assert ran.writes == []
        assert problem in [each.strip() for each in ran.problems]
        assert (await world.run()).quiet

    async def test_it_waits_while_a_finalizer_keeps_the_old_one(self) -> None:
        world = await applied(job(ttl=None))
        finish(world)
        await world.run("live")
        world.edit(JOB, "metadata", "finalizers", to=["example.com/keep"], by="controller")
        world.annotate(rerun=f"{JOB} 1")
        ran = await world.run("spec")
        assert (ran.writes, ran.actions) == ([f"delete {JOB}"], {JOB: "rerun: Held"})
        world.edit(JOB, "metadata", "finalizers", to=REMOVED, by="controller")
        ran = await world.run()
        assert (ran.writes, ran.problems) == (APPLIED, [])
        assert (await world.run()).quiet

    async def test_a_request_of_any_length_is_taken_in_part(self) -> None:
        world = await gone(await applied(job()))
        await world.run("live")
        world.annotate(rerun=f"{JOB} " + "x" * 2 * LONGEST_RERUN)
        assert (await world.run("request")).writes == APPLIED

    async def test_a_request_from_before_the_first_run_asks_for_nothing_more(self) -> None:
        world = Installation(files={"x.yaml": job()})
        world.annotate(rerun=f"{JOB} 1")
        assert (await world.run()).writes == APPLIED
        await gone(world)
        assert (await world.run()).quiet

    async def test_nothing_runs_where_the_agent_only_detects(self) -> None:
        world = await gone(await applied(job()))
        await world.run("live")
        world.spec(sync={"mode": "detect"})
        world.annotate(rerun=f"{JOB} 1")
        assert (await world.run("request")).quiet
        world.spec(sync={})
        assert (await world.run("spec")).writes == APPLIED

    async def test_what_another_made_in_its_place_is_left(self) -> None:
        world = await gone(await applied(job()))
        await world.run("live")
        world.make(job(), "another-tool")
        finish(world)
        world.annotate(rerun=f"{JOB} 1")
        assert f"delete {JOB}" not in (await world.run("request")).writes


class TestWithALostRecord:
    async def lost(self) -> Installation:
        world = await gone(await applied(job()))
        await world.run("live")
        world.restart()
        world.lose_record()
        return world

    async def test_an_absent_job_waits_for_a_confirmation(self) -> None:
        world = await self.lost()
        ran = await world.run()
        assert ran.problems == [f"Held {JOB}"]
        assert f"apply {JOB}" not in ran.writes
        assert "--rerun" in ran.error_of(JOB).hint
        world.restart()
        assert (await world.run()).problems == [f"Held {JOB}"]

    async def test_it_runs_on_request(self) -> None:
        world = await self.lost()
        await world.run()
        world.annotate(rerun=f"{JOB} 1")
        ran = await world.run("request")
        assert (ran.writes, ran.problems) == (APPLIED, [])

    async def test_an_old_request_confirms_nothing(self) -> None:
        world = await gone(await applied(job()))
        world.annotate(rerun=f"{JOB} 1")
        await world.run("request")
        await gone(world)
        await world.run("live")
        world.restart()
        world.lose_record()
        assert (await world.run()).problems == [f"Held {JOB}"]
        assert (await world.run()).problems == [f"Held {JOB}"]

    async def test_another_content_runs(self) -> None:
        world = await self.lost()
        await world.run()
        world.push({"x.yaml": job("web:2"), "a.yaml": m.config()})
        ran = await world.run()
        assert (ran.writes, ran.problems) == (APPLIED, [])

    async def test_a_new_job_of_a_later_commit_runs(self) -> None:
        world = await applied(m.config("b"))
        world.restart()
        world.lose_record()
        assert (await world.run()).problems == []
        world.push({"x.yaml": job(), "a.yaml": m.config(), "b.yaml": m.config("b")})
        assert (await world.run()).problems == []
        assert world.live(JOB) is not None

    async def test_a_job_that_stands_is_taken_over(self) -> None:
        world = await applied(job())
        finish(world)
        world.restart()
        world.lose_record()
        assert (await world.run()).problems == []
        world.delete(JOB)
        assert (await world.run("live")).quiet

    async def test_a_first_run_is_no_lost_record(self) -> None:
        world = Installation(files={"x.yaml": job()})
        assert (await world.run()).writes == APPLIED

    async def test_a_record_that_does_not_verify_is_lost_as_well(self) -> None:
        world = await gone(await applied(job()))
        await world.run("live")
        world.restart()
        world.damage_record()
        assert (await world.run()).problems == [f"Held {JOB}"]
