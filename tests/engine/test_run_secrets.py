"""Secrets in a run: what is opened and when, references and their versions, rotation, rollouts, places where a secret may stand."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
from memory_world.sealed_files import encrypt
from whole_runs import manifests as m
from whole_runs.installation import Installation

from agent.values.errors import ObjectInvalidError
from agent.values.secret import Secret

if TYPE_CHECKING:
    from agent.values.ids import ObjectId

DB, WEB = m.secret("db"), m.workload(uses="db")
FILES = {"s.yaml": DB, "w.yaml": WEB, "x.yaml": m.workload("x"), "a.yaml": m.config()}
ROLL = ("spec", "template", "metadata", "annotations", "signet-gitops.dev/secrets-version")
SEALED = {"s.yaml": encrypt(m.plain_secret("s"), "s.yaml"), "w.yaml": m.workload(uses="s"), "a.yaml": m.config()}


def encoded(text: str) -> Secret:
    return Secret(base64.b64encode(text.encode()).decode(), "expected")


async def applied(files: dict[str, str] = FILES, **given: object) -> Installation:
    world = Installation(files=files, **given)
    world.stores.write("kv/db", password="first", user="shop")
    ran = await world.run()
    assert ran.problems == []
    return world


class TestOfOpening:
    async def test_a_file_is_opened_and_its_value_reaches_the_cluster(self) -> None:
        world = await applied(SEALED)
        assert world.value("Secret/s", "data", "password") == encoded("hunter2")

    async def test_nothing_is_opened_for_a_run_that_changes_nothing(self) -> None:
        world = await applied(SEALED)
        ran = await world.run()
        assert (ran.opened, ran.quiet) == ([], True)

    async def test_nothing_is_opened_for_a_commit_that_leaves_the_file(self) -> None:
        world = await applied(SEALED)
        world.push({**SEALED, "a.yaml": m.config(data="2")})
        ran = await world.run()
        assert (ran.opened, ran.writes) == ([], ["apply ConfigMap/a"])

    async def test_nothing_is_opened_for_a_new_process_that_finds_all_as_it_was(self) -> None:
        world = await applied(SEALED)
        world.restart()
        ran = await world.run()
        assert (ran.opened, ran.quiet) == ([], True)

    async def test_a_file_that_was_encrypted_again_changes_nothing_but_the_record(self) -> None:
        world = await applied(SEALED)
        again = encrypt(m.plain_secret("s"), "s.yaml", recipient="age1team2")
        world.keys.held.add("age1team2")
        world.push({**SEALED, "s.yaml": again})
        ran = await world.run()
        assert ran.quiet
        assert ran.opened != []
        assert world.recorded_commit == 2
        assert (await world.run()).opened == []

    async def test_a_lost_key_is_no_matter_until_a_file_has_to_be_opened(self) -> None:
        world = await applied(SEALED)
        world.keys.held.clear()
        assert (await world.run()).quiet
        world.push({**SEALED, "s.yaml": encrypt(m.plain_secret("s", "new"), "s.yaml")})
        assert (await world.run()).problems == ["DataKey s.yaml"]
        assert world.value("Secret/s", "data", "password") == encoded("hunter2")

    async def test_an_edit_of_what_was_applied_needs_its_file_opened(self) -> None:
        world = await applied(SEALED)
        world.edit("Secret/s", "data", "password", to=Secret("eA==", "live"))
        ran = await world.heal()
        assert (ran.opened, ran.writes) == (["s.yaml"], ["apply Secret/s"])

    async def test_a_layer_on_a_sealed_one_is_merged_before_anything_is_opened(self) -> None:
        files = {
            "base/s.yaml": encrypt(m.plain_secret("s"), "base/s.yaml"),
            "prod/s.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {more: vault://main/kv/db#user}\n",
        }
        world = await applied(files, layers=["base", "prod"])
        assert world.value("Secret/s", "data", "password") == encoded("hunter2")
        assert world.value("Secret/s", "data", "more") == encoded("shop")

    async def test_a_reference_may_stand_in_a_sealed_value(self) -> None:
        files = {"s.yaml": encrypt(m.plain_secret("s", "vault://main/kv/db#user"), "s.yaml")}
        world = await applied(files)
        assert world.value("Secret/s", "data", "password") == encoded("shop")

    async def test_what_a_store_answers_is_not_searched_for_references(self) -> None:
        world = Installation(files={"s.yaml": DB})
        world.stores.write("kv/db", password="vault://main/kv/other#password")
        await world.run()
        assert world.value("Secret/db", "data", "password") == encoded("vault://main/kv/other#password")

    async def test_a_sealed_secret_is_unsealed_where_the_operator_says_so(self) -> None:
        world = await applied(
            {"s.yaml": m.sealed_secret("db"), "w.yaml": WEB},
            operator=m.operator(sealedSecrets={"keys": [{"secretName": "k"}]}),
        )
        assert world.live("SealedSecret/db") is None
        assert world.value("Secret/db", "data", "password") == encoded("hunter2")

    async def test_the_trail_has_labels_and_fingerprints_and_no_value(self) -> None:
        world = Installation(files={**SEALED, "d.yaml": DB})
        world.stores.write("kv/db", password="canary")
        ran = await world.run()
        assert ran.outcome_of("Secret/s").secrets == ("sops:s.yaml#stringData.password",)
        assert ran.outcome_of("Secret/db").secrets == ("vault:main/kv/db#password@1",)
        for name in ("Secret/s", "Secret/db"):
            prints = ran.outcome_of(name).fingerprints
            assert prints is not None
            assert list(prints) == ["data.password"]
            assert prints["data.password"].startswith("fp:")
        for value in ("canary", "hunter2", base64.b64encode(b"canary").decode(), base64.b64encode(b"hunter2").decode()):
            assert value not in repr((ran.audit, ran.status, ran.events, world.shards, world.traffic.statuses))


VALUES = {
    "a whole value": ("vault://main/kv/db#password", "first"),
    "inside a text": ("postgres://${vault://main/kv/db#user}@db", "postgres://shop@db"),
    "two of them": ("${vault://main/kv/db#user}:${vault://main/kv/db#password}", "shop:first"),
    "written as it is": ("$${vault://main/kv/db#user}", "${vault://main/kv/db#user}"),
    "an older version": ("vault://main/kv/db?version=1#password", "first"),
    "base64 in the store": ("vault://main/kv/b64?decode=base64#value", "decoded"),
    "encoded for a URL": ("vault://main/kv/odd?encode=url#value", "p%40ss"),
    "an optional one inside a text": ("a${vault://main/kv/none?optional=true#x}b", "ab"),
}


class TestOfReferences:
    @pytest.mark.parametrize("case", VALUES)
    async def test_a_reference_becomes_its_value(self, case: str) -> None:
        text, value = VALUES[case]
        world = Installation(files={"s.yaml": m.secret("db", text)})
        world.stores.write("kv/db", password="first", user="shop")
        world.stores.write("kv/b64", value=base64.b64encode(b"decoded").decode())
        world.stores.write("kv/odd", value="p@ss")
        assert (await world.run()).problems == []
        assert world.value("Secret/db", "data", "password") == encoded(value)

    async def test_an_optional_value_that_is_not_there_leaves_its_field_out(self) -> None:
        text = m.other("Secret", "db", stringData={"maybe": "vault://main/kv/db?optional=true#maybe", "more": "1"})
        world = Installation(files={"s.yaml": text})
        ran = await world.run()
        assert ran.problems == []
        assert list(world.value("Secret/db", "data")) == ["more"]

    async def test_an_optional_value_that_appears_later_is_applied_by_the_next_probe(self) -> None:
        text = m.other("Secret", "db", stringData={"maybe": "vault://main/kv/late?optional=true#maybe", "more": "1"})
        world = Installation(files={"s.yaml": text})
        await world.run()
        assert await world.probe() is None, "it is still missing"
        world.stores.write("kv/late", other="x")
        await world.probe()
        assert list(world.value("Secret/db", "data")) == ["more"]
        assert await world.probe() is None, "the version that lacks it is known"
        world.stores.write("kv/late", other="x", maybe="here")
        await world.probe()
        assert world.value("Secret/db", "data", "maybe") == encoded("here")

    async def test_a_path_is_read_once_whatever_the_number_of_its_references(self) -> None:
        files = {f"{n}.yaml": m.secret(f"s{n}", "vault://main/kv/db#password") for n in range(9)}
        world = await applied({**files, "s.yaml": m.secret("db", "vault://main/kv/db#user")})
        assert world.stores.read == ["kv/db"]

    async def test_no_store_is_asked_for_a_run_that_changes_nothing(self) -> None:
        world = await applied()
        world.stores.read.clear()
        await world.run()
        assert world.stores.read == []


class TestOfRotation:
    async def test_a_newer_version_is_applied_and_its_workload_rolled_and_no_other(self) -> None:
        world = await applied()
        before = world.value("Deployment/web", *ROLL)
        assert before
        world.stores.write("kv/db", password="second", user="shop")
        ran = await world.probe()
        assert ran is not None
        assert ran.writes == ["apply Secret/db", "apply Deployment/web"]
        assert ran.causes == {"Secret/db": "secret-source", "Deployment/web": "roll"}
        assert ran.actions == {"Secret/db": "rotate", "Deployment/web": "roll"}
        assert world.value("Secret/db", "data", "password") == encoded("second")
        assert world.value("Deployment/web", *ROLL) not in {None, before}
        assert world.value("Deployment/x", *ROLL) is None
        assert await world.probe() is None

    async def test_a_rotation_asks_git_nothing(self) -> None:
        world = await applied()
        asked = world.git.asked
        world.stores.write("kv/db", password="second", user="shop")
        await world.probe()
        assert world.git.asked == asked

    async def test_a_newer_version_of_the_same_value_writes_nothing(self) -> None:
        world = await applied()
        world.stores.write("kv/db", password="first", user="shop")
        ran = await world.probe()
        assert ran is not None
        assert ran.quiet
        assert await world.probe() is None, "the version is recorded"

    async def test_a_reference_with_a_version_stays_at_it(self) -> None:
        world = await applied({"s.yaml": m.secret("db", "vault://main/kv/db?version=1#password")})
        world.stores.write("kv/db", password="second")
        assert await world.probe() is None

    async def test_an_engine_without_versions_is_read_again_each_time_and_applied_where_it_differs(self) -> None:
        world = Installation(files=FILES)
        world.stores.without_versions.add("kv/db")
        world.stores.write("kv/db", password="first")
        await world.run()
        ran = await world.probe()
        assert ran is not None
        assert ran.quiet
        world.stores.write("kv/db", password="second")
        ran = await world.probe()
        assert ran is not None
        assert ran.writes == ["apply Secret/db", "apply Deployment/web"]

    async def test_an_outage_refreshes_nothing(self) -> None:
        world = await applied()
        world.stores.away = True
        assert await world.probe() is None

    @pytest.mark.parametrize(("happens", "reason"), [("denied", "StoreDenied"), ("gone", "StoreNotFound")])
    async def test_a_value_that_is_gone_or_denied_holds_its_object_as_it_is(self, happens: str, reason: str) -> None:
        world = await applied()
        if happens == "denied":
            world.stores.denied.add("kv/db")
        else:
            del world.stores.values["kv/db"]
        ran = await world.probe()
        assert ran is not None
        assert ran.problems == [f"{reason} Secret/db"]
        assert ran.writes == []
        assert world.value("Secret/db", "data", "password") == encoded("first")

    @pytest.mark.parametrize("cause", ["retry", "interval", "live"])
    @pytest.mark.parametrize("happens", ["denied", "refused", "detected"])
    async def test_what_a_rotation_could_not_do_is_not_forgotten_by_the_next_run(
        self, happens: str, cause: str
    ) -> None:
        """Else the Application would be ready at each retry, and not at each probe."""

        def refuse(key: ObjectId, _: object) -> None:
            if happens == "refused" and key.kind == "Secret":
                raise ObjectInvalidError("the API server rejects the object")

        world = await applied()
        if happens == "detected":
            world.spec(sync={"mode": "detect"})
            await world.run("spec")
        world.stores.write("kv/db", password="second", user="shop")
        if happens == "denied":
            world.stores.denied.add("kv/db")
        world.server.admission.append(refuse)
        first = await world.probe()
        assert first is not None
        assert first.problems or first.pending
        again = await world.run(cause)
        assert (again.problems, again.pending) == (first.problems, first.pending)
        world.stores.denied.clear()
        world.server.admission.clear()
        world.spec(sync={})
        await world.run("spec")
        assert world.value("Secret/db", "data", "password") == encoded("second")
        assert (await world.run("interval")).quiet

    async def test_objects_of_several_values_rotate_where_any_of_them_does(self) -> None:
        text = m.other("Secret", "db", stringData={"a": "vault://main/kv/a#x", "b": "vault://main/kv/b#x"})
        world = Installation(files={"s.yaml": text, "t.yaml": m.secret("other", "vault://main/kv/a#x")})
        world.stores.write("kv/a", x="1")
        world.stores.write("kv/b", x="1")
        await world.run()
        world.stores.write("kv/b", x="2")
        ran = await world.probe()
        assert ran is not None
        assert ran.writes == ["apply Secret/db"]


class TestOfRollouts:
    @pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
    async def test_a_workload_is_rolled_when_a_commit_changes_its_secret(self, kind: str) -> None:
        world = await applied({"s.yaml": m.plain_secret("db", "one"), "w.yaml": m.workload(uses="db", kind=kind)})
        before = world.value(f"{kind}/web", *ROLL)
        world.push({"s.yaml": m.plain_secret("db", "two"), "w.yaml": m.workload(uses="db", kind=kind)})
        ran = await world.run()
        assert ran.writes == ["apply Secret/db", f"apply {kind}/web"]
        assert world.value(f"{kind}/web", *ROLL) not in {None, before}
        assert (await world.run()).quiet

    async def test_a_job_is_not_rolled(self) -> None:
        world = await applied({"s.yaml": m.plain_secret("db", "one"), "w.yaml": m.workload(uses="db", kind="Job")})
        world.push({"s.yaml": m.plain_secret("db", "two"), "w.yaml": m.workload(uses="db", kind="Job")})
        assert (await world.run()).writes == ["apply Secret/db"]

    async def test_a_workload_is_not_rolled_where_its_secret_holds_what_it_held(self) -> None:
        world = await applied({"s.yaml": m.plain_secret("db", "one"), "w.yaml": WEB})
        world.push({"s.yaml": m.secret("db", "one"), "w.yaml": WEB})
        assert (await world.run()).quiet

    async def test_a_heal_of_a_secret_rolls_nothing(self) -> None:
        world = await applied()
        world.edit("Secret/db", "data", "password", to=Secret("eA==", "live"))
        assert (await world.heal()).writes == ["apply Secret/db"]

    async def test_a_rollout_that_failed_is_made_up_for(self) -> None:
        world = await applied()
        before = world.value("Deployment/web", *ROLL)
        world.stores.write("kv/db", password="second", user="shop")
        changes = [lambda n=n: world.edit("Deployment/web", "spec", "replicas", to=n, by="hpa") for n in range(9)]
        world.meanwhile("apply Deployment/web", *changes[:4])
        ran = await world.probe()
        assert ran is not None
        assert ran.problems == ["StaleObject Deployment/web"]
        ran = await world.run()
        assert ran.writes == ["apply Deployment/web"]
        assert ran.causes == {"Deployment/web": "roll"}
        assert world.value("Deployment/web", *ROLL) not in {None, before}

    @pytest.mark.parametrize("annotation", [{"reconcile": "disabled"}, {"apply": "if-not-present"}])
    async def test_a_workload_that_is_left_alone_is_not_rolled(self, annotation: dict[str, str]) -> None:
        world = await applied({"s.yaml": DB, "w.yaml": m.workload(uses="db", annotations=annotation)})
        world.stores.write("kv/db", password="second", user="shop")
        ran = await world.probe()
        assert ran is not None
        assert ran.writes == ["apply Secret/db"]

    async def test_a_workload_is_not_rolled_while_its_secret_is_held(self) -> None:
        world = await applied()
        world.stores.away = True
        world.push({**FILES, "s.yaml": m.secret("db", "vault://main/kv/db#user")})
        ran = await world.run()
        assert (ran.writes, ran.problems) == ([], ["StoreUnavailable Secret/db"])


REFERENCE = "vault://main/kv/db#password"
PLACES = {
    "data of a ConfigMap": (m.config("x", REFERENCE), ["ConfigMap"], {"configMaps": True}, "ConfigMap/x"),
    "a field of a custom resource": (
        m.gadget("x", password=REFERENCE),
        [],
        {"customResources": [{"group": "example.com", "kind": "Gadget", "path": "spec.password"}]},
        "Gadget/x",
    ),
    "an environment variable": (
        m.workload("x", env=[{"name": "P", "value": REFERENCE}]),
        ["Env"],
        {"env": True},
        "Deployment/x",
    ),
    "an argument": (
        m.workload("x", args=[REFERENCE]),
        ["Args"],
        {"args": True},
        "Deployment/x",
    ),
}


class TestOfPlacesForSecrets:
    @pytest.mark.parametrize("place", PLACES)
    async def test_a_secret_may_stand_where_both_sides_say_so(self, place: str) -> None:
        text, asked, sinks, name = PLACES[place]
        files = {"crd.yaml": m.definition(), "x.yaml": text}
        world = await applied(files, secrets={"allow": asked}, operator=m.operator(sinks=sinks))
        assert world.live(name) is not None
        world.stores.write("kv/db", password="second")
        ran = await world.probe()
        assert ran is not None
        assert ran.writes == [f"apply {name}"]

    @pytest.mark.parametrize("place", PLACES)
    async def test_it_may_not_where_the_operator_does_not(self, place: str) -> None:
        text, asked, _, name = PLACES[place]
        world = Installation(files={"crd.yaml": m.definition(), "x.yaml": text}, secrets={"allow": asked})
        world.stores.write("kv/db", password="p")
        assert (await world.run()).problems == [f"Sink {name}"]
        assert world.stores.read == [], "a store is not asked for what may not be used"

    @pytest.mark.parametrize("field", ["labels", "annotations"])
    async def test_never_in_metadata(self, field: str) -> None:
        text = m.other("ConfigMap", "x").replace('"name": "x"', f'"name": "x", "{field}": {{"x": "{REFERENCE}"}}')
        world = Installation(
            files={"x.yaml": text}, secrets={"allow": ["ConfigMap"]}, operator=m.operator(sinks={"configMaps": True})
        )
        world.stores.write("kv/db", password="p")
        assert (await world.run()).problems == ["Sink ConfigMap/x"]

    async def test_a_secret_in_the_clear_is_warned_of_and_applied(self) -> None:
        world = Installation(files={"s.yaml": m.plain_secret("s")})
        ran = await world.run()
        assert (ran.writes, ran.problems, ran.warnings) == (["apply Secret/s"], [], ["PlaintextSecret Secret/s"])
        assert ran.ready == "Applied"
        assert ran.status.counts.warnings == 1
