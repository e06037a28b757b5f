"""Why a run touched an object, as the trail, events and the history tell it: by name, and never by a value."""

from __future__ import annotations

import pytest
from whole_runs import manifests as m
from whole_runs.installation import Installation

from agent.values.secret import Secret

LABEL = "vault:main/kv/db#password@2"
FILES = {"s.yaml": m.plain_secret("db"), "w.yaml": m.workload("web", uses="db"), "a.yaml": m.config("a")}


async def applied(files: dict[str, str] = FILES, **spec: object) -> Installation:
    world = Installation(files=files, **spec)
    world.stores.write("kv/db", password="canary-1")
    assert (await world.run()).problems == []
    return world


def because(ran, name: str) -> object:
    """Of the intent and of the outcome, which say the same."""
    entries = [each for each in ran.audit if each.object and f"{each.object.kind}/{each.object.name}" == name]
    found = {(each.facts or {}).get("because", "") for each in entries}
    assert len(found) == 1
    return found.pop()


def history(ran) -> str:
    return ran.status.history[0].cause


async def test_a_commit() -> None:
    world = Installation(files=FILES)
    ran = await world.run()
    assert set(ran.causes.values()) == {"commit"}
    assert ran.messages == [
        "Applied: 3 objects applied, revision refs/heads/main@000000000001: ConfigMap shop/a, Secret shop/db, Deployment.apps shop/web"
    ]
    assert history(ran) == "git+start: commit"
    world.push({**FILES, "a.yaml": m.config("a", "2")})
    ran = await world.run()
    assert ran.messages == ["Applied: 1 object applied, revision refs/heads/main@000000000002: ConfigMap shop/a"]
    assert (ran.causes, history(ran)) == ({"ConfigMap/a": "commit"}, "git: commit")


async def test_a_commit_that_changes_a_secret_rolls_what_names_it_and_says_so() -> None:
    world = await applied()
    world.push({**FILES, "s.yaml": m.plain_secret("db", "canary-2")})
    ran = await world.run()
    assert ran.causes == {"Secret/db": "commit", "Deployment/web": "roll"}
    assert ran.actions == {"Secret/db": "update", "Deployment/web": "roll"}
    assert because(ran, "Deployment/web") == "Secret shop/db"
    assert ran.messages == [
        "Applied: 1 object applied, revision refs/heads/main@000000000002: Secret shop/db",
        "Applied: 1 object rolled because Secret shop/db changed: Deployment.apps shop/web",
    ]
    assert history(ran) == "git: commit, roll Secret shop/db"
    assert all("" not in each.fields for each in ran.audit)
    assert "canary" not in repr(ran)


async def test_of_several_secrets_the_one_that_changed_is_named() -> None:
    files = {
        "w.yaml": m.workload(
            "web", uses="b", env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "a", "key": "password"}}}]
        ),
        **{f"{name}.yaml": m.plain_secret(name) for name in "ab"},
    }
    world = await applied(files)
    world.push({**files, "b.yaml": m.plain_secret("b", "canary-2"), "a.yaml": files["a.yaml"] + "# a comment\n"})
    assert because(await world.run(), "Deployment/web") == "Secret shop/b"


async def test_another_version_in_the_store_is_named_and_its_value_is_not() -> None:
    world = await applied({**FILES, "s.yaml": m.secret("db")})
    world.stores.write("kv/db", password="canary-2")
    ran = await world.probe()
    assert ran is not None
    assert ran.causes == {"Secret/db": "secret-source", "Deployment/web": "roll"}
    assert because(ran, "Secret/db") == LABEL
    assert because(ran, "Deployment/web") == "Secret shop/db"
    assert ran.messages == [
        f"Applied: 1 object applied with {LABEL}, revision refs/heads/main@000000000001: Secret shop/db",
        "Applied: 1 object rolled because Secret shop/db changed: Deployment.apps shop/web",
    ]
    assert history(ran) == f"secret: secret-source {LABEL}, roll Secret shop/db"
    assert "canary" not in repr(ran)


@pytest.mark.parametrize("change", ["edited", "deleted"])
async def test_another_version_is_named_also_where_the_secret_was_changed(change: str) -> None:
    world = await applied({**FILES, "s.yaml": m.secret("db")})
    world.stores.write("kv/db", password="canary-2")
    if change == "edited":
        world.edit("Secret/db", "data", "password", to=Secret("eA==", "live"), by="kubectl-edit")
    else:
        world.delete("Secret/db")
    ran = await world.heal()
    assert ran.causes == {"Secret/db": "secret-source", "Deployment/web": "roll"}
    assert because(ran, "Secret/db") == LABEL
    assert await world.probe() is None


