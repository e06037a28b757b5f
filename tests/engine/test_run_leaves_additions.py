"""What is added to an object of ours and stays: whose it is, who asks for it, and what stood there before an upgrade."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from whole_runs import manifests as m
from whole_runs.additions import (
    FILES,
    add_host_network,
    add_key,
    add_label,
    add_secret_key,
    add_sidecar,
    applied,
    plain,
    pod_spec,
)
from whole_runs.installation import Installation

if TYPE_CHECKING:
    from collections.abc import Callable


async def test_what_a_manager_that_is_no_person_adds_is_left_alone() -> None:
    world = await applied()
    for by in ("my-controller", "kube-controller-manager", "istio-injector", "signet-sync", "helm"):
        world.replace("ConfigMap/a", add_key, by)
        world.replace("Deployment/web", add_host_network, by)
        world.apply(m.config(also="x"), by)
    assert (await world.run()).quiet
    assert world.drifted == set()
    assert world.value("ConfigMap/a", "data", "extra") == "x"


async def test_what_people_change_within_an_item_that_others_added_is_left_alone() -> None:
    world = await applied()
    world.replace("Deployment/web", add_sidecar, "injector")
    world.replace("Deployment/web", lambda live: pod_spec(live)["containers"][1].update(image="busybox:2"))
    assert (await world.run()).quiet
    assert world.drifted == set()
    world.push({**FILES, "w.yaml": m.workload(image="web:2")})
    assert (await world.run()).writes == ["apply Deployment/web"]
    assert [each["image"] for each in pod_spec(world.live("Deployment/web"))["containers"]] == ["web:2", "busybox:2"]


async def test_an_object_that_is_held_keeps_what_was_added_and_says_so() -> None:
    world = Installation(files={"s.yaml": m.secret()})
    world.stores.write("kv/db", password="p", user="u")
    await world.run()
    world.stores.away = True
    world.push({"s.yaml": m.secret("db", "vault://main/kv/db#user")})
    world.replace("Secret/db", add_secret_key)
    ran = await world.run()
    assert (ran.writes, ran.problems) == ([], ["StoreUnavailable Secret/db"])
    (warning,) = ran.status.warnings
    assert (warning.reason, warning.object, warning.field) == ("Additions", "Secret shop/db", "data.extra")
    world.stores.away = False
    assert (await world.run()).writes == ["patch Secret/db", "apply Secret/db"]


async def test_an_object_that_is_not_reconciled_is_left_alone() -> None:
    files = {"a.yaml": m.config(annotations={"reconcile": "disabled"}), "b.yaml": m.config("b")}
    world = await applied({**files, "a.yaml": m.config()})
    world.push(files)
    await world.run()
    world.replace("ConfigMap/a", add_key)
    assert (await world.run()).quiet
    assert world.value("ConfigMap/a", "data", "extra") == "x"


async def test_the_operator_says_who_is_a_person() -> None:
    world = await applied()
    world.configure(fieldManagers={"people": ["k9s"]})
    await world.run()
    world.replace("ConfigMap/a", add_key, "kubectl-edit")
    assert (await world.run()).quiet
    world.replace("Deployment/web", add_host_network, "k9s")
    assert (await world.heal()).writes == ["patch Deployment/web", "apply Deployment/web"]


async def test_what_goes_through_a_subresource_is_left_alone() -> None:
    world = await applied()
    world.edit("Deployment/web", "spec", "replicas", to=3, by="kubectl", subresource="scale")
    world.edit("Deployment/web", "status", "note", to="x", by="kubectl-edit", subresource="status")
    world.edit("Deployment/web", "status", "more", to="x", by="kubectl-edit")
    assert (await world.run()).quiet
    assert world.drifted == set()
    assert world.value("Deployment/web", "spec", "replicas") == 3


def restart(live: Any) -> None:
    live["spec"]["template"]["metadata"]["annotations"] = {"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}


async def test_a_restart_stays_a_restart() -> None:
    world = await applied()
    world.replace("Deployment/web", restart, "kubectl-rollout")
    assert (await world.run()).quiet
    assert world.drifted == set()
    world.replace("Deployment/web", add_sidecar, "kubectl-rollout")
    assert (await world.heal()).writes == ["patch Deployment/web", "apply Deployment/web"]
    world.push({**FILES, "w.yaml": m.workload(image="web:2")})
    assert (await world.run()).problems == []
    annotations = ("spec", "template", "metadata", "annotations")
    assert world.value("Deployment/web", *annotations) == {"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}


NEVER_TAKEN: dict[str, tuple[tuple[str, ...], object]] = {
    "a word for the agent": (("metadata", "annotations", "signet-gitops.dev/prune"), "disabled"),
    "a label of that group": (("metadata", "labels", "signet-gitops.dev/mine"), "x"),
    "a finalizer": (("metadata", "finalizers"), ["example.com/keep"]),
    "an owner": (("metadata", "ownerReferences"), [{"uid": "1", "kind": "X", "name": "x", "apiVersion": "v1"}]),
}


@pytest.mark.parametrize("field", NEVER_TAKEN)
async def test_what_is_never_taken(field: str) -> None:
    path, value = NEVER_TAKEN[field]
    world = await applied()
    world.edit("ConfigMap/a", *path, to=value)
    assert (await world.run()).quiet
    assert world.drifted == set()
    world.push({**FILES, "a.yaml": m.config(data="2")})
    assert (await world.run()).writes == ["apply ConfigMap/a"]
    assert world.value("ConfigMap/a", *path) == value


@pytest.mark.parametrize("change", [add_key, add_label])
async def test_an_object_that_asks_to_keep_additions_keeps_them(change: Callable[[Any], None]) -> None:
    keep = {"additions": "keep"}
    world = await applied({"a.yaml": m.config(annotations=keep, more="x"), "b.yaml": m.config("b")})
    world.apply(m.config(annotations=keep, more="x"))
    world.replace("ConfigMap/a", change)
    before = plain(world, "ConfigMap/a")
    assert (await world.run()).quiet
    assert world.drifted == set()
    world.push({"a.yaml": m.config(annotations=keep), "b.yaml": m.config("b")})
    assert (await world.run()).problems == []
    del before["data"]["more"]
    after = plain(world, "ConfigMap/a")
    assert after["data"] == before["data"], "what Git drops goes, and what was added stays"
    assert after["metadata"]["labels"] == before["metadata"]["labels"]
    world.replace("ConfigMap/b", lambda live: live["data"].update(extra="x"))
    assert (await world.heal()).writes == ["patch ConfigMap/b", "apply ConfigMap/b"]
    world.push({"a.yaml": m.config(), "b.yaml": m.config("b")})
    await world.run()
    assert world.value("ConfigMap/a", "data") == {"value": "1"}, "Git asks for it no longer"


async def test_additions_are_kept_where_the_live_object_is_annotated() -> None:
    world = await applied()
    world.edit("ConfigMap/a", "metadata", "annotations", "signet-gitops.dev/additions", to="keep")
    world.replace("ConfigMap/a", add_key)
    assert (await world.run()).quiet
    world.push({**FILES, "a.yaml": m.config(data="2")})
    assert (await world.run()).writes == ["apply ConfigMap/a"]
    assert world.value("ConfigMap/a", "data", "extra") == "x"


async def test_an_application_that_forces_nothing_takes_nothing_and_says_so() -> None:
    world = await applied(sync={"force": False})
    world.replace("ConfigMap/a", add_key)
    ran = await world.heal()
    assert ran.writes == []
    assert [each.reason for each in ran.status.warnings if "force" in each.message] == ["Additions"]
    assert (await world.run()).quiet
    world.spec(sync={"force": True})
    assert (await world.run("spec")).writes == ["patch ConfigMap/a", "apply ConfigMap/a"]


async def test_what_comes_back_is_left_and_reported_until_something_changes() -> None:
    world = await applied()
    for _ in range(6):
        world.replace("ConfigMap/a", add_key)
        assert (await world.heal()).writes == ["patch ConfigMap/a", "apply ConfigMap/a"]
    world.replace("ConfigMap/a", add_key)
    ran = await world.heal()
    assert ran.quiet
    (fight,) = [each for each in ran.status.warnings if each.reason == "Fight"]
    assert fight.object == "ConfigMap shop/a"
    assert fight.field == "data.extra"
    assert "kubectl-edit" in fight.message
    drifted = next(each for each in ran.status.conditions if each.type == "Drifted")
    assert (drifted.status, drifted.reason) == ("True", "Fight")
    assert ran.ready == "Applied"
    world.restart()
    ran = await world.run()
    assert ran.quiet
    assert "Fight" in [each.reason for each in ran.status.warnings]
    world.replace("ConfigMap/a", add_label)
    assert (await world.heal()).writes == ["patch ConfigMap/a", "apply ConfigMap/a"]
    assert world.value("ConfigMap/a", "data", "extra") == "x"
    world.push({**FILES, "a.yaml": m.config(data="2")})
    await world.run()
    assert world.value("ConfigMap/a", "data") == {"value": "2"}


class TestOfARecordFromBefore:
    """The agent was upgraded: nothing says of what stands there whether it was there all along."""

    async def upgraded(self) -> Installation:
        world = await applied()
        world.replace("Secret/db", add_secret_key)
        world.replace("ConfigMap/a", add_key)
        world.forget_additions()
        return world

    async def test_what_stood_there_is_reported_and_left(self) -> None:
        world = await self.upgraded()
        ran = await world.run()
        assert ran.quiet
        warned = {(each.object, each.field) for each in ran.status.warnings if each.reason == "Additions"}
        assert warned == {("Secret shop/db", "data.extra"), ("ConfigMap shop/a", "data.extra")}
        (one,) = [each for each in ran.status.warnings if each.object == "ConfigMap shop/a"]
        assert "kubectl-edit" in one.message
        assert "--confirm-additions" in one.hint
        assert ran.ready == "Applied"
        assert next(each.status for each in ran.status.conditions if each.type == "Drifted") == "True"
        assert (await world.run()).quiet
        assert world.drifted == set()

    async def test_what_is_added_later_is_taken_out_and_nothing_else(self) -> None:
        world = await self.upgraded()
        await world.run()
        world.replace("ConfigMap/a", add_label)
        world.replace("ConfigMap/a", lambda live: live["data"].update(value="edited"))
        assert (await world.heal()).writes == ["patch ConfigMap/a", "apply ConfigMap/a"]
        assert world.value("ConfigMap/a", "data") == {"value": "1", "extra": "x"}
        assert (await world.run()).quiet
        world.replace("Deployment/web", add_sidecar)
        assert (await world.heal()).writes == ["patch Deployment/web", "apply Deployment/web"]

    async def test_it_goes_once_the_commit_is_confirmed(self) -> None:
        world = await self.upgraded()
        await world.run()
        world.annotate(confirm_additions="f" * 40)
        assert (await world.run("spec")).quiet
        world.annotate(confirm_additions=world.commit[:12])
        ran = await world.run("spec")
        assert sorted(ran.writes) == ["apply ConfigMap/a", "apply Secret/db", "patch ConfigMap/a", "patch Secret/db"]
        assert world.value("ConfigMap/a", "data") == {"value": "1"}
        assert (await world.run()).quiet

    async def test_it_goes_when_the_manifest_changes(self) -> None:
        world = await self.upgraded()
        await world.run()
        world.push({**FILES, "a.yaml": m.config(data="2")})
        assert (await world.run()).writes == ["patch ConfigMap/a", "apply ConfigMap/a"]
        assert world.value("ConfigMap/a", "data") == {"value": "2"}
        assert "extra" in (world.value("Secret/db", "data") or {})  # pyright: ignore[reportOperatorIssue]

    async def test_it_stays_where_its_kind_may_not_be_watched(self) -> None:
        world = await self.upgraded()
        world.traffic.unwatched.add(("", "ConfigMap"))
        await world.run()
        world.edit("ConfigMap/a", "data", "value", to="edited", by="controller")
        await world.run()
        assert world.value("ConfigMap/a", "data") == {"value": "1", "extra": "x"}

    async def test_what_was_taken_back_and_comes_again_is_new(self) -> None:
        world = await self.upgraded()
        await world.run()
        world.replace("ConfigMap/a", lambda live: live["data"].pop("extra"))
        await world.run()
        world.replace("ConfigMap/a", add_key)
        assert (await world.heal()).writes == ["patch ConfigMap/a", "apply ConfigMap/a"]

    async def test_many_are_left_as_one(self) -> None:
        world = await applied()
        world.replace("ConfigMap/a", lambda live: live["data"].update({f"k{n}": "x" for n in range(200)}))
        world.forget_additions()
        assert (await world.run()).quiet
        world.replace("ConfigMap/a", add_key)
        assert (await world.run()).quiet
        world.push({**FILES, "a.yaml": m.config(data="2")})
        await world.run()
        assert world.value("ConfigMap/a", "data") == {"value": "2"}
