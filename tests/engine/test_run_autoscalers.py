"""Replicas beside an autoscaler: it sets them for as long as it stands, whatever made it."""

from __future__ import annotations

import pytest
from whole_runs import manifests as m
from whole_runs.left_to_others import REPLICAS, WORKLOAD, applied


class TestOfAutoscalers:
    async def test_replicas_that_leave_git_with_a_new_autoscaler_stay(self) -> None:
        world = await applied()
        world.push({"w.yaml": m.workload(), "h.yaml": m.autoscaler()})
        assert (await world.run()).problems == []
        assert world.value("Deployment/web", *REPLICAS) == 3

    async def test_replicas_that_leave_git_beside_an_autoscaler_of_others_stay(self) -> None:
        world = await applied()
        world.make(m.autoscaler(), by="keda")
        world.push({"w.yaml": m.workload()})
        assert (await world.run()).problems == []
        assert world.value("Deployment/web", *REPLICAS) == 3
        world.push({"w.yaml": m.workload(image="web:2")})
        await world.run()
        assert world.value("Deployment/web", *REPLICAS) == 3

    async def test_replicas_that_leave_git_without_an_autoscaler_go(self) -> None:
        world = await applied()
        world.make(m.autoscaler("another"), by="keda")
        world.push({"w.yaml": m.workload()})
        await world.run()
        assert world.value("Deployment/web", *REPLICAS) is None

    async def test_an_autoscaler_of_the_same_commit_is_not_fought_and_a_caution_names_it(self) -> None:
        world = await applied({**WORKLOAD, "h.yaml": m.autoscaler()})
        world.edit("Deployment/web", *REPLICAS, to=7, by="kube-controller-manager", subresource="scale")
        ran = await world.run()
        assert (world.drifted, ran.quiet) == (set(), True)
        assert ran.warnings == ["AutoscaledReplicas Deployment/web"]
        assert "HorizontalPodAutoscaler" in str(ran.status.warnings[0])
        world.push({**WORKLOAD, "h.yaml": m.autoscaler(), "w.yaml": m.workload(replicas=4, image="web:2")})
        await world.run()
        assert world.value("Deployment/web", *REPLICAS) == 7

    async def test_an_autoscaler_of_others_is_not_fought(self) -> None:
        world = await applied()
        world.make(m.autoscaler(), by="keda")
        world.edit("Deployment/web", *REPLICAS, to=7, by="kube-controller-manager", subresource="scale")
        ran = await world.run("live")
        assert (ran.events, ran.audit, ran.status.counts.drifted) == ([], [], 0)
        assert world.value("Deployment/web", *REPLICAS) == 7
        assert (await world.run()).quiet

    @pytest.mark.parametrize("replicas", [3, None], ids=["in git", "not in git"])
    @pytest.mark.parametrize("scaled", [True, False], ids=["it scaled", "it did not yet"])
    async def test_what_a_person_edits_beside_an_autoscaler_of_others_is_its_to_set(
        self, replicas: int | None, *, scaled: bool
    ) -> None:
        manifest = m.workload(replicas=replicas) if replicas else m.workload()
        world = await applied({"w.yaml": manifest})
        world.make(m.autoscaler(), by="keda")
        if scaled:
            world.edit("Deployment/web", *REPLICAS, to=7, by="kube-controller-manager", subresource="scale")
            await world.run("live")
        world.edit("Deployment/web", *REPLICAS, to=5, by="kubectl-edit")
        ran = await world.run("live")
        assert (ran.writes, ran.problems, ran.warnings, ran.events, world.drifted) == ([], [], [], [], set())
        assert world.value("Deployment/web", *REPLICAS) == 5
        world.edit("Deployment/web", *REPLICAS, to=7, by="kube-controller-manager", subresource="scale")
        assert (await world.run("live")).quiet
        world.push({"w.yaml": manifest.replace("web:1", "web:2")})
        assert (await world.run()).problems == []
        assert world.value("Deployment/web", *REPLICAS) == 7
        assert (await world.run()).quiet

    async def test_once_the_autoscaler_is_gone_replicas_are_as_git_says(self) -> None:
        world = await applied({**WORKLOAD, "h.yaml": m.autoscaler()}, prune=True)
        world.edit("Deployment/web", *REPLICAS, to=7, by="kube-controller-manager", subresource="scale")
        world.delete("HorizontalPodAutoscaler/web")
        world.push(WORKLOAD)
        await world.run()
        assert world.value("Deployment/web", *REPLICAS) == 3

    async def test_an_autoscaler_of_another_kind_is_known_by_the_scale_subresource(self) -> None:
        world = await applied()
        world.edit("Deployment/web", *REPLICAS, to=7, by="my-scaler", subresource="scale")
        await world.run("live")
        assert world.value("Deployment/web", *REPLICAS) == 7

    async def test_a_person_who_scales_is_healed_where_git_has_replicas(self) -> None:
        world = await applied()
        world.edit("Deployment/web", *REPLICAS, to=7, by="kubectl", subresource="scale")
        await world.heal()
        assert world.value("Deployment/web", *REPLICAS) == 3

    async def test_a_person_who_scales_is_left_where_git_has_none(self) -> None:
        world = await applied({"w.yaml": m.workload()})
        world.edit("Deployment/web", *REPLICAS, to=7, by="kubectl", subresource="scale")
        assert (await world.run()).quiet
        assert world.value("Deployment/web", *REPLICAS) == 7
