"""What a run puts right in the cluster: drift with its fields and writer, what is no drift, and kinds that may not be watched."""

from __future__ import annotations

import pytest
from memory_world.server import REMOVED
from whole_runs import manifests as m
from whole_runs.installation import Installation

from agent.values.secret import Secret

FILES = {"a.yaml": m.config(more="x"), "b.yaml": m.config("b"), "w.yaml": m.workload()}


async def applied(**spec: object) -> Installation:
    world = Installation(files=FILES, **spec)
    assert (await world.run()).problems == []
    return world


async def test_an_edit_is_healed_with_its_fields_and_its_writer() -> None:
    world = await applied()
    world.edit("ConfigMap/a", "data", "value", to="edited", by="kubectl-edit")
    ran = await world.heal()
    assert ran.writes == ["apply ConfigMap/a"]
    assert world.value("ConfigMap/a", "data", "value") == "1"
    done = ran.outcome_of("ConfigMap/a")
    assert (done.cause, done.action) == ("live-edit", "heal")
    assert "data.value" in done.fields
    assert done.facts is not None
    assert (done.facts["manager"], done.facts["operation"]) == ("kubectl-edit", "Update")
    assert ran.ready == "Applied"
    assert (await world.run()).quiet


async def test_the_writer_is_who_wrote_the_field_and_not_who_wrote_last() -> None:
    world = await applied()
    world.edit("ConfigMap/a", "data", "value", to="edited", by="culprit")
    world.edit("ConfigMap/a", "data", "another", to="beside", by="bystander")
    world.edit("ConfigMap/a", "status", to="x", by="status-writer", subresource="status")
    done = (await world.heal()).outcome_of("ConfigMap/a")
    assert done.facts is not None
    assert done.facts["manager"] == "culprit"


async def test_a_field_that_was_removed_is_set_again() -> None:
    world = await applied()
    world.edit("ConfigMap/a", "data", "more", to=REMOVED)
    assert (await world.heal()).writes == ["apply ConfigMap/a"]
    assert world.value("ConfigMap/a", "data", "more") == "x"


async def test_an_object_that_was_deleted_is_made_again() -> None:
    world = await applied()
    world.delete("ConfigMap/a")
    ran = await world.heal()
    assert ran.writes == ["apply ConfigMap/a"]
    assert ran.actions == {"ConfigMap/a": "heal"}
    assert ran.outcome_of("ConfigMap/a").facts is None, "who deleted it stands nowhere"


async def test_an_edit_of_a_list_item_is_healed() -> None:
    world = await applied()
    containers = [{"name": "web", "image": "evil:1"}]
    world.edit("Deployment/web", "spec", "template", "spec", "containers", to=containers)
    assert (await world.heal()).writes == ["apply Deployment/web"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("metadata", "annotations", "example.com/note"), "x"),
        (("metadata", "labels", "example.com/label"), "x"),
        (("data", "theirs"), "x"),
        (("status", "phase"), "x"),
    ],
)
async def test_what_others_add_is_no_drift(path: tuple[str, ...], value: str) -> None:
    world = await applied()
    world.edit("ConfigMap/a", *path, to=value, by="controller")
    assert (await world.run()).quiet
    assert world.drifted == set()
    assert world.value("ConfigMap/a", *path) == value


async def test_a_heal_of_a_secret_tells_no_value() -> None:
    world = Installation(files={"s.yaml": m.plain_secret("s", "canary-1")})
    await world.run()
    world.edit("Secret/s", "data", "password", to=Secret("Y2FuYXJ5LTI=", "live"))
    ran = await world.heal()
    assert ran.writes == ["apply Secret/s"]
    assert world.value("Secret/s", "data", "password") == Secret("Y2FuYXJ5LTE=", "same")
    done = ran.outcome_of("Secret/s")
    assert "data.password" in done.fields
    assert "canary" not in repr(ran.audit)
    assert "Y2FuYXJ5" not in repr(ran.audit)


async def test_a_heal_asks_neither_git_nor_for_objects_that_stand_as_they_were_applied() -> None:
    world = await applied()
    asked = world.git.asked
    world.edit("ConfigMap/a", "data", "value", to="edited")
    ran = await world.heal()
    assert world.git.asked == asked
    assert ran.reads == []


