"""An object that others made, own or write too: adoption, ownership, field conflicts, and what is left to others."""

from __future__ import annotations

import json

import pytest
from memory_world.cluster import name_of
from whole_runs import manifests as m
from whole_runs.installation import Installation

from agent.engine.ports import Identity

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
ADOPTED = {
    "kubectl apply": ("kubectl-client-side-apply", "Update"),
    "kubectl create": ("kubectl-create", "Update"),
    "kubectl apply --server-side": ("kubectl", "Apply"),
    "Flux": ("kustomize-controller", "Apply"),
    "Argo CD": ("argocd-controller", "Apply"),
    "Helm 3": ("helm", "Update"),
    "Helm 4": ("helm", "Apply"),
    "Flux's helm-controller, by Helm 3": ("helm-controller", "Update"),
    "Flux's helm-controller, by Helm 4": ("helm-controller", "Apply"),
}


@pytest.mark.parametrize("tool", ADOPTED)
async def test_what_another_tool_applied_is_taken_over_with_its_fields(tool: str) -> None:
    manager, operation = ADOPTED[tool]
    world = Installation(files={"a.yaml": m.config()})
    world.make(m.config(old="1"), manager, operation=operation)
    ran = await world.run()
    assert ran.writes == ["patch ConfigMap/a", "apply ConfigMap/a"]
    assert world.value("ConfigMap/a", "data") == {"value": "1"}, "a field that Git does not have is deleted"
    assert ran.actions == {"ConfigMap/a": "adopt"}
    assert (await world.run()).quiet


async def test_the_copy_that_kubectl_keeps_is_removed() -> None:
    world = Installation(files={"a.yaml": m.config()})
    world.make(m.config(old="1"), "kubectl-client-side-apply")
    world.edit(
        "ConfigMap/a", "metadata", "annotations", LAST_APPLIED, to=json.dumps({"x": 1}), by="kubectl-client-side-apply"
    )
    await world.run()
    assert LAST_APPLIED not in world.value("ConfigMap/a", "metadata", "annotations")


async def test_fields_of_a_controller_are_left_alone() -> None:
    world = Installation(files={"w.yaml": m.workload()})
    world.make(m.workload(), "kubectl-client-side-apply")
    world.edit("Deployment/web", "spec", "replicas", to=3, by="autoscaler")
    assert (await world.run()).problems == []
    assert world.value("Deployment/web", "spec", "replicas") == 3
    world.edit("Deployment/web", "spec", "replicas", to=5, by="autoscaler")
    await world.run()
    assert world.drifted == set(), "what others set beside ours is no drift"


async def test_an_adoption_that_lost_a_race_is_made_of_what_stands_there_then() -> None:
    world = Installation(files={"a.yaml": m.config()})
    world.make(m.config(old="1"), "kubectl-create")
    world.meanwhile("patch ConfigMap/a", lambda: world.edit("ConfigMap/a", "data", "more", to="x", by="controller"))
    ran = await world.run()
    assert ran.writes == ["patch ConfigMap/a: StaleObject", "patch ConfigMap/a", "apply ConfigMap/a"]
    assert world.value("ConfigMap/a", "data") == {"value": "1", "more": "x"}


async def test_an_object_that_is_deleted_while_it_is_adopted_is_made() -> None:
    world = Installation(files={"a.yaml": m.config()})
    world.make(m.config(old="1"), "kubectl-create")
    world.meanwhile("patch ConfigMap/a", lambda: world.delete("ConfigMap/a"))
    ran = await world.run()
    assert ran.problems == []
    assert ran.writes[-1] == "apply ConfigMap/a"
    assert world.value("ConfigMap/a", "data") == {"value": "1"}


async def test_an_object_that_keeps_changing_is_adopted_another_time() -> None:
    world = Installation(files={"a.yaml": m.config(), "b.yaml": m.config("b")})
    world.make(m.config(old="1"), "kubectl-create")
    changes = [lambda n=n: world.edit("ConfigMap/a", "data", "more", to=str(n), by="controller") for n in range(9)]
    world.meanwhile("patch ConfigMap/a", *changes)
    ran = await world.run()
    assert ran.problems == ["StaleObject ConfigMap/a"]
    assert sorted(ran.writes) == ["apply ConfigMap/b", *["patch ConfigMap/a: StaleObject"] * 4]
    assert ran.status.conditions[1].status == "True", "it is tried again"


async def test_many_objects_that_are_there_already_are_looked_for_together() -> None:
    world = Installation(files={f"{name}.yaml": m.config(name) for name in "abcde"})
    world.make(m.config("c", old="1"), "kubectl-create")
    ran = await world.run()
    assert ran.writes.count("patch ConfigMap/c") == 1
    assert "list ConfigMap/" in ran.reads
    assert world.value("ConfigMap/c", "data") == {"value": "1"}