async def test_a_roll_is_one_also_where_the_workload_was_edited() -> None:
    world = await applied()
    world.edit("Deployment/web", "spec", "template", "metadata", "labels", "app", to="x", by="kubectl-edit")
    world.push({**FILES, "s.yaml": m.plain_secret("db", "canary-2")})
    assert (await world.run()).causes == {"Secret/db": "commit", "Deployment/web": "roll"}


async def test_an_edit_is_reported_with_its_manager_and_fields() -> None:
    world = await applied()
    world.edit("ConfigMap/a", "data", "value", to="edited", by="kubectl-edit")
    ran = await world.heal()
    assert ran.causes == {"ConfigMap/a": "live-edit"}
    assert [
        each for each in ran.messages if "data.value" in each and each.endswith("was edited by kubectl-edit")
    ] == ran.messages
    assert ran.status.heals[0].cause == "live: live-edit by kubectl-edit"


async def test_a_deletion_is_reported_as_one_and_blames_no_writer() -> None:
    world = await applied()
    world.delete("ConfigMap/a")
    ran = await world.heal()
    assert ran.causes == {"ConfigMap/a": "live-deletion"}
    assert ran.messages == ["Healed: ConfigMap shop/a healed, was deleted in the cluster"]
    assert ran.status.heals[0].cause == "live: live-deletion"


async def test_an_edit_of_a_secret_rolls_nothing_and_a_workload_that_is_edited_meanwhile_is_healed() -> None:
    world = await applied()
    world.edit("Secret/db", "data", "password", to=Secret("eA==", "live"), by="kubectl-edit")
    ran = await world.heal()
    assert ran.causes == {"Secret/db": "live-edit"}
    world.edit("Deployment/web", "spec", "template", "metadata", "labels", "app", to="x", by="kubectl-edit")
    world.push({**FILES, "s.yaml": FILES["s.yaml"] + "# a comment\n"})
    ran = await world.run()
    assert ran.causes == {"Deployment/web": "live-edit"}


async def test_a_change_of_the_spec_is_not_called_a_commit() -> None:
    files = {"base/a.yaml": m.config("a"), "base/b.yaml": m.config("b"), "more/a.yaml": m.config("a", "2")}
    world = await applied({**files, "base/c.yaml": m.config("c")}, layers=["base"])
    world.spec(layers=["base", "more"])
    ran = await world.run("spec")
    assert ran.causes == {"ConfigMap/a": "spec"}
    world.spec(layers=["more"])
    world.confirm()
    ran = await world.run("spec")
    assert {each.cause for each in ran.audit} == {"spec"}


async def test_what_is_applied_again_without_a_record_says_why() -> None:
    world = await applied()
    world.edit("ConfigMap/a", "data", "value", to="edited")
    world.lose_record()
    world.restart()
    ran = await world.run()
    assert set(ran.causes.values()) == {"record-lost"}


async def test_a_deletion_names_its_objects_and_what_confirmed_it() -> None:
    files = {f"{name}.yaml": m.config(name) for name in "abcdef"}
    world = await applied(files)
    world.push({"a.yaml": files["a.yaml"]})
    world.confirm(2)
    ran = await world.run()
    assert ran.messages == [
        "Pruned: 5 objects deleted that are no longer in any layer: ConfigMap shop/b, ConfigMap shop/c, ConfigMap shop/d and 2 more"
    ]
    assert {str((each.facts or {}).get("confirmed")) for each in ran.audit} == {"000000000002" + "0" * 28}
    world.push({"a.yaml": files["a.yaml"], "b.yaml": files["b.yaml"], "c.yaml": files["c.yaml"]})
    await world.run()
    world.push({"a.yaml": files["a.yaml"], "b.yaml": files["b.yaml"]})
    assert (await world.run()).messages == ["Pruned: 1 object deleted that is no longer in any layer: ConfigMap shop/c"]


async def test_what_goes_with_its_application_says_so_and_names_what_stays() -> None:
    world = await applied({"a.yaml": m.config("a"), "d.yaml": m.claim("disk")}, deletionPolicy="prune")
    ran = await world.retire()
    assert {each.cause for each in ran.audit} == {"application-deletion"}
    assert ran.messages == ["Orphaned: 1 object could not be deleted: PersistentVolumeClaim shop/disk"]
