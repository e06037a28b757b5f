"""Objects in several namespaces: both the Application and the operator name each, and nothing goes or leaks anywhere else."""

from __future__ import annotations

import json

import pytest
from whole_runs import manifests as m
from whole_runs.installation import Installation

from agent.api import application as applications
from agent.values.errors import ForeignNamespaceError, ManifestError
from agent.values.tree import get, get_object

GRANT = {"applicationNamespace": "shop", "namespaces": ["shop-*", "bank"]}
OPERATOR = m.operator(destinations=[GRANT])
BOTH = {"namespaces": ["shop-jobs", "shop-cache"]}


def placed(text: str, namespace: str) -> str:
    tree = json.loads(text)
    return json.dumps({**tree, "metadata": {**tree["metadata"], "namespace": namespace}})


def installed(files: dict[str, str], *, operator: object = OPERATOR, **spec: object) -> Installation:
    world = Installation(files=files, operator=operator, **spec)  # pyright: ignore[reportArgumentType]
    for name in ("shop-jobs", "shop-cache", "bank"):
        world.server.create(m.namespace(name), "installer")
    return world


def data(world: Installation, name: str, namespace: str) -> object:
    return get(world.live(f"ConfigMap/{name}", namespace), "data", "value")


TWO = {"a.yaml": m.config(data="own"), "jobs.yaml": placed(m.config(data="jobs"), "shop-jobs")}


class TestStraightOn:
    async def test_the_same_name_in_two_namespaces_is_two_objects(self) -> None:
        world = installed(TWO, destination=BOTH)
        ran = await world.run()
        assert ran.problems == []
        assert (data(world, "a", "shop"), data(world, "a", "shop-jobs")) == ("own", "jobs")
        assert (await world.run()).quiet

    async def test_drift_and_deletion_in_either_are_healed(self) -> None:
        world = installed(TWO, destination=BOTH)
        await world.run()
        key = next(key for key in world.server.objects if key.kind == "ConfigMap" and key.namespace == "shop-jobs")
        world.server.update(key, {("data", "value"): "edited"}, "kubectl-edit")
        assert (await world.heal()).writes == ["apply ConfigMap/a"]
        world.server.delete(key)
        await world.heal()
        assert data(world, "a", "shop-jobs") == "jobs"

    async def test_what_leaves_git_is_pruned_where_it_was(self) -> None:
        world = installed({**TWO, "b.yaml": m.config("b"), "c.yaml": m.config("c")}, destination=BOTH)
        await world.run()
        world.push(
            {
                **TWO,
                "jobs.yaml": placed(m.config("other"), "shop-jobs"),
                "b.yaml": m.config("b"),
                "c.yaml": m.config("c"),
            }
        )
        ran = await world.run()
        assert ran.problems == []
        assert data(world, "a", "shop") == "own"
        assert data(world, "a", "shop-jobs") is None

    async def test_an_object_of_another_application_is_refused_there_too(self) -> None:
        world = installed(TWO, destination=BOTH)
        world.put_other("other")
        world.make(placed(m.config(data="theirs"), "shop-jobs"), owner="other")
        ran = await world.run()
        assert ran.problems == ["OwnershipConflict ConfigMap/a"]
        assert data(world, "a", "shop-jobs") == "theirs"

    async def test_a_restart_knows_all_of_them(self) -> None:
        world = installed(TWO, destination=BOTH)
        await world.run()
        world.restart()
        assert (await world.run()).quiet


