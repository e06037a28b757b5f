"""Fields that are left to others: applied when an object is created, then neither overwritten, nor removed, nor drift."""

from __future__ import annotations

import base64
import json

import pytest
from memory_world.sealed_files import encrypt
from whole_runs import manifests as m
from whole_runs.installation import Installation
from whole_runs.left_to_others import REPLICAS, WORKLOAD, applied

from agent.values.secret import Secret

BY_POINTER = [{"kind": "Deployment", "jsonPointers": ["/spec/replicas"]}]
OF_SECRETS = [{"kind": "Secret", "jsonPointers": ["/data/password"]}]
BY_MANAGER = [{"managers": ["*-controller"]}]


def encoded(text: str) -> Secret:
    return Secret(base64.b64encode(text.encode()).decode(), "expected")


def managers_of(world: Installation, name: str, *path: str) -> list[str]:
    """Who owns a field."""
    entries = world.value(name, "metadata", "managedFields")
    assert isinstance(entries, list)
    found = []
    for entry in entries:
        node = entry["fieldsV1"]
        for step in path:
            node = node.get(f"f:{step}") if isinstance(node, dict) else None
        if node is not None:
            found.append(entry["manager"])
    return sorted(found)


class TestOfFieldsByPointer:
    async def test_the_field_is_as_git_says_when_the_object_is_created_and_is_handed_over_then(self) -> None:
        world = await applied(ignore=BY_POINTER)
        assert world.value("Deployment/web", *REPLICAS) == 3
        assert managers_of(world, "Deployment/web", *REPLICAS) == ["signet-released"]
        assert (await world.run()).quiet

    @pytest.mark.parametrize("by", ["kubectl-edit", "another-tool"])
    @pytest.mark.parametrize("mode", ["apply", "detect"])
    async def test_an_edit_is_no_drift(self, by: str, mode: str) -> None:
        world = await applied(ignore=BY_POINTER)
        world.spec(sync={"mode": mode})
        await world.run()
        world.edit("Deployment/web", *REPLICAS, to=7, by=by)
        ran = await world.run()
        assert (ran.quiet, ran.pending, world.drifted, ran.status.counts.drifted) == (True, [], set(), 0)

    async def test_a_commit_that_changes_something_else_leaves_it(self) -> None:
        world = await applied(ignore=BY_POINTER)
        world.edit("Deployment/web", *REPLICAS, to=7)
        world.push({"w.yaml": m.workload(replicas=3, image="web:2")})
        assert (await world.run()).writes == ["apply Deployment/web"]
        assert world.value("Deployment/web", *REPLICAS) == 7

    @pytest.mark.parametrize("replicas", [5, None])
    async def test_a_commit_that_changes_or_drops_it_changes_nothing(self, replicas: int | None) -> None:
        world = await applied(ignore=BY_POINTER)
        world.push({"w.yaml": m.workload(replicas=replicas)})
        assert (await world.run()).quiet
        assert world.value("Deployment/web", *REPLICAS) == 3

    async def test_an_object_that_was_deleted_is_made_with_it(self) -> None:
        world = await applied(ignore=BY_POINTER)
        world.push({"w.yaml": m.workload(replicas=5)})
        await world.run()
        world.delete("Deployment/web")
        await world.heal()
        assert world.value("Deployment/web", *REPLICAS) == 5

    async def test_a_new_rule_counts_before_anything_is_overwritten_or_removed(self) -> None:
        world = await applied()
        world.edit("Deployment/web", *REPLICAS, to=7)
        world.spec(ignore=BY_POINTER)
        world.push({"w.yaml": m.workload()})
        assert (await world.run()).problems == []
        assert world.value("Deployment/web", *REPLICAS) == 7
        assert (await world.run()).quiet

    async def test_a_new_rule_keeps_a_field_that_the_same_run_drops(self) -> None:
        world = await applied()
        world.spec(ignore=BY_POINTER)
        world.push({"w.yaml": m.workload()})
        await world.run()
        assert world.value("Deployment/web", *REPLICAS) == 3

    @pytest.mark.parametrize("force", [True, False])
    async def test_without_its_rule_the_field_is_as_git_says(self, *, force: bool) -> None:
        world = await applied(ignore=BY_POINTER, sync={"force": force})
        world.push({"w.yaml": m.workload(replicas=5)})
        await world.run()
        world.spec(ignore=[])
        assert (await world.run()).problems == []
        assert world.value("Deployment/web", *REPLICAS) == 5
        assert managers_of(world, "Deployment/web", *REPLICAS) == ["signet"]
        world.push({"w.yaml": m.workload()})
        await world.run()
        assert world.value("Deployment/web", *REPLICAS) is None

    async def test_without_its_rule_a_field_that_git_no_longer_has_goes(self) -> None:
        files = {"a.yaml": m.config(more="x")}
        world = await applied(files, ignore=[{"jsonPointers": ["/data/more"]}])
        world.push({"a.yaml": m.config()})
        assert (await world.run()).quiet
        world.spec(ignore=[])
        world.push({"a.yaml": m.config(data="2")})
        await world.run()
        assert world.value("ConfigMap/a", "data", "more") is None

    async def test_a_new_process_knows_what_is_left_to_others(self) -> None:
        world = await applied(ignore=BY_POINTER)
        world.edit("Deployment/web", *REPLICAS, to=7)
        world.restart()
        assert (await world.run()).quiet

    async def test_an_object_that_stands_already_is_adopted_with_its_own(self) -> None:
        world = Installation(files=WORKLOAD, ignore=BY_POINTER)
        world.make(m.workload(replicas=7), by="kubectl-client-side-apply")
        assert (await world.run()).problems == []
        assert world.value("Deployment/web", *REPLICAS) == 7

    async def test_a_lost_record_overwrites_nothing_that_is_ignored(self) -> None:
        world = await applied(ignore=BY_POINTER)
        world.edit("Deployment/web", *REPLICAS, to=7)
        world.lose_record()
        world.restart()
        assert (await world.run()).problems == []
        assert world.value("Deployment/web", *REPLICAS) == 7

    async def test_an_object_that_changes_while_it_is_handed_over_is_handed_over_all_the_same(self) -> None:
        world = Installation(files=WORKLOAD, ignore=BY_POINTER)
        world.meanwhile(
            "patch Deployment/web",
            lambda: world.edit("Deployment/web", "status", to={"replicas": 1}, by="controller", subresource="status"),
        )
        assert (await world.run()).problems == []
        assert managers_of(world, "Deployment/web", *REPLICAS) == ["signet-released"]

    async def test_of_an_object_that_vanishes_no_half_is_made(self) -> None:
        world = await applied(ignore=BY_POINTER)
        world.push({"w.yaml": m.workload(replicas=3, image="web:2")})
        world.meanwhile("apply Deployment/web", lambda: world.delete("Deployment/web"))
        ran = await world.run()
        assert ran.problems == ["StaleObject Deployment/web"]
        assert world.live("Deployment/web") is None
        await world.run()
        assert world.value("Deployment/web", *REPLICAS) == 3

    async def test_labels_and_annotations_are_ignored_except_for_the_agents_own(self) -> None:
        files = {
            "a.yaml": m.config(annotations={"wave": "1"}).replace('"name": "a"', '"name": "a", "labels": {"x": "1"}')
        }
        world = await applied(files, ignore=[{"jsonPointers": ["/metadata/labels", "/metadata/annotations"]}])
        world.edit("ConfigMap/a", "metadata", "labels", "x", to="2")
        assert (await world.run()).quiet
        world.edit("ConfigMap/a", "metadata", "annotations", "signet-gitops.dev/wave", to="2")
        assert (await world.heal()).writes == ["apply ConfigMap/a"]
        assert world.value("ConfigMap/a", "metadata", "labels", "x") == "2"

    async def test_an_item_of_a_list_is_named_by_index_or_by_what_it_merges_by(self) -> None:
        env = [{"name": "A", "value": "1"}, {"name": "B", "value": "1"}]
        pod = "/spec/template/spec/containers"
        world = await applied(
            {"w.yaml": m.workload(env=env)},
            ignore=[{"jsonPointers": [f"{pod}/0/image", f"{pod}/name=web/env/name=B/value"]}],
        )
        changed = [{"name": "web", "image": "web:9", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "9"}]}]
        world.edit("Deployment/web", "spec", "template", "spec", "containers", to=changed, by="another-tool")
        assert (await world.run()).quiet
        world.push({"w.yaml": m.workload(env=[{"name": "A", "value": "2"}, {"name": "B", "value": "2"}])})
        assert (await world.run()).writes == ["apply Deployment/web"]
        (found,) = world.value("Deployment/web", "spec", "template", "spec", "containers")
        assert (found["image"], [each["value"] for each in found["env"]]) == ("web:9", ["2", "9"])

    @pytest.mark.parametrize("step", ["*", "name=more", "0"])
    async def test_an_item_that_leaves_git_goes_whole(self, step: str) -> None:
        text = json.loads(m.workload())
        (web,) = text["spec"]["template"]["spec"]["containers"]
        text["spec"]["template"]["spec"]["containers"] = [{"name": "more", "image": "more:1"}, web]
        rule = {"jsonPointers": [f"/spec/template/spec/containers/{step}/image"]}
        world = await applied({"w.yaml": json.dumps(text)}, ignore=[rule])
        world.push({"w.yaml": m.workload()})
        assert (await world.run()).problems == []
        assert world.value("Deployment/web", "spec", "template", "spec", "containers") == [web]
        assert (await world.run()).quiet

    async def test_of_a_map_that_is_one_value_nothing_is_removed(self) -> None:
        text = m.workload().replace('"containers"', '"nodeSelector": {"disk": "ssd", "zone": "a"}, "containers"')
        world = await applied({"w.yaml": text}, ignore=[{"jsonPointers": ["/spec/template/spec/nodeSelector/disk"]}])
        world.push({"w.yaml": text.replace("web:1", "web:2")})
        await world.run()
        selector = world.value("Deployment/web", "spec", "template", "spec", "nodeSelector")
        assert selector == {"disk": "ssd", "zone": "a"}


