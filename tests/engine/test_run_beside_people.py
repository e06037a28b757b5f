"""What people's field managers own in an object of ours: it is taken over before an apply, and counts as drift."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from whole_runs import manifests as m
from whole_runs.installation import Installation

from agent.values.errors import ObjectInvalidError
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.values.ids import ObjectId

PORT = {"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}
SERVICE = m.other("Service", "web", spec={"selector": {"app": "web"}, "ports": [PORT]})
WORKLOAD = m.workload(env=[{"name": "LEVEL", "value": "info"}])
FILES = {"a.yaml": m.config(), "s.yaml": m.plain_secret(), "svc.yaml": SERVICE, "w.yaml": WORKLOAD}


def pod_spec(live: Any) -> Any:
    return live["spec"]["template"]["spec"]


def edit_port(live: Any) -> None:
    live["spec"]["ports"] = [{**PORT, "port": 83}]


def add_sidecar(live: Any) -> None:
    pod_spec(live)["containers"].append({"name": "debug", "image": "busybox"})


def add_host_network(live: Any) -> None:
    pod_spec(live)["hostNetwork"] = True


def add_env(live: Any) -> None:
    pod_spec(live)["containers"][0]["env"].append({"name": "DEBUG", "value": "1"})


def add_secret_key(live: Any) -> None:
    live["data"]["extra"] = Secret("eA==", "theirs")


def add_key(live: Any) -> None:
    live["data"]["extra"] = "x"


def add_label(live: Any) -> None:
    live["metadata"]["labels"]["team"] = "theirs"


def restart(live: Any) -> None:
    live["spec"]["template"]["metadata"]["annotations"] = {"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}


ADDED = {
    "a Service's port that was edited": ("Service/web", edit_port, 'spec.ports[port=83,protocol="TCP"]'),
    "a sidecar": ("Deployment/web", add_sidecar, 'spec.template.spec.containers[name="debug"]'),
    "the network of the host": ("Deployment/web", add_host_network, "spec.template.spec.hostNetwork"),
    "an environment variable": (
        "Deployment/web",
        add_env,
        'spec.template.spec.containers[name="web"].env[name="DEBUG"]',
    ),
    "a key of a Secret": ("Secret/db", add_secret_key, "data.extra"),
    "a key of a ConfigMap": ("ConfigMap/a", add_key, "data.extra"),
    "a label": ("ConfigMap/a", add_label, "metadata.labels.team"),
}


async def applied(files: dict[str, str] | None = None, **spec: object) -> Installation:
    world = Installation(files=files or FILES, **spec)
    assert (await world.run()).problems == []
    return world


def plain(world: Installation, name: str) -> Any:
    """A live object without what the server writes."""
    live: Any = world.live(name)
    metadata = {part: live["metadata"].get(part) for part in ("labels", "annotations")}
    return {**live, "metadata": metadata}


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


async def test_what_people_set_in_an_item_that_git_adds_goes_but_for_what_is_ignored() -> None:
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


async def test_what_a_manager_that_is_no_person_adds_is_left_alone() -> None:
    world = await applied()
    for by in ("my-controller", "kube-controller-manager", "istio-injector", "signet-sync", "helm"):
        world.replace("ConfigMap/a", add_key, by)
        world.replace("Deployment/web", add_host_network, by)
        world.apply(m.config(also="x"), by)
    assert (await world.run()).quiet
    assert world.drifted == set()
    assert world.value("ConfigMap/a", "data", "extra") == "x"


async def test_what_people_change_within_an_item_that_somebody_else_added_is_left_alone() -> None:
    world = await applied()
    world.replace("Deployment/web", add_sidecar, "injector")
    world.replace("Deployment/web", lambda live: pod_spec(live)["containers"][1].update(image="busybox:2"))
    assert (await world.run()).quiet
    assert world.drifted == set()
    world.push({**FILES, "w.yaml": m.workload(image="web:2")})
    assert (await world.run()).writes == ["apply Deployment/web"]
    assert [each["image"] for each in pod_spec(world.live("Deployment/web"))["containers"]] == ["web:2", "busybox:2"]


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
    (event,) = [each for each in ran.told if "healed" in each]
    assert event.endswith(f"was edited by {more[-1] if more else 'kubectl-edit'}")


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


async def test_what_somebody_applied_with_the_same_files_goes_when_git_drops_it() -> None:
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


async def test_additions_are_kept_where_somebody_annotates_the_live_object() -> None:
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


async def test_what_comes_back_is_left_and_told_until_something_changes() -> None:
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


class TestOfARecordOfBefore:
    """The agent was upgraded: nothing says of what stands there whether it was there all along."""

    async def upgraded(self) -> Installation:
        world = await applied()
        world.replace("Secret/db", add_secret_key)
        world.replace("ConfigMap/a", add_key)
        world.forget_additions()
        return world

    async def test_what_stood_there_is_told_and_left(self) -> None:
        world = await self.upgraded()
        ran = await world.run()
        assert ran.quiet
        told = {(each.object, each.field) for each in ran.status.warnings if each.reason == "Additions"}
        assert told == {("Secret shop/db", "data.extra"), ("ConfigMap shop/a", "data.extra")}
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

    async def test_it_goes_once_somebody_confirms_the_commit(self) -> None:
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


async def test_no_value_of_what_is_taken_out_is_told() -> None:
    world = await applied()
    world.replace("Secret/db", lambda live: live["data"].update(extra=Secret("Y2FuYXJ5", "theirs")))
    world.replace("ConfigMap/a", lambda live: live["data"].update({"control\u0007": "canary"}))
    ran = await world.heal()
    text = repr((ran.audit, ran.status, ran.events))
    assert "canary" not in text
    assert "Y2FuYXJ5" not in text
    assert "\u0007" not in str(ran.status)