class TestTenants:
    @pytest.mark.parametrize(
        ("destination", "operator", "hint"),
        [
            ({}, OPERATOR, "spec.destination.namespaces"),
            ({"namespaces": ["shop-*"]}, OPERATOR, "spec.destination.namespaces"),
            ({"namespaces": ["*"]}, m.operator(), "`destinations`"),
            ({"namespaces": ["*"]}, m.operator(destinations=[{**GRANT, "namespaces": ["shop-*"]}]), "`destinations`"),
            ({"namespaces": ["*"]}, m.operator(destinations=[{**GRANT, "applicationName": "api"}]), "`destinations`"),
            (
                {"namespaces": ["*"]},
                m.operator(destinations=[{**GRANT, "applicationNamespace": "bank"}]),
                "`destinations`",
            ),
        ],
    )
    async def test_neither_side_alone_opens_a_namespace(
        self, destination: dict[str, object], operator: object, hint: str
    ) -> None:
        files = {"a.yaml": m.config(), "x.yaml": placed(m.config("x"), "bank")}
        world = installed(files, destination=destination, operator=operator)
        ran = await world.run()
        assert ran.problems == ["ForeignNamespace ConfigMap/x"]
        assert hint in ran.errors[0].hint
        assert ran.writes == ["apply ConfigMap/a"]
        assert world.live("ConfigMap/x", "bank") is None

    async def test_the_agents_rights_go_only_where_they_are_granted(self) -> None:
        """A namespace that is granted to the ServiceAccount is not written into as the agent."""
        as_agent = {"applicationNamespace": "shop", "namespaces": ["shop-jobs"], "identity": "agent"}
        files = {**TWO, "x.yaml": placed(m.config("x"), "bank")}
        world = installed(files, destination={"namespaces": ["*"]}, operator=m.operator(destinations=[GRANT, as_agent]))
        ran = await world.run()
        assert ran.problems == ["ForeignNamespace ConfigMap/x"]
        assert ran.writes == ["apply ConfigMap/a", "apply ConfigMap/a"]
        assert world.traffic.identities == {None}

    async def test_a_grant_that_is_withdrawn_stops_every_write(self) -> None:
        world = installed({**TWO, "b.yaml": m.config("b"), "c.yaml": m.config("c")}, destination=BOTH)
        await world.run()
        world.configure()
        await world.run()
        world.push({"a.yaml": m.config(data="2"), "b.yaml": m.config("b"), "c.yaml": m.config("c")})
        ran = await world.run()
        assert ran.problems == ["PruneRefused ConfigMap/a"]
        assert ran.writes == ["apply ConfigMap/a"]
        assert data(world, "a", "shop-jobs") == "jobs"

    async def test_a_secret_of_another_namespace_rolls_no_workload(self) -> None:
        files = {"s.yaml": placed(m.secret(), "shop-jobs"), "w.yaml": m.workload(uses="db")}
        world = installed(files, destination=BOTH)
        world.stores.write("kv/db", password="one")
        await world.run()
        world.stores.write("kv/db", password="two")
        ran = await world.probe()
        assert ran is not None
        assert ran.writes == ["apply Secret/db"]

    async def test_stores_are_asked_as_the_applications_own_namespace(self) -> None:
        world = installed({"s.yaml": placed(m.secret(), "shop-jobs")}, destination=BOTH)
        world.stores.write("kv/db", password="p")
        await world.run()
        assert {each.namespace for each in world.stores.askers} == {"shop"}


MADE = {"namespaces": ["shop-*"], "createNamespace": {"labels": {"tier": "batch"}, "annotations": {"by": "ops"}}}
NEW = {"a.yaml": m.config(), "n.yaml": placed(m.config("n"), "shop-new"), "b.yaml": m.config("b")}