class TestOfSecrets:
    async def test_a_key_of_a_secret_is_left_to_others_and_not_opened_once_it_stands(self) -> None:
        sealed = {"s.yaml": encrypt(m.plain_secret("s"), "s.yaml"), "w.yaml": m.workload(uses="s")}
        world = await applied(sealed, ignore=OF_SECRETS)
        assert world.value("Secret/s", "data", "password") == encoded("hunter2")
        world.edit("Secret/s", "data", "password", to=encoded("rotated"))
        assert world.drifted == set()
        world.keys.held.clear()
        more = sealed["s.yaml"].replace("name: s\n", "name: s\n    labels:\n        x: y\n")
        world.push({**sealed, "s.yaml": more})
        await world.run()
        assert world.value("Secret/s", "data", "password") == encoded("rotated")

    async def test_a_store_is_not_asked_for_what_is_ignored(self) -> None:
        text = m.secret("db")
        world = await applied({"s.yaml": text}, ignore=OF_SECRETS)
        world.edit("Secret/db", "data", "password", to=encoded("rotated"))
        world.stores.away = True
        labelled = text.replace('"name": "db"', '"name": "db", "labels": {"x": "y"}')
        world.push({"s.yaml": labelled})
        ran = await world.run()
        assert (ran.problems, ran.writes) == ([], ["apply Secret/db"])
        assert world.value("Secret/db", "data", "password") == encoded("rotated")
        assert world.value("Secret/db", "metadata", "labels", "x") == "y"

    async def test_what_a_store_rotates_is_not_applied_and_rolls_nothing(self) -> None:
        world = await applied({"s.yaml": m.secret("db"), "w.yaml": m.workload(uses="db")}, ignore=OF_SECRETS)
        world.stores.write("kv/db", password="second")
        await world.probe()
        assert (await world.run()).quiet
        assert world.value("Secret/db", "data", "password") == encoded("first")

    async def test_workloads_restart_once_for_a_rule_that_comes(self) -> None:
        world = await applied({"s.yaml": m.secret("db"), "w.yaml": m.workload(uses="db")})
        world.spec(ignore=OF_SECRETS)
        assert "apply Deployment/web" in (await world.run()).writes
        assert (await world.run()).quiet

    async def test_no_value_is_shown(self) -> None:
        world = await applied({"s.yaml": m.plain_secret("s", "canary")}, ignore=OF_SECRETS)
        world.edit("Secret/s", "data", "password", to=encoded("canary-2"))
        world.push({"s.yaml": m.plain_secret("s", "canary-3")})
        ran = await world.run()
        assert "canary" not in repr((ran.audit, ran.status, ran.events, ran.errors))