OTHER = {"a.yaml": m.config()}


async def test_an_object_of_another_application_is_not_touched() -> None:
    world = Installation(files={**OTHER, "b.yaml": m.config("b")})
    world.others["other"] = "shop/other"
    world.make(m.config(data="theirs"), owner="other")
    ran = await world.run()
    assert ran.problems == ["OwnershipConflict ConfigMap/a"]
    assert ran.writes == ["apply ConfigMap/b"]
    assert ran.error_of("ConfigMap/a").facts["owner"] == "shop/other"
    assert world.value("ConfigMap/a", "data", "value") == "theirs"


async def test_an_object_of_an_application_that_is_gone_is_taken() -> None:
    world = Installation(files=OTHER)
    world.make(m.config(data="theirs"), owner="other")
    assert (await world.run()).problems == []
    assert world.value("ConfigMap/a", "data", "value") == "1"


@pytest.mark.parametrize(("named", "taken"), [("shop/web", True), ("shop/third", False), ("web", False)])
async def test_an_object_is_handed_over_to_the_application_that_its_annotation_names(named: str, taken: bool) -> None:
    world = Installation(files=OTHER)
    world.others["other"] = "shop/other"
    world.make(m.config(data="theirs"), owner="other")
    world.edit("ConfigMap/a", "metadata", "annotations", "signet-gitops.dev/new-owner", to=named)
    ran = await world.run()
    assert (ran.problems == []) == taken
    assert (world.value("ConfigMap/a", "data", "value") == "1") == taken


async def test_an_object_that_was_handed_over_is_in_conflict_until_it_leaves_git_and_then_stays() -> None:
    files = {f"{name}.yaml": m.config(name) for name in "abcd"}
    world = Installation(files=files)
    await world.run()
    world.others["other"] = "shop/other"
    world.give_to("ConfigMap/a", "other")
    assert (await world.heal()).problems == ["OwnershipConflict ConfigMap/a"]
    world.push({name: text for name, text in files.items() if name != "a.yaml"})
    ran = await world.run()
    assert ran.quiet
    assert world.live("ConfigMap/a") is not None
    assert world.recorded == ["ConfigMap/b", "ConfigMap/c", "ConfigMap/d"]


async def test_a_proof_that_does_not_fit_is_none() -> None:
    files = {**OTHER, "b.yaml": m.config("b")}
    world = Installation(files={"b.yaml": files["b.yaml"]})
    await world.run()
    world.others["other"] = "shop/other"
    world.make(m.config(data="theirs"), owner="other")
    world.edit("ConfigMap/a", "metadata", "annotations", "signet-gitops.dev/owner", to=f"v1.1.other.{'0' * 32}")
    world.push(files)
    assert (await world.run()).problems == []


class TestOfAKindThatTheCommitItselfMakesReadable:
    """Its role is applied in an earlier wave than its objects."""

    ROLE = m.other("Role", "r", "rbac.authorization.k8s.io/v1", rules=[])

    def world(self, text: str, *, count: int = 1, readable: bool = True) -> Installation:
        files = {f"{n}.yaml": m.config(f"more{n}") for n in range(count - 1)}
        world = Installation(files={**files, "a.yaml": text, "r.yaml": self.ROLE})
        for kinds in (world.traffic.unwatched, world.traffic.unreadable):
            kinds.add(("", "ConfigMap"))
        if readable:
            world.meanwhile("apply Role/r", world.traffic.unreadable.clear)
        return world

    @pytest.mark.parametrize("count", [1, 5])
    async def test_what_is_new_is_applied_by_the_same_run(self, count: int) -> None:
        world = self.world(m.config(), count=count)
        ran = await world.run()
        assert ran.problems == []
        assert len(ran.writes) == count + 1

    async def test_what_kubectl_applied_is_adopted(self) -> None:
        world = self.world(m.config())
        world.make(m.config(old="1"), "kubectl-create")
        assert (await world.run()).writes == ["apply Role/r", "patch ConfigMap/a", "apply ConfigMap/a"]
        assert world.value("ConfigMap/a", "data") == {"value": "1"}

    async def test_another_application_s_is_a_conflict(self) -> None:
        world = self.world(m.config())
        world.others["other"] = "shop/other"
        world.make(m.config(data="theirs"), owner="other")
        ran = await world.run()
        assert (ran.problems, ran.writes) == (["OwnershipConflict ConfigMap/a"], ["apply Role/r"])

    async def test_what_is_left_to_others_is(self) -> None:
        world = self.world(m.config(annotations={"apply": "if-not-present"}))
        world.make(m.config(data="theirs"))
        ran = await world.run()
        assert (ran.problems, ran.writes) == ([], ["apply Role/r"])

    async def test_what_stays_unreadable_says_so(self) -> None:
        world = self.world(m.config(), readable=False)
        ran = await world.run()
        assert (ran.problems, ran.writes) == (["Forbidden ConfigMap/a"], ["apply Role/r"])


