"""What has run to its end: it is done for its content, however it went away."""

from __future__ import annotations

from typing import ClassVar

import pytest
from memory_world.server import REMOVED
from whole_runs import manifests as m
from whole_runs.endings import APPLIED, FAILED, JOB, applied, condition, custom, definition, finish, gone, job, pod
from whole_runs.installation import Installation
from whole_runs.surroundings import UID


class TestOfAJobThatFinished:
    @pytest.mark.parametrize("ttl", [1, None], ids=["by its time to live", "by a person"])
    async def test_it_does_not_run_again_when_it_is_gone(self, ttl: int | None) -> None:
        world = await gone(await applied(job(ttl=ttl)))
        for cause in ("live", "interval", "request", "retry"):
            assert (await world.run(cause)).quiet
        assert world.drifted == set()

    async def test_it_is_counted_and_healthy_and_not_drifted(self) -> None:
        world = await gone(await applied(job()))
        ran = await world.run()
        assert (ran.status.counts.finished, ran.status.counts.drifted) == (1, 0)
        assert condition(ran.status, "Healthy") == ("True", "Healthy", "")
        assert ran.ready == "Applied"

    async def test_one_that_failed_stays_degraded(self) -> None:
        world = await applied(job())
        finish(world, how=FAILED)
        await world.run("live")
        world.delete(JOB)
        ran = await world.run()
        assert ran.quiet
        status, reason, message = condition(ran.status, "Healthy")
        assert (status, reason) == ("False", "Degraded")
        assert "failed" in message

    async def test_no_run_needs_to_come_between_its_end_and_its_going(self) -> None:
        world = await applied(job(ttl=0))
        finish(world)
        world.delete(JOB)
        assert (await world.run("live")).quiet
        assert (await world.run()).quiet

    async def test_it_may_go_before_the_run_that_applied_it_ends(self) -> None:
        world = Installation(files={"x.yaml": job(ttl=0), "a.yaml": m.config(annotations={"wave": "50"})})

        def finishes() -> None:
            finish(world)
            world.delete(JOB)

        world.meanwhile("apply ConfigMap/a", finishes)
        assert (await world.run()).problems == []
        assert (await world.run("live")).quiet
        assert (await world.run()).quiet

    async def test_a_wave_that_waits_for_it_goes_on_when_it_is_gone(self) -> None:
        files = {"x.yaml": job(ttl=0, annotations={"wave": "25"}), "a.yaml": m.config(annotations={"wave": "30"})}
        world = Installation(files=files)
        done = world.server.controllers.append

        def controller(server: object, change: object) -> None:
            if world.live(JOB) is not None and world.value(JOB, "status") is None:
                finish(world)
                world.delete(JOB)

        done(controller)
        before = world.clock.monotonic()
        ran = await world.run()
        assert (ran.writes, ran.problems) == ([*APPLIED, "apply ConfigMap/a"], [])
        assert world.clock.monotonic() - before < 60

    async def test_another_agent_knows_it(self) -> None:
        world = await gone(await applied(job()))
        world.restart()
        assert (await world.run()).quiet

    async def test_one_that_went_while_no_agent_watched_is_known_if_its_end_was_seen(self) -> None:
        world = await applied(job())
        finish(world)
        await world.run("live")
        world.restart()
        world.delete(JOB)
        ran = await world.run()
        assert ran.quiet
        assert condition(ran.status, "Healthy")[0] == "True"

    async def test_one_that_still_stands_is_healed_as_any_other(self) -> None:
        world = await applied(job(ttl=None))
        finish(world)
        await world.run("live")
        world.edit(JOB, "metadata", "labels", "signet-gitops.dev/application", to="another")
        assert (await world.heal()).writes == APPLIED
        world.delete(JOB)
        assert (await world.run()).quiet

    async def test_it_needs_no_key_and_no_store_any_more(self) -> None:
        text = job().replace('"image": "web:1"', '"image": "web:1", "args": ["vault://main/kv/db#password"]')
        operator = m.operator(sinks={"args": True})
        world = Installation(files={"x.yaml": text}, operator=operator, secrets={"allow": ["Args"]})
        world.stores.write("kv/db", password="p")
        assert (await world.run()).problems == []
        await gone(world)
        await world.run("live")
        world.stores.write("kv/db", password="q")
        assert await world.probe() is None
        world.stores.away = True
        assert (await world.run()).quiet

    async def test_its_record_is_not_written_again_and_again(self) -> None:
        world = await gone(await applied(job()))
        await world.run()
        before = dict(world.shards[UID].stored)
        await world.run()
        assert world.shards[UID].stored == before


