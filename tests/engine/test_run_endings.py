"""What has run to its end: it is done for its content, however it went away, and runs again only where somebody asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest
from memory_world.sealed_files import encrypt
from memory_world.server import REMOVED
from whole_runs import manifests as m
from whole_runs.installation import UID, Installation

from agent.api.application import LONGEST_RERUN
from agent.engine.record import MOST_RUNS
from agent.values.errors import ObjectInvalidError
from agent.values.tree import get

if TYPE_CHECKING:
    from agent.api.status import ApplicationStatus
    from agent.values.ids import ObjectId
    from agent.values.tree import Object

JOB = "Job/migrate"
APPLIED = [f"apply {JOB}"]
PLACE = {"group": "example.com", "kind": "TrainJob", "path": "spec.password"}
COMPLETE, FAILED = [{"type": "Complete", "status": "True"}], [{"type": "Failed", "status": "True"}]


def job(image: str = "web:1", ttl: int | None = 1, annotations: dict[str, str] | None = None, **spec: object) -> str:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": image}]}}
    lifetime = {"ttlSecondsAfterFinished": ttl} if ttl is not None else {}
    return m.other("Job", "migrate", "batch/v1", annotations, spec={"template": template, **lifetime, **spec})


def pod(policy: str = "Never") -> str:
    return m.other("Pod", "once", spec={"restartPolicy": policy, "containers": [{"name": "a", "image": "web:1"}]})


def custom(kind: str, api_version: str, **spec: object) -> str:
    return m.other(kind, "once", api_version, spec=spec or {"steps": 1})


def train(password: str = "canary", annotations: dict[str, str] | None = None) -> str:
    spec = {"ttlSecondsAfterFinished": 5, "password": password}
    return m.other("TrainJob", "once", "example.com/v1", annotations, spec=spec)


async def trained(plain: str, **spec: object) -> tuple[Installation, dict[str, str]]:
    """An encrypted one, which was applied."""
    files = {"crd.yaml": definition("TrainJob", "example.com/v1"), "x.yaml": encrypt(plain, "x.yaml")}
    world = Installation(files=files, operator=m.operator(sinks={"customResources": [PLACE]}), **spec)
    assert (await world.run()).problems == []
    return world, files


def definition(kind: str, api_version: str) -> str:
    group, _, version = api_version.rpartition("/")
    text = m.definition(kind).replace("example.com", group)
    return text.replace('"name": "v1"', f'"name": "{version}"')


def condition(status: ApplicationStatus, kind: str) -> tuple[str, str, str]:
    found = next(each for each in status.conditions if each.type == kind)
    return found.status, found.reason, found.message


async def applied(text: str, **spec: object) -> Installation:
    world = Installation(files={"x.yaml": text, "a.yaml": m.config()}, **spec)
    assert (await world.run()).problems == []
    return world


def finish(world: Installation, name: str = JOB, *, how: list[dict[str, str]] = COMPLETE) -> None:
    world.edit(name, "status", "conditions", to=how, by="kube-controller-manager", subresource="status")


async def gone(world: Installation, name: str = JOB) -> Installation:
    """It finished, a run saw that, and it went."""
    finish(world, name)
    assert (await world.run("live")).quiet
    world.delete(name)
    return world


class TestOfAJobThatFinished:
    @pytest.mark.parametrize("ttl", [1, None], ids=["by its time to live", "by somebody"])
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
    async def test_it_is_healed_where_somebody_deletes_it(self, ttl: int | None) -> None:
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

    async def test_one_without_a_time_to_live_that_went_unseen_was_deleted_by_somebody(self) -> None:
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


class TestOfItsContent:
    async def test_another_content_runs(self) -> None:
        world = await gone(await applied(job()))
        world.push({"x.yaml": job("web:2"), "a.yaml": m.config()})
        ran = await world.run()
        assert ran.writes == APPLIED

    async def test_a_revert_and_a_rollback_run_no_old_job_again(self) -> None:
        texts = [job(f"web:{number}") for number in range(4)]
        world = await gone(await applied(texts[0]))
        for text in texts[1:]:
            world.push({"x.yaml": text, "a.yaml": m.config()})
            assert (await world.run()).writes == APPLIED
            await gone(world)
        for text in (texts[2], texts[0], texts[3]):
            world.push({"x.yaml": text, "a.yaml": m.config()})
            assert (await world.run()).quiet
        world.restart()
        assert (await world.run()).quiet

    async def test_a_revert_runs_no_old_job_beside_the_new_one_that_stands(self) -> None:
        world = await gone(await applied(job(annotations={"replace": "true"})))
        world.push({"x.yaml": job("web:2", annotations={"replace": "true"}), "a.yaml": m.config()})
        await world.run()
        world.push({"x.yaml": job(annotations={"replace": "true"}), "a.yaml": m.config()})
        assert (await world.run()).quiet

    async def test_one_that_left_git_and_comes_back_does_not_run_again(self) -> None:
        world = await gone(await applied(job()))
        world.push({"a.yaml": m.config()})
        assert (await world.run()).quiet
        assert world.recorded == ["ConfigMap/a"]
        world.push({"x.yaml": job(), "a.yaml": m.config()})
        ran = await world.run()
        assert ran.quiet
        assert ran.status.counts.finished == 1

    async def test_the_last_ten_are_remembered(self) -> None:
        world = await gone(await applied(job("web:0")))
        for number in range(1, MOST_RUNS + 1):
            world.push({"x.yaml": job(f"web:{number}"), "a.yaml": m.config()})
            await world.run()
            await gone(world)
        world.push({"x.yaml": job("web:1"), "a.yaml": m.config()})
        assert (await world.run()).quiet
        world.push({"x.yaml": job("web:0"), "a.yaml": m.config()})
        assert (await world.run()).writes == APPLIED

    async def test_what_steers_the_agent_and_where_it_stands_is_no_content(self) -> None:
        world = await gone(await applied(job()))
        await world.run("live")
        world.push({"elsewhere.yaml": job(annotations={"wave": "50"}), "a.yaml": m.config()})
        assert (await world.run()).quiet

    async def test_a_file_that_is_encrypted_again_runs_nothing_again(self) -> None:
        plain = train()
        world, files = await trained(plain)
        finish(world, "TrainJob/once")
        world.delete("TrainJob/once")
        assert (await world.run("live")).quiet
        world.push({**files, "x.yaml": encrypt(plain, "x.yaml", recipient="age1team2")})
        world.keys.held.add("age1team2")
        ran = await world.run()
        assert ran.quiet
        assert world.recorded_commit == 2

    @pytest.mark.parametrize("annotations", [None, {"replace": "true"}], ids=["plain", "to be replaced"])
    @pytest.mark.parametrize("over", [False, True], ids=["running", "finished"])
    async def test_another_value_runs_nothing_again_where_only_a_new_object_may_have_it(
        self, annotations: dict[str, str] | None, *, over: bool
    ) -> None:
        def frozen(_: ObjectId, tree: Object) -> None:
            stands = get(tree, "metadata", "managedFields") is not None
            if stands and tree.get("kind") == "TrainJob" and tree.get("spec") != world.value("TrainJob/once", "spec"):
                raise ObjectInvalidError("field is immutable", field="spec.password")

        world, files = await trained(train(annotations=annotations))
        if over:
            finish(world, "TrainJob/once")
            await world.run("live")
        world.server.admission.append(frozen)
        world.push({**files, "x.yaml": encrypt(train("rotated", annotations), "x.yaml")})
        ran = await world.run()
        assert ran.writes == ["apply TrainJob/once: ObjectInvalid"]
        assert (ran.problems, ran.actions) == ([], {"TrainJob/once": "leave"})
        assert (await world.run()).quiet
        finish(world, "TrainJob/once")
        world.delete("TrainJob/once")
        assert (await world.run("live")).quiet


class TestOfANamespaceThatIsMadeAgain:
    async def test_everything_in_it_runs_again(self) -> None:
        world = await gone(await applied(job()))
        assert (await world.run()).quiet
        world.server.delete(world.key("Namespace/shop"))
        world.server.create(m.namespace("shop"), "somebody")
        assert (await world.run("live")).writes == APPLIED

    async def test_what_ran_in_it_and_left_git_runs_again_too(self) -> None:
        world = await gone(await applied(job()))
        world.push({"a.yaml": m.config()})
        await world.run()
        world.server.delete(world.key("Namespace/shop"))
        world.server.create(m.namespace("shop"), "somebody")
        world.push({"x.yaml": job(), "a.yaml": m.config()})
        assert (await world.run()).writes == APPLIED


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

    async def test_what_somebody_else_made_in_its_place_is_left(self) -> None:
        world = await gone(await applied(job()))
        await world.run("live")
        world.make(job(), "somebody")
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

    async def test_it_runs_where_somebody_asks(self) -> None:
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