@pytest.mark.parametrize("mode", ["detect", "apply"])
async def test_what_names_an_object_in_conflict_is_planned_to_wait(mode: str) -> None:
    world = Installation(files={"db.yaml": m.plain_secret(), "web.yaml": m.workload(uses="db")}, sync={"mode": mode})
    world.others["other"] = "shop/other"
    world.make(m.plain_secret(), owner="other")
    ran = await world.run()
    assert ran.writes == []
    assert {name_of(each.object): each.error.reason for each in ran.changes if each.error} == {
        "Secret/db": "OwnershipConflict",
        "Deployment/web": "Held",
    }


class TestOfFieldsThatAnotherManagerOwns:
    async def test_they_are_taken(self) -> None:
        world = Installation(files=OTHER)
        world.make(m.config(data="theirs"), "helm")
        assert (await world.run()).problems == []
        assert world.value("ConfigMap/a", "data", "value") == "1"

    async def test_they_are_reported_where_nothing_is_forced(self) -> None:
        world = Installation(files={**OTHER, "b.yaml": m.config("b")}, sync={"force": False})
        world.make(m.config(data="theirs"), "terraform")
        ran = await world.run()
        assert ran.problems == ["FieldConflict ConfigMap/a"]
        assert ran.writes == ["apply ConfigMap/a: FieldConflict", "apply ConfigMap/b"]
        assert ran.error_of("ConfigMap/a").facts["managers"] == "terraform"
        assert world.value("ConfigMap/a", "data", "value") == "theirs"


class TestOfAConflictOfVersions:
    async def test_an_object_that_was_made_meanwhile_is_not_overwritten_unseen(self) -> None:
        world = Installation(files=OTHER)
        world.others["other"] = "shop/other"
        world.meanwhile("apply ConfigMap/a", lambda: world.make(m.config(data="theirs"), owner="other"))
        ran = await world.run()
        assert ran.writes == ["apply ConfigMap/a: StaleObject"]
        assert ran.problems == ["OwnershipConflict ConfigMap/a"]

    async def test_an_object_that_a_tool_made_meanwhile_is_taken_over_with_its_fields(self) -> None:
        world = Installation(files=OTHER)
        world.meanwhile("apply ConfigMap/a", lambda: world.make(m.config(old="1"), "kubectl-create"))
        ran = await world.run()
        assert [each for each in ran.writes if each.endswith("/a") or "/a:" in each] == [
            "apply ConfigMap/a: StaleObject",
            "patch ConfigMap/a",
            "apply ConfigMap/a",
        ]
        assert world.value("ConfigMap/a", "data") == {"value": "1"}

    async def test_an_object_that_is_only_made_where_it_is_missing_is_left_where_it_was_made_meanwhile(
        self,
    ) -> None:
        world = Installation(files={"a.yaml": m.config(annotations={"apply": "if-not-present"})})
        world.meanwhile("apply ConfigMap/a", lambda: world.make(m.config(data="theirs"), "kubectl-create"))
        ran = await world.run()
        assert ran.writes == ["apply ConfigMap/a: StaleObject"]
        assert ran.problems == []
        assert world.value("ConfigMap/a", "data", "value") == "theirs"

    async def test_what_another_wrote_meanwhile_is_seen_before_the_next_attempt(self) -> None:
        world = Installation(files=OTHER)
        await world.run()
        world.push({"a.yaml": m.config(data="2")})
        world.meanwhile("apply ConfigMap/a", lambda: world.edit("ConfigMap/a", "data", "more", to="x", by="controller"))
        ran = await world.run()
        assert ran.writes == ["apply ConfigMap/a: StaleObject", "apply ConfigMap/a"]
        assert world.value("ConfigMap/a", "data") == {"value": "2", "more": "x"}

    async def test_what_another_application_took_meanwhile_is_left_to_it(self) -> None:
        world = Installation(files=OTHER)
        await world.run()
        world.others["other"] = "shop/other"
        world.push({"a.yaml": m.config(data="2")})
        world.meanwhile("apply ConfigMap/a", lambda: world.give_to("ConfigMap/a", "other"))
        ran = await world.run()
        assert ran.problems == ["OwnershipConflict ConfigMap/a"]
        assert world.value("ConfigMap/a", "data", "value") == "1"

    async def test_an_object_that_was_deleted_meanwhile_is_made_again(self) -> None:
        world = Installation(files=OTHER)
        await world.run()
        world.push({"a.yaml": m.config(data="2")})
        world.meanwhile("apply ConfigMap/a", lambda: world.delete("ConfigMap/a"))
        ran = await world.run()
        assert ran.writes == ["apply ConfigMap/a: StaleObject", "apply ConfigMap/a"]
        assert world.value("ConfigMap/a", "data", "value") == "2"

    async def test_an_object_that_keeps_changing_is_applied_another_time(self) -> None:
        world = Installation(files=OTHER)
        await world.run()
        world.push({"a.yaml": m.config(data="2")})
        changes = [lambda n=n: world.edit("ConfigMap/a", "data", "more", to=str(n), by="controller") for n in range(9)]
        world.meanwhile("apply ConfigMap/a", *changes)
        ran = await world.run()
        assert ran.writes == ["apply ConfigMap/a: StaleObject"] * 4
        assert ran.problems == ["StaleObject ConfigMap/a"]