class TestOfManagers:
    async def test_what_an_ignored_manager_owns_is_neither_overwritten_nor_healed(self) -> None:
        world = await applied({"a.yaml": m.config(more="x")}, ignore=BY_MANAGER)
        world.edit("ConfigMap/a", "data", "value", to="theirs", by="my-controller")
        ran = await world.run("live")
        assert ran.events == []
        assert world.value("ConfigMap/a", "data", "value") == "theirs"
        assert (await world.run()).quiet
        world.edit("ConfigMap/a", "data", "value", to="theirs again", by="my-controller")
        assert world.drifted == set()
        world.push({"a.yaml": m.config(data="2", more="y")})
        await world.run()
        assert world.value("ConfigMap/a", "data") == {"value": "theirs again", "more": "y"}

    @pytest.mark.parametrize("mode", ["apply", "detect"])
    async def test_what_an_ignored_manager_takes_is_no_drift(self, mode: str) -> None:
        world = await applied({"a.yaml": m.config(more="x")}, ignore=BY_MANAGER)
        world.spec(sync={"mode": mode})
        await world.run()
        world.edit("ConfigMap/a", "data", "value", to="theirs", by="my-controller")
        ran = await world.run("live")
        assert (ran.quiet, ran.pending, ran.status.counts.drifted, ran.audit) == (True, [], 0, [])
        world.edit("ConfigMap/a", "data", "more", to="edited", by="kubectl-edit")
        ran = await world.run("live")
        assert (ran.pending, ran.writes) == (([], ["apply ConfigMap/a"]) if mode == "apply" else (["ConfigMap/a"], []))

    async def test_what_another_manager_writes_is_healed(self) -> None:
        world = await applied({"a.yaml": m.config(more="x")}, ignore=BY_MANAGER)
        world.edit("ConfigMap/a", "data", "value", to="theirs", by="my-controller")
        await world.heal()
        world.edit("ConfigMap/a", "data", "more", to="edited", by="kubectl-edit")
        await world.heal()
        assert world.value("ConfigMap/a", "data") == {"value": "theirs", "more": "x"}

    async def test_without_its_rule_the_field_is_as_git_says(self) -> None:
        world = await applied({"a.yaml": m.config()}, ignore=BY_MANAGER)
        world.edit("ConfigMap/a", "data", "value", to="theirs", by="my-controller")
        await world.heal()
        world.restart()
        world.spec(ignore=[])
        await world.run()
        assert world.value("ConfigMap/a", "data", "value") == "1"

    @pytest.mark.parametrize(
        "at", [("labels", "signet-gitops.dev/application"), ("annotations", "signet-gitops.dev/owner")], ids=repr
    )
    async def test_what_an_ignored_manager_takes_of_the_agents_own_fields_is_healed(self, at: tuple[str, str]) -> None:
        world = await applied({"a.yaml": m.config()}, ignore=BY_MANAGER)
        before = world.value("ConfigMap/a", "metadata", *at)
        world.edit("ConfigMap/a", "metadata", *at, to="theirs", by="backup-controller")
        await world.heal()
        assert world.value("ConfigMap/a", "metadata", *at) == before
        assert (await world.run()).quiet

    async def test_the_agents_own_fields_are_never_ignored(self) -> None:
        world = await applied({"a.yaml": m.config()}, ignore=[{"managers": ["*"]}])
        world.push({"a.yaml": m.config(data="2")})
        await world.run()
        assert world.value("ConfigMap/a", "data", "value") == "2"


async def test_an_object_that_no_rule_fits_costs_nothing_more() -> None:
    world = await applied({**WORKLOAD, "a.yaml": m.config()}, ignore=BY_POINTER)
    world.push({**WORKLOAD, "a.yaml": m.config(data="2")})
    ran = await world.run()
    assert (ran.writes, ran.reads) == (["apply ConfigMap/a"], [])
