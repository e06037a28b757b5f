"""What a renderer made for an earlier Application goes on: names, values that a chart made up, and hooks that ran. With the real renderer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from memory_world import sources
from memory_world.cluster import name_of
from memory_world.sealed_files import encrypt
from whole_runs import manifests as m
from whole_runs.hooks import Cluster, hook
from whole_runs.installation import Installation

from agent.manifests import ownership

if TYPE_CHECKING:
    from agent.adapters.render.pool import Renderers

CHART = {
    "chart/Chart.yaml": "apiVersion: v2\nname: shop\nversion: 1.2.3\n",
    "chart/values.yaml": "image: web:1\n",
    "chart/templates/db.yaml": """\
apiVersion: v1
kind: Secret
metadata: {name: db}
data: {password: {{ randAlphaNum 16 | b64enc | quote }}}
""",
    "chart/templates/web.yaml": m.workload(uses="db"),
    "chart/templates/hook.yaml": hook("migrate", "pre-install,pre-upgrade"),
}
OVERLAY = "resources: [web.yaml]\nsecretGenerator: [{name: db, envs: [db.env]}]\n"


def world(renderers: Renderers, files: dict[str, str], **render: object) -> Installation:
    made = Installation(files=files, render=render)
    made.renderers = sources.Renderers(renderers)
    return made


def hand_over(made: Installation) -> None:
    made.hand_over(*(name_of(key) for key in made.server.objects if ownership.claimed(made.server.get(key) or {})))


def overlay(recipient: str) -> dict[str, str]:
    given = {
        "kustomization.yaml": OVERLAY,
        "web.yaml": m.workload(uses="db"),
        "db.env": encrypt("password=hunter2\n", "db.env", recipient=recipient),
    }
    return {f"prod/{name}": text for name, text in given.items()}


@pytest.mark.parametrize("key", [True, False])
async def test_a_generated_name_stays_though_its_ciphertext_is_another_one(renderers: Renderers, key: bool) -> None:
    made = world(renderers, overlay("age1team"), kustomize={"path": "prod"})
    made.keys.held |= {"age1second"}
    assert (await made.run()).problems == []
    made.push(overlay("age1second"))
    assert (await made.run()).problems == []
    standing = {name_of(each) for each in made.server.objects}
    made.lose_cluster(key=key)
    if not key:
        assert (await made.run()).writes == []
        hand_over(made)
    template = made.value("Deployment/web", "spec", "template")
    assert (await made.run()).problems == []
    assert {name_of(each) for each in made.server.objects} == standing
    assert made.value("Deployment/web", "spec", "template") == template


class TestOfAChart:
    async def lost(self, renderers: Renderers, *, key: bool) -> Installation:
        made = world(renderers, CHART, helm={"chart": {"path": "chart"}})
        Cluster(made)
        ran = await made.run()
        assert (ran.problems, made.live("Job/migrate") is not None) == ([], True)
        made.lose_cluster(key=key)
        return made

    @pytest.mark.parametrize("key", [True, False])
    async def test_its_value_stays_and_no_hook_runs(self, renderers: Renderers, key: bool) -> None:
        made = await self.lost(renderers, key=key)
        before = made.value("Secret/db", "data"), made.value("Job/migrate", "metadata", "uid")
        if not key:
            assert (await made.run()).writes == []
            hand_over(made)
        ran = await made.run()
        assert (ran.problems, sorted(ran.writes)) == ([], ["apply Deployment/web", "apply Secret/db"])
        assert (made.value("Secret/db", "data"), made.value("Job/migrate", "metadata", "uid")) == before
        assert (await made.run()).quiet

    @pytest.mark.parametrize("key", [True, False])
    async def test_a_value_that_is_gone_stays_lost_until_a_new_one_is_confirmed(
        self, renderers: Renderers, key: bool
    ) -> None:
        made = await self.lost(renderers, key=key)
        made.delete("Secret/db")
        if not key:
            hand_over(made)
        for _ in range(2):
            ran = await made.run()
            assert ran.error_of("Secret/db").reason == "GeneratedValueLost"
            assert made.live("Secret/db") is None
            made.restart()
        made.annotate(confirm_new_values=str(ran.error_of("Secret/db").facts["confirm"]))
        assert (await made.run()).problems == []
        assert made.live("Secret/db") is not None
