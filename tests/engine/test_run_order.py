"""`spec.dependsOn`: a commit runs once what it depends on is ready, healthy and at the same commit; until then the last one is healed."""

from __future__ import annotations

from typing import ClassVar

import pytest
from whole_runs import manifests as m
from whole_runs.endings import condition
from whole_runs.installation import Installation

from agent.api import application as applications
from agent.desired import dependencies, gate
from agent.values.ids import ObjectId, Revision

ELSEWHERE = "https://git.example.com/other.git"
FILES = {"a.yaml": m.config(data="1"), "b.yaml": m.config("b")}
NEWER = {"a.yaml": m.config(data="2"), "b.yaml": m.config("b")}
DB = [{"name": "db"}]


async def applied() -> Installation:
    """`db` and `web` are at the first commit; the second one is pushed."""
    world = Installation(files=FILES, dependsOn=DB)
    world.stands("db", at=1)
    assert (await world.run()).writes == ["apply ConfigMap/a", "apply ConfigMap/b"]
    world.push(NEWER)
    return world


class TestOfAFirstCommit:
    @pytest.mark.parametrize(
        ("conditions", "at", "why"),
        [
            ({"Ready": "Yaml"}, 1, "db, because it is not ready: Yaml"),
            ({"Healthy": "Progressing"}, 1, "db, because it is not healthy: Progressing"),
            ({}, 0, "db, because it has not looked at any commit yet"),
            ({}, 2, "db, because it is at refs/heads/main@000000000002"),
        ],
    )
    async def test_nothing_runs_before_what_it_depends_on(self, conditions: dict[str, str], at: int, why: str) -> None:
        world = Installation(files=FILES, dependsOn=DB)
        world.stands("db", at=at, **conditions)
        ran = await world.run()
        assert (ran.writes, ran.problems, ran.ready) == ([], [], "DependencyNotReady")
        status, reason, message = condition(ran.status, "Waiting")
        assert (status, reason) == ("True", "DependencyNotReady")
        assert message == (
            f"refs/heads/main@000000000001: waits for an Application that it depends on (dependency shop/{why})"
        )
        assert condition(ran.status, "Ready")[::2] == ("False", message)
        assert condition(ran.status, "Reconciling")[0] == "True"
        assert condition(ran.status, "Stalled")[0] == "False"
        assert condition(ran.status, "Healthy")[:2] == ("Unknown", "Unknown")
        assert world.git.reads == 0, "it is asked before a document is read"
        world.stands("db", at=1)
        ran = await world.run("dependency")
        assert ran.writes == ["apply ConfigMap/a", "apply ConfigMap/b"]
        assert (ran.ready, [each.type for each in ran.status.conditions].count("Waiting")) == ("Applied", 0)
        assert [each.cause for each in ran.status.history] == ["dependency+git: commit"]

    async def test_one_that_is_not_there_is_waited_for(self) -> None:
        world = Installation(files=FILES, dependsOn=[{"name": "db"}, {"name": "cache"}])
        ran = await world.run()
        assert ran.writes == []
        assert "shop/db, because there is no such Application) (and 1 more)" in condition(ran.status, "Ready")[2]

    async def test_one_of_another_repository_may_be_at_any_commit(self) -> None:
        world = Installation(files=FILES, dependsOn=DB)
        world.stands("db", at=7, url=ELSEWHERE)
        assert (await world.run()).writes == ["apply ConfigMap/a", "apply ConfigMap/b"]

    async def test_it_is_fetched_once_however_long_it_waits(self) -> None:
        world = Installation(files=FILES, dependsOn=DB)
        for _ in range(3):
            await world.run()
        assert (world.git.asked, world.git.fetches) == (3, 1)