class TestMadeNamespaces:
    async def test_a_missing_one_comes_first_and_stays(self) -> None:
        world = installed(NEW, destination=MADE)
        ran = await world.run()
        assert ran.problems == []
        assert ran.writes[0] == "apply Namespace/shop-new"
        metadata = get_object(world.live("Namespace/shop-new"), "metadata")
        assert get_object(metadata, "labels")["tier"] == "batch"
        assert get_object(metadata, "annotations")["by"] == "ops"
        assert (await world.run()).quiet
        world.push({"a.yaml": m.config(), "b.yaml": m.config("b")})
        assert (await world.run()).writes == ["delete ConfigMap/n"]
        assert world.live("Namespace/shop-new") is not None
        ran = await world.retire()
        assert world.live("Namespace/shop-new") is not None

    async def test_what_others_add_stays_and_what_is_said_no_longer_goes(self) -> None:
        world = installed(NEW, destination=MADE)
        await world.run()
        world.edit("Namespace/shop-new", "metadata", "labels", "team", to="mesh", by="kubectl-label")
        world.edit("Namespace/shop-new", "metadata", "labels", "tier", to="edited", by="kubectl-label")
        assert (await world.heal()).writes == ["apply Namespace/shop-new"]
        labels = get_object(world.live("Namespace/shop-new"), "metadata", "labels")
        assert (labels["team"], labels["tier"]) == ("mesh", "batch")
        world.spec(destination={**MADE, "createNamespace": {}})
        assert (await world.run("spec")).writes == ["apply Namespace/shop-new"]
        labels = get_object(world.live("Namespace/shop-new"), "metadata", "labels")
        assert labels["team"] == "mesh"
        assert "tier" not in labels

    @pytest.mark.parametrize("owner", ["", "other"])
    async def test_one_that_stands_is_left_as_it_is(self, owner: str) -> None:
        world = installed({"n.yaml": placed(m.config("n"), "shop-new")}, destination=MADE)
        world.put_other("other")
        metadata = {"name": "shop-new", "labels": {"tier": "theirs"}}
        world.make(json.dumps({**m.namespace("shop-new"), "metadata": {**metadata, "namespace": ""}}), owner=owner)
        before = world.live("Namespace/shop-new")
        ran = await world.run()
        assert ran.problems == []
        assert ran.writes == ["apply ConfigMap/n"]
        assert ran.actions["Namespace/shop-new"] == "leave"
        assert world.live("Namespace/shop-new") == before
        world.restart()
        ran = await world.run()
        assert (ran.quiet, ran.actions) == (True, {})
        world.spec(destination={**MADE, "createNamespace": {"labels": {"tier": "other"}}})
        ran = await world.run("spec")
        assert (ran.quiet, ran.actions) == (True, {}), "it is not even looked at again"

    async def test_one_that_was_left_and_goes_is_made(self) -> None:
        world = installed({"n.yaml": placed(m.config("n"), "shop-jobs")}, destination=MADE)
        await world.run()
        for name in ("ConfigMap/n", "Namespace/shop-jobs"):
            world.server.delete(next(key for key in world.server.objects if f"{key.kind}/{key.name}" == name))
        ran = await world.heal()
        assert sorted(ran.writes) == ["apply ConfigMap/n", "apply Namespace/shop-jobs"]
        assert get(world.live("Namespace/shop-jobs"), "metadata", "labels", "tier") == "batch"

    async def test_one_that_was_left_and_went_is_made_for_what_is_new(self) -> None:
        world = installed({"n.yaml": placed(m.config("n"), "shop-jobs"), "a.yaml": m.config()}, destination=MADE)
        await world.run()
        for name in ("ConfigMap/n", "Namespace/shop-jobs"):
            world.server.delete(next(key for key in world.server.objects if f"{key.kind}/{key.name}" == name))
        world.push({"o.yaml": placed(m.config("o"), "shop-jobs"), "a.yaml": m.config()})
        ran = await world.run()
        assert ran.writes[:2] == ["apply Namespace/shop-jobs", "apply ConfigMap/o"]

    async def test_a_workload_of_others_that_is_shared_is_not_rolled(self) -> None:
        shared = {"apply": "if-ours"}
        world = installed({"s.yaml": m.secret(), "w.yaml": m.workload(uses="db", annotations=shared)})
        world.make(m.workload(uses="db"))
        world.stores.write("kv/db", password="one")
        assert (await world.run()).writes == ["apply Secret/db"]
        world.stores.write("kv/db", password="two")
        ran = await world.probe()
        assert ran is not None
        assert ran.writes == ["apply Secret/db"]
        assert (await world.run()).actions == {}

    async def test_a_lost_record_takes_the_one_that_it_made_again(self) -> None:
        world = installed(NEW, destination=MADE)
        await world.run()
        world.lose_record()
        world.restart()
        assert (await world.run()).problems == []
        world.edit("Namespace/shop-new", "metadata", "labels", "tier", to="edited", by="kubectl-label")
        assert (await world.heal()).writes == ["apply Namespace/shop-new"]

    async def test_only_so_many_are_made(self) -> None:
        files = {f"{number}.yaml": placed(m.config("n"), f"shop-{number}") for number in range(256)}
        world = installed(files, destination=MADE)
        assert (await world.run()).problems == []
        world.push({**files, "one-more.yaml": placed(m.config("n"), "shop-more")})
        ran = await world.run()
        assert (ran.problems, ran.writes) == (["Limit"], [])

    async def test_one_that_git_has_is_gits(self) -> None:
        files = {**NEW, "ns.yaml": m.other("Namespace", "shop-new")}
        world = installed(files, destination=MADE)
        await world.run()
        assert get(world.live("Namespace/shop-new"), "metadata", "labels", "tier") is None


class TestTargetNamespace:
    async def test_every_object_goes_there_whatever_it_names(self) -> None:
        files = {"a.yaml": m.config(), "b.yaml": placed(m.config("b"), "elsewhere")}
        world = installed(files, targetNamespace="shop-jobs")
        ran = await world.run()
        assert ran.problems == []
        assert (data(world, "a", "shop-jobs"), data(world, "b", "shop-jobs")) == ("1", "1")
        assert not any(
            key.kind == "ConfigMap" and key.namespace in {"shop", "elsewhere"} for key in world.server.objects
        )

    async def test_the_operator_grants_it(self) -> None:
        world = installed({"a.yaml": m.config()}, targetNamespace="other")
        with pytest.raises(ForeignNamespaceError) as refused:
            await world.run()
        assert refused.value.facts["field"] == "spec.targetNamespace"

    @pytest.mark.parametrize(
        "more",
        [
            {"destination": {"namespace": "shop-cache"}},
            {"destination": {"namespaces": ["shop-cache"]}},
            {"render": {"kustomize": {"path": "x", "namespace": "shop-cache"}}},
        ],
    )
    def test_it_is_the_only_one(self, more: dict[str, object]) -> None:
        world = installed({}, targetNamespace="shop-jobs", **more)
        with pytest.raises(ManifestError):
            applications.parse(world.application)

    def test_an_overlay_is_built_for_it(self) -> None:
        world = installed({}, targetNamespace="shop-jobs", render={"kustomize": {"path": "x"}})
        render = applications.parse(world.application).spec.render
        assert render is not None
        assert render.kustomize is not None
        assert render.kustomize.namespace == "shop-jobs"
