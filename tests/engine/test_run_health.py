"""Whether an Application is healthy: what stands, what is missing, what is held, and what a controller has not looked at yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from memory_world.cluster import name_of
from whole_runs import manifests as m
from whole_runs.installation import Installation

from agent.values.errors import ObjectInvalidError, SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from memory_world.server import Change, Server
    from whole_runs.ran import Ran


def health(ran: Ran) -> tuple[str, str, str]:
    (found,) = [each for each in ran.status.conditions if each.type == "Healthy"]
    return found.status, found.reason, found.message


def rolled_out(server: Server, change: Change) -> None:
    """Deployments are what they should be at once."""
    if change.tree is not None and change.key.kind == "Deployment" and "status" not in change.tree:
        counts = ("observedGeneration", "replicas", "updatedReplicas", "availableReplicas")
        fields = dict.fromkeys((("status", name) for name in counts), 1)
        server.update(change.key, fields, "kube-controller-manager", subresource="status")


def refused(world: Installation) -> None:
    def admit(key: object, tree: object) -> None:
        if name_of(key) == "ConfigMap/x":
            raise ObjectInvalidError("object is invalid")

    world.server.admission.append(admit)


def unreachable(world: Installation) -> None:
    world.git.error = SourceUnavailableError("the Git server cannot be reached")


def written(world: Installation) -> None:
    world.stores.write("kv/db", password="right")


@dataclass
class Case:
    """What stands in Git, and what the condition Healthy says then. `later` happens after a first run, and is followed by another."""

    files: Mapping[str, str]
    expected: tuple[str, str, str]
    happens: Callable[[Installation], None] = lambda _: None
    later: Callable[[Installation], None] | None = None
    spec: Mapping[str, object] = field(default_factory=dict)


WITH_SECRET = {"s.yaml": m.secret("db"), "w.yaml": m.workload(uses="db")}
TRUE = ("True", "Healthy", "")
CASES = {
    "what needs no controller": Case({"a.yaml": m.config()}, TRUE),
    "nothing to apply": Case({}, ("True", "Healthy", "there are 0 objects")),
    "nothing in Git that can be read": Case(
        {"README.txt": "hello"}, ("Unknown", "Unknown", "there are 0 objects, and the last run failed")
    ),
    "nothing applied yet": Case(
        {"a.yaml": m.config()}, ("Unknown", "Unknown", "nothing has been applied yet"), happens=unreachable
    ),
    "nothing is ever applied": Case(
        {"a.yaml": m.config()},
        ("Unknown", "Unknown", "nothing has been applied yet"),
        spec={"sync": {"mode": "detect"}},
    ),
    "a custom resource without a status": Case({"d.yaml": m.definition(), "g.yaml": m.gadget()}, TRUE),
    "a workload that rolls out": Case(
        {"w.yaml": m.workload()}, TRUE, happens=lambda w: w.server.controllers.append(rolled_out)
    ),
    "a workload that is not rolled out": Case(
        {"w.yaml": m.workload()},
        ("False", "Progressing", "Deployment.apps shop/web: its controller has not observed it"),
    ),
    "a Secret that is held, and what names it": Case(
        WITH_SECRET,
        ("False", "Degraded", "Secret shop/db: it is not there: nothing is stored at this path"),
    ),
    "an object that is refused and never was": Case(
        {"a.yaml": m.config(), "x.yaml": m.config("x")},
        ("False", "Degraded", "ConfigMap shop/x: it is not there: object is invalid"),
        happens=refused,
    ),
    "an object that is refused and stands as it was": Case(
        {"x.yaml": m.config("x")},
        ("False", "Progressing", "ConfigMap shop/x: its last version stays in place: object is invalid"),
        later=lambda world: (refused(world), world.push({"x.yaml": m.config("x", "2")}))[0],
    ),
    "a Secret that is held and stands as it was": Case(
        {"s.yaml": m.secret("db")},
        ("False", "Progressing", "Secret shop/db: its last version stays in place: the store refuses this path"),
        happens=written,
        later=lambda world: (
            world.stores.denied.add("kv/db"),
            world.push({"s.yaml": m.secret("db", "vault://main/kv/db#other")}),
        )[0],
    ),
    "an object that is gone and not healed": Case(
        {"a.yaml": m.config(), "b.yaml": m.config("b")},
        ("False", "Degraded", "ConfigMap shop/b: it is not there"),
        later=lambda world: (world.spec(sync={"mode": "detect"}), world.delete("ConfigMap/b"))[0],
    ),
    "an object that is left alone": Case(
        {"a.yaml": m.config(), "b.yaml": m.config("b", annotations={"reconcile": "disabled"})}, TRUE
    ),
    "an object that is left to others": Case(
        {"b.yaml": m.config("b", annotations={"apply": "if-not-present"})},
        TRUE,
        happens=lambda world: world.make(m.config("b", "theirs")),
        later=lambda world: world.delete("ConfigMap/b"),
    ),
    "a kind that cannot be read": Case(
        {"a.yaml": m.config()},
        TRUE,
        happens=lambda world: world.traffic.unwatched.add(("", "ConfigMap")),
        later=lambda world: world.restart(),
    ),
}


@pytest.mark.parametrize("name", CASES)
async def test_health_is_what_stands_and_what_should(name: str) -> None:
    case = CASES[name]
    world = Installation(files=case.files, **case.spec)
    case.happens(world)
    ran = await world.run()
    if case.later is not None:
        case.later(world)
        ran = await world.run()
    assert health(ran) == case.expected


async def test_the_objects_are_listed_with_the_worst_first() -> None:
    files = {"a.yaml": m.config("a"), "s.yaml": m.secret("db"), "w.yaml": m.workload("roll")}
    world = Installation(files={**files, "x.yaml": m.config("x")})
    refused(world)
    ran = await world.run()
    rows = [(each.object, each.health, each.sync, each.file) for each in ran.status.objects]
    assert rows == [
        ("ConfigMap shop/x", "Degraded", "Failed", "x.yaml"),
        ("Secret shop/db", "Degraded", "Held", "s.yaml"),
        ("Deployment.apps shop/roll", "Progressing", "Synced", "w.yaml"),
        ("ConfigMap shop/a", "Healthy", "Synced", "a.yaml"),
    ]
    world.server.admission.clear()
    written(world)
    world.spec(sync={"mode": "detect"})
    ran = await world.run()
    out_of_sync = [each.object for each in ran.status.objects if each.sync == "OutOfSync"]
    assert out_of_sync == ["ConfigMap shop/x", "Secret shop/db"]


def looks(world: Installation, seconds: float) -> None:
    """After so many seconds a controller says that it has seen every Gadget."""

    def passing(now: float) -> None:
        world.server.time = datetime.fromtimestamp(world.clock.now(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        for key in [key for key in world.server.objects if key.kind == "Gadget"]:
            if now >= seconds and "status" not in (world.server.get(key) or {}):
                condition = {"type": "Ready", "status": "True"}
                world.server.update(key, {("status", "conditions"): [condition]}, "gadgets", subresource="status")

    world.tasks.passing.append(passing)


@pytest.mark.parametrize(
    ("conditions", "after", "waits"), [(True, 20.0, (20, 23)), (True, 1e9, (60, 63)), (False, 1e9, (0, 1))]
)
async def test_a_wave_waits_until_a_controller_looked(
    conditions: bool, after: float, waits: tuple[float, float]
) -> None:
    files = {
        "d.yaml": m.definition(conditions=conditions),
        "g.yaml": m.gadget(annotations={"wave": "25"}),
        "w.yaml": m.workload(annotations={"wave": "50"}),
    }
    world = Installation(files=files)
    world.server.time = "2023-11-14T22:13:20Z"
    looks(world, after)
    ran = await world.run()
    assert ran.writes[-1] == "apply Deployment/web"
    assert ran.problems == []
    low, high = waits
    assert low <= world.clock.seconds <= high


async def test_a_controller_that_never_looks_is_waited_for_a_minute() -> None:
    world = Installation(files={"d.yaml": m.definition(conditions=True), "g.yaml": m.gadget()})
    world.server.time = "2023-11-14T22:13:20Z"
    assert health(await world.run())[:2] == ("False", "Progressing")
    world.clock.seconds += 59
    assert health(await world.run())[:2] == ("False", "Progressing")
    world.clock.seconds += 2
    ran = await world.run()
    assert (ran.writes, health(ran)) == ([], TRUE)