class TestOfALaterCommit:
    async def test_it_waits_and_the_last_one_is_healed(self) -> None:
        world = await applied()
        ran = await world.run()
        assert (ran.writes, ran.ready) == ([], "DependencyNotReady")
        assert condition(ran.status, "Healthy")[0] == "True"
        assert ran.status.revision == "refs/heads/main@000000000001"
        world.edit("ConfigMap/a", "data", "value", to="edited")
        ran = await world.heal()
        assert (ran.writes, ran.problems, ran.ready) == (["apply ConfigMap/a"], [], "DependencyNotReady")
        assert world.value("ConfigMap/a", "data", "value") == "1"
        world.stands("db", at=2)
        ran = await world.run("dependency")
        assert (ran.writes, ran.ready) == (["apply ConfigMap/a"], "Applied")
        assert world.value("ConfigMap/a", "data", "value") == "2"

    async def test_a_run_that_only_heals_does_not_open_it(self) -> None:
        """It would report a commit that it did not take, and what waits for this one would believe it."""
        world = await applied()
        await world.run()
        world.stands("db", at=2)
        world.edit("ConfigMap/a", "data", "value", to="edited")
        assert (await world.heal()).ready == "DependencyNotReady"

    async def test_a_new_process_heals_the_last_one_too(self) -> None:
        world = await applied()
        world.restart()
        world.edit("ConfigMap/a", "data", "value", to="edited")
        ran = await world.run()
        assert (ran.writes, ran.problems, ran.ready) == (["apply ConfigMap/a"], [], "DependencyNotReady")
        assert world.value("ConfigMap/a", "data", "value") == "1"

    async def test_waiting_is_no_release(self) -> None:
        world = await applied()
        ran = await world.run()
        assert [each.revision for each in ran.status.history] == ["refs/heads/main@000000000001"]

    async def test_what_runs_goes_on_running_whatever_becomes_of_the_dependency(self) -> None:
        world = Installation(files=FILES, dependsOn=DB)
        world.stands("db", at=1)
        await world.run()
        world.stands("db", at=1, Healthy="Degraded")
        ran = await world.run()
        assert (ran.quiet, ran.ready) == (True, "Applied")
        world.restart()
        assert (await world.run()).ready == "Applied"

    async def test_what_was_let_in_and_could_not_be_applied_is_tried_again(self) -> None:
        world = await applied()
        world.stands("db", at=2)
        world.audit.full = True
        assert (await world.run()).ended_by == "Audit"
        world.audit.full = False
        world.stands("db", at=2, Healthy="Degraded")
        ran = await world.run("retry")
        assert (ran.writes, ran.ready) == (["apply ConfigMap/a"], "Applied")

    async def test_a_newer_spec_waits_as_a_newer_commit_does(self) -> None:
        world = Installation(files={"base/a.yaml": m.config(), "prod/a.yaml": m.config(data="2")}, layers=["base"])
        await world.run()
        world.spec(layers=["base", "prod"], dependsOn=DB)
        world.stands("db", at=1, Ready="Yaml")
        world.edit("ConfigMap/a", "data", "value", to="edited")
        ran = await world.run("spec", "live")
        assert (ran.writes, ran.ready) == (["apply ConfigMap/a"], "DependencyNotReady")
        assert world.value("ConfigMap/a", "data", "value") == "1"
        world.edit("ConfigMap/a", "data", "value", to="edited")
        assert (await world.heal()).ready == "DependencyNotReady"
        assert world.value("ConfigMap/a", "data", "value") == "1"
        world.restart()
        assert (await world.run()).ready == "DependencyNotReady", "healing did not let the spec in"
        world.stands("db", at=1)
        assert (await world.run("dependency")).writes == ["apply ConfigMap/a"]
        assert world.value("ConfigMap/a", "data", "value") == "2"

    async def test_nothing_is_pruned_for_a_commit_that_waits(self) -> None:
        world = await applied()
        world.push({"a.yaml": m.config(data="2")})
        assert (await world.run()).writes == []
        world.stands("db", at=3)
        assert (await world.run("dependency")).writes == ["apply ConfigMap/a", "delete ConfigMap/b"]