async def test_a_commit_beside_an_edit_is_no_heal() -> None:
    world = await applied()
    world.edit("ConfigMap/a", "data", "value", to="edited")
    world.push({**FILES, "a.yaml": m.config(data="2", more="x")})
    ran = await world.run()
    assert ran.causes == {"ConfigMap/a": "commit"}
    assert world.value("ConfigMap/a", "data", "value") == "2"


async def test_what_is_held_is_not_healed_and_counts_as_drifted() -> None:
    world = Installation(files={"s.yaml": m.secret("db"), "a.yaml": m.config()})
    world.stores.write("kv/db", password="p")
    await world.run()
    world.stores.away = True
    world.edit("Secret/db", "data", "password", to=Secret("eA==", "live"))
    ran = await world.heal()
    assert ran.writes == []
    assert ran.problems == ["StoreUnavailable Secret/db"]
    assert (ran.status.counts.drifted, ran.status.counts.held) == (1, 1)
    assert next(each.status for each in ran.status.conditions if each.type == "Drifted") == "True"
    world.stores.away = False
    assert (await world.run("live")).writes == ["apply Secret/db"]


async def test_the_fields_that_a_commit_changes_are_reported() -> None:
    world = await applied()
    world.push({**FILES, "a.yaml": m.config(data="2", more="x")})
    ran = await world.run()
    assert ran.outcome_of("ConfigMap/a").fields == ("data.value",)
    assert ran.actions == {"ConfigMap/a": "update"}


async def test_a_commit_that_makes_the_same_object_writes_nothing() -> None:
    world = await applied()
    world.push(
        {"elsewhere/a.yaml": FILES["a.yaml"], "b.yaml": FILES["b.yaml"] + "# a comment\n", "w.yaml": FILES["w.yaml"]}
    )
    ran = await world.run()
    assert ran.quiet
    assert world.recorded_commit == 2


class TestOfAKindThatTheAgentMayNotWatch:
    KIND = ("", "ConfigMap")

    async def made(self) -> Installation:
        world = Installation(files=FILES)
        world.traffic.unwatched.add(self.KIND)
        ran = await world.run()
        assert ran.problems == []
        assert ran.warnings == ["NotWatched"]
        assert ran.ready == "Applied"
        assert ran.status.counts.warnings == 1
        return world

    async def test_its_objects_are_applied_and_the_missing_rule_is_reported(self) -> None:
        world = await self.made()
        ran = await world.run()
        assert ran.quiet
        (warning,) = ran.status.warnings
        assert warning.reason == "NotWatched"
        assert "ConfigMap" in str(warning)

    async def test_drift_is_healed_at_the_interval(self) -> None:
        world = await self.made()
        world.edit("ConfigMap/a", "data", "value", to="edited", by="kubectl-edit")
        assert (await world.run("live")).quiet, "nothing is seen of it until then"
        ran = await world.run("interval")
        assert ran.writes == ["apply ConfigMap/a"]
        assert ran.causes == {"ConfigMap/a": "live-edit"}
        done = ran.outcome_of("ConfigMap/a")
        assert done.facts is not None
        assert done.facts["manager"] == "kubectl-edit"

    async def test_it_is_read_among_kinds_that_are_watched(self) -> None:
        world = Installation(files={**FILES, "w.yaml": m.workload()})
        world.traffic.unwatched.add(("apps", "Deployment"))
        await world.run()
        world.edit("Deployment/web", "spec", "template", "spec", "containers", 0, "image", to="x:2", by="editor")
        assert (await world.run("interval")).writes == ["apply Deployment/web"]

    async def test_an_object_that_is_gone_is_made_again_at_the_interval(self) -> None:
        world = await self.made()
        world.delete("ConfigMap/a")
        assert (await world.run("interval")).writes == ["apply ConfigMap/a"]

    async def test_what_leaves_git_is_deleted(self) -> None:
        world = await self.made()
        world.push({name: text for name, text in FILES.items() if name != "b.yaml"})
        assert (await world.run()).writes == ["delete ConfigMap/b"]

    async def test_it_is_watched_once_the_agent_may(self) -> None:
        world = await self.made()
        world.allow_watching()
        assert (await world.run()).warnings == []
        world.edit("ConfigMap/a", "data", "value", to="edited")
        assert (await world.heal()).writes == ["apply ConfigMap/a"]
