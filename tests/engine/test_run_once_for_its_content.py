"""What has run to its end runs again for another content or in a new namespace, and for nothing else in Git."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from memory_world.sealed_files import encrypt
from whole_runs import manifests as m
from whole_runs.endings import APPLIED, applied, finish, gone, job, train, trained

from agent.engine.record import MOST_RUNS
from agent.values.errors import ObjectInvalidError
from agent.values.tree import get

if TYPE_CHECKING:
    from agent.values.ids import ObjectId
    from agent.values.tree import Object


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
        world.server.create(m.namespace("shop"), "another-tool")
        assert (await world.run("live")).writes == APPLIED

    async def test_what_ran_in_it_and_left_git_runs_again_too(self) -> None:
        world = await gone(await applied(job()))
        world.push({"a.yaml": m.config()})
        await world.run()
        world.server.delete(world.key("Namespace/shop"))
        world.server.create(m.namespace("shop"), "another-tool")
        world.push({"x.yaml": job(), "a.yaml": m.config()})
        assert (await world.run()).writes == APPLIED