class TestOfCircles:
    async def test_one_is_named_from_end_to_end(self) -> None:
        world = Installation(files=FILES, dependsOn=DB)
        world.stands("db", at=1, needs=(("shop", "cache"),))
        world.stands("cache", at=1, needs=(("shop", "web"),))
        ran = await world.run()
        assert (ran.writes, ran.ready) == ([], "DependencyCycle")
        assert ran.errors[0].facts["cycle"] == "shop/web → shop/db → shop/cache → shop/web"
        assert condition(ran.status, "Stalled")[0] == "True"
        world.stands("cache", at=1)
        assert (await world.run()).writes == ["apply ConfigMap/a", "apply ConfigMap/b"]

    async def test_an_application_that_depends_on_itself_is_one(self) -> None:
        world = Installation(files=FILES, dependsOn=[{"name": "web"}])
        assert (await world.run()).errors[0].facts["cycle"] == "shop/web → shop/web"

    async def test_one_that_others_close_is_reported_and_the_last_commit_healed(self) -> None:
        world = Installation(files=FILES, dependsOn=DB)
        world.stands("db", at=1)
        await world.run()
        world.stands("db", at=1, needs=(("shop", "web"),))
        world.edit("ConfigMap/a", "data", "value", to="edited")
        ran = await world.run()
        assert (ran.writes, ran.ready) == (["apply ConfigMap/a"], "DependencyCycle")
        world.restart()
        assert (await world.run()).ready == "DependencyCycle"

    async def test_a_circle_that_it_is_not_in_is_only_waited_for(self) -> None:
        world = Installation(files=FILES, dependsOn=DB)
        world.stands("db", at=1, needs=(("shop", "cache"),), Ready="DependencyCycle")
        world.stands("cache", at=1, needs=(("shop", "db"),), Ready="DependencyCycle")
        assert (await world.run()).ready == "DependencyNotReady"

    @pytest.mark.parametrize(("others", "shown"), [(8, 10), (9, 11), (20, 11)])
    async def test_a_long_one_is_named_in_part(self, others: int, shown: int) -> None:
        world = Installation(files=FILES, dependsOn=[{"name": "n0"}])
        for number in range(others):
            world.stands(f"n{number}", at=1, needs=(("shop", f"n{number + 1}" if number < others - 1 else "web"),))
        named = str((await world.run()).errors[0].facts["cycle"]).split(" → ")
        assert (len(named), named[0], named[-1]) == (shown, "shop/web", "shop/web")
        assert ("…" in named) == (shown > 10)

    async def test_the_search_ends(self) -> None:
        world = Installation(files=FILES, dependsOn=[{"name": "n0"}])
        for number in range(1100):
            world.stands(f"n{number}", at=1, needs=(("shop", f"n{number + 1}"),))
        ran = await world.run()
        assert (ran.writes, ran.ready, ran.errors[0].facts["limit"]) == ([], "Limit", 1000)


class TestOfOtherNamespaces:
    DEPENDS: ClassVar = [{"namespace": "platform", "name": "crds"}]

    @pytest.mark.parametrize(
        "grants",
        [
            [],
            [{"applicationNamespace": "shop", "namespaces": ["platform-*"]}],
            [{"applicationNamespace": "other", "namespaces": ["*"]}],
        ],
    )
    async def test_one_that_is_not_granted_is_refused(self, grants: list[object]) -> None:
        world = Installation(files=FILES, dependsOn=self.DEPENDS, operator=m.operator(dependencies=grants))
        world.stands("crds", "platform", at=1)
        ran = await world.run()
        assert (ran.writes, ran.ready) == ([], "ForeignDependency")
        assert ran.errors[0].facts["dependency"] == "platform/crds"

    @pytest.mark.parametrize("namespaces", [["platform"], ["plat*"]])
    async def test_one_that_is_granted_counts(self, namespaces: list[str]) -> None:
        grant = {"applicationNamespace": "sh*", "namespaces": namespaces}
        world = Installation(files=FILES, dependsOn=self.DEPENDS, operator=m.operator(dependencies=[grant]))
        world.stands("crds", "platform", at=1, Ready="Yaml")
        assert (await world.run()).ready == "DependencyNotReady"
        world.stands("crds", "platform", at=1)
        assert (await world.run()).writes == ["apply ConfigMap/a", "apply ConfigMap/b"]


async def test_a_kind_that_the_dependency_defines_is_known_when_it_is_ready() -> None:
    """A run that a dependency starts asks the cluster again what it serves."""
    world = Installation(files={"x.yaml": m.other("Gadget", "one", "example.com/v1", spec={})}, dependsOn=DB)
    world.stands("db", at=1, Ready="Yaml")
    await world.run()
    world.server.create(m.tree(m.definition("Gadget")), "crds")
    world.stands("db", at=1)
    ran = await world.run("dependency")
    assert ran.problems == []
    assert world.server.get(ObjectId("example.com", "Gadget", "shop", "one")) is not None


def test_the_commit_of_a_branch_with_a_long_name_is_known_whole() -> None:
    application = applications.parse(Installation(files=FILES).application)
    looked = str(Revision("1" * 40, "refs/heads/" + "b" * 244, "", 0))
    assert dependencies.neighbour(application, 1, {"checkedRevision": looked}).sources[0][2] == looked


def test_what_a_spec_asks_is_the_same_text_for_every_agent_that_knows_its_fields() -> None:
    asked = '{"source":{"url":"https://git.example.com/x.git","revision":{"branch":"main"}}}'
    for fields in ({}, {"prune": True, "commonMetadata": {}, "ignore": []}, {"interval": "5m", "dependsOn": DB}):
        assert gate.asked(applications.parse(Installation(files=FILES, **fields).application).spec) == asked
