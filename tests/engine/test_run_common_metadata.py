"""`spec.commonMetadata`: labels and annotations of every object, and none of those that are the agent's."""

from __future__ import annotations

import pytest
from whole_runs import manifests as m
from whole_runs.endings import applied, gone, job
from whole_runs.installation import Installation

from agent.api import application as applications
from agent.values.errors import ManifestError

GIVEN = {"labels": {"team": "shop", "app.kubernetes.io/part-of": "shop"}, "annotations": {"example.com/owner": "ops"}}


def found(world: Installation, name: str, field: str) -> dict[str, str]:
    given = world.value(name, "metadata", field)
    assert isinstance(given, dict)
    return {key: value for key, value in given.items() if not key.startswith("signet-gitops.dev/")}


async def test_every_object_has_them_and_its_own() -> None:
    labelled = m.config("b").replace('"name": "b"', '"name": "b", "labels": {"team": "other", "tier": "web"}')
    world = Installation(files={"a.yaml": m.config(), "b.yaml": labelled, "w.yaml": m.workload()}, commonMetadata=GIVEN)
    world.stores.write("kv/db", password="p")
    assert (await world.run()).problems == []
    for name in ("ConfigMap/a", "Deployment/web"):
        assert found(world, name, "labels") == GIVEN["labels"]
        assert found(world, name, "annotations").items() >= GIVEN["annotations"].items()
    assert found(world, "ConfigMap/b", "labels") == {**GIVEN["labels"], "tier": "web"}
    assert "team" not in str(world.value("Deployment/web", "spec")), "pods and selectors stay as they are"
    assert (await world.run()).quiet


async def test_they_go_with_the_spec_and_an_edit_is_healed() -> None:
    world = Installation(files={"a.yaml": m.config()}, commonMetadata=GIVEN)
    await world.run()
    world.edit("ConfigMap/a", "metadata", "labels", "team", to="edited")
    assert (await world.heal()).writes == ["apply ConfigMap/a"]
    assert found(world, "ConfigMap/a", "labels") == GIVEN["labels"]
    world.spec(commonMetadata={"labels": {"team": "shop"}})
    assert (await world.run("spec")).writes == ["apply ConfigMap/a"]
    assert found(world, "ConfigMap/a", "labels") == {"team": "shop"}
    assert found(world, "ConfigMap/a", "annotations") == {}


@pytest.mark.parametrize(
    "wrong",
    [
        {"annotations": {"signet-gitops.dev/prune": "disabled"}},
        {"labels": {"signet-gitops.dev/application": "x"}},
        {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}},
        {"labels": {"a b": "x"}},
        {"labels": {"a": "x y"}},
        {"labels": {"a": "x" * 64}},
        {"annotations": {"a": "x" * 257}},
        {"annotations": {f"a{number}": "" for number in range(17)}},
    ],
)
def test_what_cannot_be_given_to_all_is_refused(wrong: dict[str, dict[str, str]]) -> None:
    world = Installation(files={}, commonMetadata=wrong)
    with pytest.raises(ManifestError) as refused:
        applications.parse(world.application)
    assert str(refused.value.facts["field"]).startswith("spec.commonMetadata")


async def test_what_ran_to_its_end_is_not_run_again_for_them() -> None:
    world = await gone(await applied(job(ttl=1)))
    assert (await world.run()).quiet
    for given in (GIVEN, {"labels": {"team": "other"}}, {}):
        world.spec(commonMetadata=given)
        assert (await world.run("spec")).writes == ["apply ConfigMap/a"]