IF_ABSENT = {"a.yaml": m.config(annotations={"apply": "if-not-present"}), "b.yaml": m.config("b")}


class TestOfAnObjectThatIsMadeWhereItIsMissing:
    async def test_it_is_made(self) -> None:
        world = Installation(files=IF_ABSENT)
        assert (await world.run()).writes == ["apply ConfigMap/a", "apply ConfigMap/b"]

    async def test_one_that_is_there_is_left_as_it_is(self) -> None:
        world = Installation(files=IF_ABSENT)
        world.make(m.config(data="theirs"), "kubectl-create")
        ran = await world.run()
        assert ran.writes == ["apply ConfigMap/b"]
        assert ran.actions["ConfigMap/a"] == "leave"
        assert world.value("ConfigMap/a", "data", "value") == "theirs"
        assert (await world.run()).quiet

    async def test_it_is_not_healed(self) -> None:
        world = Installation(files=IF_ABSENT)
        await world.run()
        world.edit("ConfigMap/a", "data", "value", to="theirs")
        assert (await world.run()).quiet
        assert (await world.run("live")).quiet
        world.push({**IF_ABSENT, "a.yaml": m.config(data="2", annotations={"apply": "if-not-present"})})
        assert (await world.run()).quiet

    async def test_it_is_made_again_where_it_was_deleted(self) -> None:
        world = Installation(files=IF_ABSENT)
        await world.run()
        world.delete("ConfigMap/a")
        assert (await world.heal()).writes == ["apply ConfigMap/a"]


DISABLED = {"a.yaml": m.config(annotations={"reconcile": "disabled"}), "b.yaml": m.config("b")}


class TestOfAnObjectThatIsNotReconciled:
    async def test_it_is_not_applied(self) -> None:
        world = Installation(files=DISABLED)
        ran = await world.run()
        assert (ran.writes, ran.problems) == (["apply ConfigMap/b"], [])

    async def test_it_is_neither_applied_nor_healed_nor_pruned_from_then_on(self) -> None:
        world = Installation(files={**DISABLED, "a.yaml": m.config()})
        await world.run()
        world.push({**DISABLED, "a.yaml": m.config(data="2", annotations={"reconcile": "disabled"})})
        assert (await world.run()).quiet
        world.edit("ConfigMap/a", "data", "value", to="theirs")
        assert (await world.run("live")).quiet
        assert world.value("ConfigMap/a", "data", "value") == "theirs"

    async def test_it_is_applied_again_once_the_annotation_goes(self) -> None:
        world = Installation(files={**DISABLED, "a.yaml": m.config()})
        await world.run()
        world.push(DISABLED)
        await world.run()
        world.edit("ConfigMap/a", "data", "value", to="theirs")
        world.push({**DISABLED, "a.yaml": m.config(data="2")})
        assert (await world.run()).writes == ["apply ConfigMap/a"]
        assert world.value("ConfigMap/a", "data", "value") == "2"


@pytest.mark.parametrize(
    ("operator", "identity"),
    [
        ({}, Identity("shop", "signet-applier")),
        ({"destinations": [{"applicationNamespace": "shop", "identity": "agent"}]}, None),
    ],
)
async def test_every_write_is_made_as_the_application(operator: dict, identity: Identity | None) -> None:
    world = Installation(files={f"{name}.yaml": m.config(name) for name in "abcd"}, operator=m.operator(**operator))
    world.make(m.config(old="1"), "kubectl-create")
    await world.run()
    world.push({f"{name}.yaml": m.config(name) for name in "abc"})
    assert (await world.run()).writes == ["delete ConfigMap/d"]
    assert world.traffic.identities == {identity}