class TestOfAnother:
    CASES: ClassVar[dict[str, tuple[str, str | None, list[tuple[str, object]]]]] = {
        "Pod": (pod(), None, [("phase", "Succeeded")]),
        "Pod that is restarted where it fails": (pod("OnFailure"), None, [("phase", "Succeeded")]),
        "PipelineRun": (
            custom("PipelineRun", "tekton.dev/v1"),
            definition("PipelineRun", "tekton.dev/v1"),
            [("conditions", [{"type": "Succeeded", "status": "True"}])],
        ),
        "Workflow": (
            custom("Workflow", "argoproj.io/v1alpha1"),
            definition("Workflow", "argoproj.io/v1alpha1"),
            [("phase", "Succeeded")],
        ),
        "custom resource with a time to live": (
            custom("TrainJob", "example.com/v1", runPolicy={"ttlSecondsAfterFinished": 5}),
            definition("TrainJob", "example.com/v1"),
            [("conditions", [{"type": "Succeeded", "status": "True"}])],
        ),
    }

    @pytest.mark.parametrize("case", CASES)
    async def test_kind_that_runs_to_an_end(self, case: str) -> None:
        text, crd, status = self.CASES[case]
        files = {"x.yaml": text, "a.yaml": m.config()} | ({"crd.yaml": crd} if crd else {})
        world = Installation(files=files)
        assert (await world.run()).problems == []
        name = next(each for each in world.recorded if each.endswith("/once"))
        for field, value in status:
            world.edit(name, "status", field, to=value, by="controller", subresource="status")
        world.delete(name)
        assert (await world.run("live")).quiet
        assert (await world.run()).quiet

    @pytest.mark.parametrize(
        ("text", "field", "value"),
        [
            (pod("Always"), "phase", "Failed"),
            (pod(), "phase", "Running"),
            (m.workload("once"), "conditions", [{"type": "Complete", "status": "True"}]),
        ],
        ids=["a Pod that is kept running", "one that still runs", "a Deployment"],
    )
    async def test_kind_that_does_not_is_healed(self, text: str, field: str, value: object) -> None:
        world = await applied(text)
        name = next(each for each in world.recorded if each.endswith("/once"))
        world.edit(name, "status", field, to=value, by="controller", subresource="status")
        world.delete(name)
        assert (await world.heal()).writes == [f"apply {name}"]


class TestOfAJobThatDidNotFinish:
    @pytest.mark.parametrize("ttl", [1, None])
    async def test_it_is_healed_where_it_is_deleted(self, ttl: int | None) -> None:
        world = await applied(job(ttl=ttl))
        world.delete(JOB)
        ran = await world.heal()
        assert (ran.writes, ran.actions) == (APPLIED, {JOB: "heal"})

    async def test_it_is_healed_where_it_ended_by_being_deleted(self) -> None:
        world = await applied(pod())
        world.edit("Pod/once", "metadata", "finalizers", to=["example.com/x"], by="kubelet")
        world.delete("Pod/once")
        world.edit("Pod/once", "status", "phase", to="Failed", by="kubelet", subresource="status")
        world.edit("Pod/once", "metadata", "finalizers", to=REMOVED, by="kubelet")
        assert (await world.heal()).writes == ["apply Pod/once"]

    async def test_nothing_is_applied_over_one_that_is_being_deleted(self) -> None:
        world = await applied(job(ttl=None))
        world.edit(JOB, "metadata", "finalizers", to=["example.com/keep"], by="controller")
        world.delete(JOB)
        world.push({"x.yaml": job(ttl=None, annotations={"wave": "1"}), "a.yaml": m.config()})
        ran = await world.run()
        assert (ran.writes, ran.problems) == ([], [f"Held {JOB}"])
        world.edit(JOB, "metadata", "finalizers", to=REMOVED, by="controller")
        ran = await world.run()
        assert (ran.writes, ran.problems) == (APPLIED, [])

    async def test_one_with_a_time_to_live_that_went_unseen_is_not_run_again_nor_called_complete(self) -> None:
        world = await applied(job())
        world.restart()
        world.delete(JOB)
        for _ in range(2):
            ran = await world.run()
            assert ran.quiet
            status, _, message = condition(ran.status, "Healthy")
            assert status == "Unknown"
            assert "no agent was watching" in message
        world.restart()
        assert (await world.run()).quiet

    async def test_one_without_a_time_to_live_that_went_unseen_was_deleted(self) -> None:
        world = await applied(job(ttl=None))
        world.restart()
        world.delete(JOB)
        assert (await world.run()).writes == APPLIED


async def test_what_is_gone_does_not_count_where_most_of_an_application_is_deleted() -> None:
    jobs = {f"{n}.yaml": job().replace('"migrate"', f'"j{n}"') for n in range(4)}
    world = Installation(files={**jobs, **{f"{each}.yaml": m.config(each) for each in "abcd"}})
    await world.run()
    for number in range(4):
        await gone(world, f"Job/j{number}")
    await world.run("live")
    world.push({**jobs, "a.yaml": m.config("a")})
    ran = await world.run()
    assert ran.problems == [f"PruneRefused ConfigMap/{each}" for each in "bcd"]
    world.push(jobs)
    assert (await world.run()).writes == []
