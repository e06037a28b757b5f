"""What people's field managers own in an object of ours: it is taken over before an apply, and counts as drift."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from whole_runs import manifests as m
from whole_runs.additions import ADDED, FILES, WORKLOAD, add_key, add_sidecar, applied, plain, pod_spec

from agent.values.errors import ObjectInvalidError
from agent.values.secret import Secret

if TYPE_CHECKING:
    from agent.values.ids import ObjectId


@pytest.mark.parametrize("by", ["kubectl-edit", "kubectl-replace", "kubectl-patch", "kubectl", "before-first-apply"])
@pytest.mark.parametrize("added", ADDED)
async def test_what_people_add_is_taken_out_and_named(added: str, by: str) -> None:
    name, change, path = ADDED[added]
    world = await applied()
    before = plain(world, name)
    world.replace(name, change, by)
    ran = await world.heal()
    assert ran.writes == [f"patch {name}", f"apply {name}"]
    assert ran.reads == []
    assert plain(world, name) == before
    done = ran.outcome_of(name)
    assert (done.cause, done.action) == ("live-edit", "heal")
    assert path in done.fields
    assert done.facts is not None
    assert done.facts["manager"] == by
    assert [each.fields for each in ran.audit if each.phase == "intent"] == [(path,)]
    assert (await world.run()).quiet
    assert world.drifted == set()


@pytest.mark.parametrize("added", ADDED)
async def test_detection_reports_what_people_add_with_their_manager(added: str) -> None:
    name, change, path = ADDED[added]
    world = await applied(sync={"mode": "detect"})
    world.spec(sync={"mode": "apply"})
    await world.run("spec")
    world.spec(sync={"mode": "detect"})
    await world.run("spec")
    world.replace(name, change)
    ran = await world.heal()
    assert ran.writes == []
    assert ran.pending == [name]
    (warning,) = [each for each in ran.status.warnings if each.reason == "Additions"]
    assert path in (warning.field or "")
    assert "kubectl-edit" in warning.message


async def test_an_added_item_goes_whole_where_a_rule_ignores_a_field_of_every_item() -> None:
    rule = {"jsonPointers": ["/spec/template/spec/containers/*/image"]}
    world = await applied(ignore=[rule])
    before = plain(world, "Deployment/web")
    world.replace("Deployment/web", add_sidecar)
    await world.heal()
    assert plain(world, "Deployment/web") == before
    assert (await world.run()).quiet


async def test_what_people_set_in_an_item_that_git_adds_goes_except_for_what_is_ignored() -> None:
    world = await applied(ignore=[{"jsonPointers": ["/spec/template/spec/containers/*/image"]}])
    sidecar = {"name": "debug", "image": "busybox", "stdin": True, "command": ["sh"]}
    world.replace("Deployment/web", lambda live: pod_spec(live)["containers"].append(sidecar))
    added = {"name": "debug", "image": "debug:1", "command": ["sh"]}
    text = json.loads(WORKLOAD)
    text["spec"]["template"]["spec"]["containers"].append(added)
    world.push({**FILES, "w.yaml": json.dumps(text)})
    await world.run()
    await world.heal()
    assert pod_spec(world.live("Deployment/web"))["containers"][1] == {**added, "image": "busybox"}
    assert (await world.run()).quiet


async def test_what_is_refused_after_it_was_taken_over_is_healed_later() -> None:
    world = await applied()
    world.replace("ConfigMap/a", add_key)
    refused = [ObjectInvalidError("no")]

    def admit(key: ObjectId, tree: Any) -> None:
        if refused and key.name == "a" and "extra" not in tree["data"]:
            raise refused.pop()

    world.server.admission.append(admit)
    ran = await world.heal()
    assert ran.problems == ["ObjectInvalid ConfigMap/a"]
    assert world.value("ConfigMap/a", "data", "extra") == "x"
    assert (await world.run("retry")).writes == ["apply ConfigMap/a"]
    assert world.value("ConfigMap/a", "data") == {"value": "1"}
    assert (await world.run()).quiet


async def test_a_takeover_that_lost_a_race_is_made_of_what_stands_there_then() -> None:
    world = await applied()
    world.replace("ConfigMap/a", add_key)
    world.meanwhile("patch ConfigMap/a", lambda: world.edit("ConfigMap/a", "data", "more", to="x", by="controller"))
    ran = await world.heal()
    assert ran.writes == ["patch ConfigMap/a: StaleObject", "patch ConfigMap/a", "apply ConfigMap/a"]
    assert world.value("ConfigMap/a", "data") == {"value": "1", "more": "x"}


async def test_what_is_added_while_an_object_is_applied_is_taken_over_too() -> None:
    world = await applied()
    world.push({**FILES, "a.yaml": m.config(data="2")})
    world.meanwhile("apply ConfigMap/a", lambda: world.replace("ConfigMap/a", add_key))
    ran = await world.run()
    assert ran.writes == ["apply ConfigMap/a: StaleObject", "patch ConfigMap/a", "apply ConfigMap/a"]
    assert world.value("ConfigMap/a", "data") == {"value": "2"}


@pytest.mark.parametrize("more", [(), ("kubectl-patch",), ("kubectl-patch", "kubectl-label")])
async def test_who_added_what_is_said_though_a_controller_writes_after_the_takeover(more: tuple[str, ...]) -> None:
    """As the deployment controller does; `more` people add labels in between as well."""
    world = await applied()
    world.replace("Deployment/web", add_sidecar)
    left = list(more)

    def write() -> None:
        world.edit("Deployment/web", "metadata", "annotations", "revision", to="2", by="controller")
        if left:
            name = left.pop(0)
            world.replace("Deployment/web", lambda live: live["metadata"]["labels"].update({name: "x"}), name)

    world.meanwhile("apply Deployment/web", write, write)
    ran = await world.heal()

    assert ran.writes[-1] == "apply Deployment/web"
    assert pod_spec(world.live("Deployment/web"))["containers"][1:] == []
    (outcome,) = [each for each in ran.audit if each.phase == "outcome" and each.action == "heal"]
    assert sorted(outcome.fields) == [
        *(f"metadata.labels.{name}" for name in sorted(more)),
        'spec.template.spec.containers[name="debug"]',
    ]
    (event,) = [each for each in ran.messages if "healed" in each]
    assert event.endswith(f"was edited by {more[-1] if more else 'kubectl-edit'}")


async def test_what_a_person_applied_with_the_same_files_goes_when_git_drops_it() -> None:
    world = await applied({"a.yaml": m.config(more="x"), "w.yaml": WORKLOAD})
    world.apply(m.config(more="x"))
    world.apply(WORKLOAD)
    assert (await world.run()).quiet, "it stands as Git says"
    assert world.drifted == set()
    world.push({"a.yaml": m.config(), "w.yaml": m.workload()})
    ran = await world.run()
    assert ran.problems == []
    assert sorted(ran.writes) == [
        "apply ConfigMap/a",
        "apply Deployment/web",
        "patch ConfigMap/a",
        "patch Deployment/web",
    ]
    assert world.value("ConfigMap/a", "data") == {"value": "1"}
    assert "env" not in pod_spec(world.live("Deployment/web"))["containers"][0]
    done = ran.outcome_of("ConfigMap/a")
    assert "data.more" in done.fields
    assert done.facts is not None
    assert done.facts["manager"] == "kubectl"
    assert (await world.run()).quiet


async def test_the_copy_that_kubectl_writes_is_taken_out() -> None:
    world = await applied()
    copy = "kubectl.kubernetes.io/last-applied-configuration"
    world.edit("Secret/db", "metadata", "annotations", copy, to='{"data":{}}', by="kubectl-client-side-apply")
    ran = await world.heal()
    assert copy not in world.value("Secret/db", "metadata", "annotations")  # pyright: ignore[reportOperatorIssue]
    assert (await world.run()).quiet
    assert ran.outcome_of("Secret/db").facts == {
        "manager": "kubectl-client-side-apply",
        "operation": "Update",
        "written": ran.outcome_of("Secret/db").facts["written"],  # pyright: ignore[reportOptionalSubscript]
    }


async def test_an_ordinary_heal_costs_one_request() -> None:
    world = await applied()
    world.edit("ConfigMap/a", "data", "value", to="edited")
    ran = await world.heal()
    assert (ran.writes, ran.reads) == (["apply ConfigMap/a"], [])


async def test_no_value_of_what_is_taken_out_is_shown() -> None:
    world = await applied()
    world.replace("Secret/db", lambda live: live["data"].update(extra=Secret("Y2FuYXJ5", "theirs")))
    world.replace("ConfigMap/a", lambda live: live["data"].update({"control\u0007": "canary"}))
    ran = await world.heal()
    text = repr((ran.audit, ran.status, ran.events))
    assert "canary" not in text
    assert "Y2FuYXJ5" not in text
    assert "\u0007" not in str(ran.status)
