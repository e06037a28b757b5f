"""In which order a run applies, and what it waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from whole_runs import manifests as m
from whole_runs.installation import Installation

from agent.values.errors import ObjectInvalidError

if TYPE_CHECKING:
    from agent.values.tree import Object

ROLE = {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}

WAVES = {
    "0": {
        "Namespace/team": m.other("Namespace", "team"),
        "CustomResourceDefinition/gadgets.example.com": m.definition(),
    },
    "10": {
        "NetworkPolicy/n": m.other("NetworkPolicy", "n", "networking.k8s.io/v1"),
        "ResourceQuota/q": m.other("ResourceQuota", "q"),
        "Role/r": m.other("Role", "r", "rbac.authorization.k8s.io/v1", **ROLE),
        "ServiceAccount/s": m.other("ServiceAccount", "s"),
        "StorageClass/c": m.other("StorageClass", "c", "storage.k8s.io/v1"),
    },
    "20": {
        "ConfigMap/a": m.config(),
        "PersistentVolume/v": m.other("PersistentVolume", "v"),
        "PersistentVolumeClaim/disk": m.claim(),
        "Secret/db": m.plain_secret(),
    },
    "25, by its annotation": {"ConfigMap/between": m.config("between", annotations={"wave": "25"})},
    "30": {
        "Deployment/web": m.workload(),
        "Gadget/g": m.gadget(),
        "Service/x": m.other("Service"),
    },
    "40": {
        "APIService/a": m.other("APIService", "a", "apiregistration.k8s.io/v1"),
        "ValidatingWebhookConfiguration/w": m.other(
            "ValidatingWebhookConfiguration", "w", "admissionregistration.k8s.io/v1"
        ),
    },
}


async def test_waves_follow_one_another() -> None:
    texts = {name: text for wave in WAVES.values() for name, text in wave.items()}
    world = Installation(files={f"{number:02}.yaml": text for number, text in enumerate(reversed(texts.values()))})
    ran = await world.run()
    assert ran.problems == []
    sent = [write.removeprefix("apply ") for write in ran.writes]
    for wave in WAVES.values():
        part, sent = sent[: len(wave)], sent[len(wave) :]
        assert sorted(part) == sorted(wave)
    assert sent == []


async def test_an_object_of_a_kind_waits_for_its_definition_to_be_established() -> None:
    world = Installation(files={"crd.yaml": m.definition(), "g.yaml": m.gadget()})
    world.server.controllers.clear()
    definition = "CustomResourceDefinition/gadgets.example.com"

    def established(seconds: float) -> None:
        if seconds > 20 and world.live("Gadget/g") is None and world.value(definition, "status") is None:
            conditions: list[Object] = [{"type": kind, "status": "True"} for kind in ("NamesAccepted", "Established")]
            world.edit(definition, "status", "conditions", to=conditions, subresource="status")

    world.tasks.passing.append(established)
    ran = await world.run()
    assert ran.problems == []
    assert ran.writes == [f"apply {definition}", "apply Gadget/g"]
    assert 20 < world.clock.seconds < 25


async def test_a_definition_that_is_never_established_is_waited_for_a_minute() -> None:
    world = Installation(files={"crd.yaml": m.definition(), "a.yaml": m.config(), "g.yaml": m.gadget()})
    world.server.controllers.clear()
    ran = await world.run()
    assert 60 < world.clock.seconds < 65
    assert sorted(ran.problems) == ["Held CustomResourceDefinition/gadgets.example.com", "UnknownKind Gadget/g"]
    assert world.live("ConfigMap/a") is not None


MIGRATION = {
    "s.yaml": m.plain_secret(),
    "job.yaml": m.workload("migrate", "db", annotations={"wave": "25"}, kind="Job"),
    "w.yaml": m.workload(),
}


async def test_what_names_its_wave_is_waited_for_until_it_is_healthy() -> None:
    world = Installation(files=MIGRATION)

    def completed(seconds: float) -> None:
        if seconds > 100 and world.live("Deployment/web") is None:
            conditions: list[Object] = [{"type": "Complete", "status": "True"}]
            world.edit("Job/migrate", "status", "conditions", to=conditions, by="job-controller", subresource="status")

    world.tasks.passing.append(completed)
    ran = await world.run()
    assert ran.problems == []
    assert ran.writes == ["apply Secret/db", "apply Job/migrate", "apply Deployment/web"]
    assert 100 < world.clock.seconds < 110


async def test_what_never_becomes_healthy_is_waited_for_five_minutes() -> None:
    world = Installation(files=MIGRATION)
    ran = await world.run()
    assert ran.problems == ["Held Job/migrate"]
    assert 300 < world.clock.seconds < 305
    assert world.live("Deployment/web") is not None


async def test_what_never_becomes_healthy_is_waited_for_as_long_as_the_application_says() -> None:
    world = Installation(files=MIGRATION, sync={"timeout": "20s"})
    ran = await world.run()
    assert ran.problems == ["Held Job/migrate"]
    assert ran.error_of("Job/migrate").facts["seconds"] == 20
    assert 20 < world.clock.seconds < 25


async def test_a_lease_that_is_lost_while_a_wave_is_waited_for_ends_the_run_at_once() -> None:
    world = Installation(files=MIGRATION)
    world.tasks.passing.append(lambda _: setattr(world, "lease", False))
    ran = await world.run()
    assert ran.ended_by == "LeaseLost"
    assert world.clock.seconds < 1


async def test_what_names_no_wave_is_not_waited_for() -> None:
    world = Installation(files={**MIGRATION, "job.yaml": m.workload("migrate", kind="Job")})
    ran = await world.run()
    assert (ran.problems, world.clock.seconds) == ([], 0)


async def test_an_object_of_the_last_wave_is_not_waited_for() -> None:
    world = Installation(files={"job.yaml": m.workload("migrate", annotations={"wave": "50"}, kind="Job")})
    ran = await world.run()
    assert (ran.problems, world.clock.seconds) == ([], 0)


async def test_an_object_that_failed_is_not_waited_for() -> None:
    world = Installation(files=MIGRATION)

    def admit(key, _) -> None:
        if key.kind == "Job":
            raise ObjectInvalidError("object is invalid")

    world.server.admission.append(admit)
    ran = await world.run()
    assert (ran.problems, world.clock.seconds) == (["ObjectInvalid Job/migrate"], 0)


async def test_what_names_an_object_of_its_own_wave_does_not_wait() -> None:
    world = Installation(
        files={"a.yaml": m.other("ServiceAccount", "a", imagePullSecrets=[{"name": "db"}]), "s.yaml": m.plain_secret()}
    )
    assert (await world.run()).writes == ["apply ServiceAccount/a", "apply Secret/db"]


@pytest.mark.parametrize("wave", ["soon", "1.5", "1001", "-1001", ""])
async def test_a_wave_that_is_none_holds_its_object(wave: str) -> None:
    world = Installation(files={"a.yaml": m.config(), "b.yaml": m.config("b", annotations={"wave": wave})})
    ran = await world.run()
    assert ran.problems == ["Manifest ConfigMap/b"]
    assert ran.writes == ["apply ConfigMap/a"]


async def test_a_wave_is_announced_before_it_is_sent_and_reported_after() -> None:
    world = Installation(files={"a.yaml": m.config(), "w.yaml": m.workload()})
    ran = await world.run()
    assert [(each.phase, each.object.kind if each.object else "") for each in ran.audit] == [
        ("intent", "ConfigMap"),
        ("outcome", "ConfigMap"),
        ("intent", "Deployment"),
        ("outcome", "Deployment"),
    ]
    assert world.audit.checkpoints == 1
