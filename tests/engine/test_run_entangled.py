"""What others put into a list or map of ours, so that the merged object is refused: named, where people did not."""

from __future__ import annotations

import pytest
from memory_world.server import REMOVED
from whole_runs import manifests as m
from whole_runs.installation import Installation

from agent.values.errors import ObjectInvalidError
from agent.values.tree import get

PORTS = ("spec", "ports")


def service(port: int = 80, **more: object) -> str:
    return m.other("Service", "s", spec={"ports": [{"name": "http", "port": port}]}, **more)


def distinct_names(key: object, tree: object) -> None:
    """As the API server: every port of a Service has a name of its own."""
    ports = get(tree, *PORTS)  # pyright: ignore[reportArgumentType]
    names = [get(port, "name") for port in ports] if isinstance(ports, list) else []
    if len(set(names)) < len(names):
        raise ObjectInvalidError("two items have the same key", field="spec.ports[1].name", object=key)


async def edited(by: str, **spec: object) -> Installation:
    """A Service whose port was changed in the cluster."""
    world = Installation(files={"s.yaml": service()}, **spec)
    world.server.admission.append(distinct_names)
    assert (await world.run()).problems == []
    world.edit("Service/s", *PORTS, to=REMOVED, by=by)
    world.edit("Service/s", *PORTS, to=[{"name": "http", "port": 83}], by=by)
    return world


def ports_of(world: Installation) -> list[object]:
    ports = world.value("Service/s", *PORTS)
    assert isinstance(ports, list)
    return [get(port, "port") for port in ports]


@pytest.mark.parametrize("by", ["kubectl-edit", "kubectl-patch", "before-first-apply"])
async def test_what_a_person_put_there_is_taken_out(by: str) -> None:
    world = await edited(by)
    ran = await world.heal()
    assert ran.problems == []
    assert ports_of(world) == [80]
    assert ran.actions == {"Service/s": "heal"}
    assert (await world.run()).quiet


async def test_who_counts_as_a_person_is_the_operators_to_say() -> None:
    world = await edited("k9s", operator=m.operator(fieldManagers={"people": ["k9s"]}))
    assert (await world.heal()).problems == []
    assert ports_of(world) == [80]


@pytest.mark.parametrize(
    ("by", "spec"),
    [
        ("another-tool", {}),
        ("kubectl-edit", {"sync": {"force": False}}),
        ("kubectl-edit", {"operator": m.operator(fieldManagers={"people": []})}),
        ("kubectl-edit", {"ignore": [{"jsonPointers": ["/spec/ports/port=83"]}]}),
    ],
    ids=["another tool", "no force", "no people", "ignored"],
)
async def test_what_is_not_to_be_taken_out_is_named_with_its_manager(by: str, spec: dict[str, object]) -> None:
    world = await edited(by, **spec)
    ran = await world.heal()
    assert ran.problems == ["ObjectInvalid Service/s"]
    assert ports_of(world) == [83]
    error = ran.error_of("Service/s")
    assert (error.facts["managers"], error.facts["items"]) == (by, 'spec.ports[port=83,protocol="TCP"]')
    assert error.facts["field"] == "spec.ports[1].name"
    assert "spec.ignore" in error.hint


async def test_later_commits_are_applied_once_it_is_out() -> None:
    world = await edited("kubectl-edit")
    world.push({"s.yaml": service(81)})
    assert (await world.run()).problems == []
    assert ports_of(world) == [81]


async def test_a_refusal_that_involves_no_other_manager_is_reported_as_it_is() -> None:
    world = Installation(files={"s.yaml": service()})
    await world.run()
    world.edit("Service/s", "metadata", "annotations", "note", to="x", by="another-tool")
    world.server.admission.append(
        lambda key, _: (_ for _ in ()).throw(ObjectInvalidError("field is required", field="spec.x", object=key))
    )
    world.push({"s.yaml": service(81)})
    ran = await world.run()
    assert ran.problems == ["ObjectInvalid Service/s"]
    assert ran.error_of("Service/s").message == "field is required"
    assert ran.writes == ["apply Service/s: ObjectInvalid"]
