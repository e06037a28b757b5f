"""Objects that run to an end, and how they finish and go away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memory_world.sealed_files import encrypt

from whole_runs import manifests as m
from whole_runs.installation import Installation

if TYPE_CHECKING:
    from agent.api.status import ApplicationStatus

JOB = "Job/migrate"
APPLIED = [f"apply {JOB}"]
PLACE = {"group": "example.com", "kind": "TrainJob", "path": "spec.password"}
COMPLETE, FAILED = [{"type": "Complete", "status": "True"}], [{"type": "Failed", "status": "True"}]


def job(image: str = "web:1", ttl: int | None = 1, annotations: dict[str, str] | None = None, **spec: object) -> str:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": image}]}}
    lifetime = {"ttlSecondsAfterFinished": ttl} if ttl is not None else {}
    return m.other("Job", "migrate", "batch/v1", annotations, spec={"template": template, **lifetime, **spec})


def pod(policy: str = "Never") -> str:
    return m.other("Pod", "once", spec={"restartPolicy": policy, "containers": [{"name": "a", "image": "web:1"}]})


def custom(kind: str, api_version: str, **spec: object) -> str:
    return m.other(kind, "once", api_version, spec=spec or {"steps": 1})


def train(password: str = "canary", annotations: dict[str, str] | None = None) -> str:
    spec = {"ttlSecondsAfterFinished": 5, "password": password}
    return m.other("TrainJob", "once", "example.com/v1", annotations, spec=spec)


async def trained(plain: str, **spec: object) -> tuple[Installation, dict[str, str]]:
    """An encrypted one, which was applied."""
    files = {"crd.yaml": definition("TrainJob", "example.com/v1"), "x.yaml": encrypt(plain, "x.yaml")}
    world = Installation(files=files, operator=m.operator(sinks={"customResources": [PLACE]}), **spec)
    assert (await world.run()).problems == []
    return world, files


def definition(kind: str, api_version: str) -> str:
    group, _, version = api_version.rpartition("/")
    text = m.definition(kind).replace("example.com", group)
    return text.replace('"name": "v1"', f'"name": "{version}"')


def condition(status: ApplicationStatus, kind: str) -> tuple[str, str, str]:
    found = next(each for each in status.conditions if each.type == kind)
    return found.status, found.reason, found.message


async def applied(text: str, **spec: object) -> Installation:
    world = Installation(files={"x.yaml": text, "a.yaml": m.config()}, **spec)
    assert (await world.run()).problems == []
    return world


def finish(world: Installation, name: str = JOB, *, how: list[dict[str, str]] = COMPLETE) -> None:
    world.edit(name, "status", "conditions", to=how, by="kube-controller-manager", subresource="status")


async def gone(world: Installation, name: str = JOB) -> Installation:
    """It finished, a run saw that, and it went."""
    finish(world, name)
    assert (await world.run("live")).quiet
    world.delete(name)
    return world
