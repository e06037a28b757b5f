"""A workload whose replicas may be left to others, and an installation that applied it."""

from __future__ import annotations

from whole_runs import manifests as m
from whole_runs.installation import Installation

REPLICAS = ("spec", "replicas")
WORKLOAD = {"w.yaml": m.workload(replicas=3)}


async def applied(files: dict[str, str] = WORKLOAD, **spec: object) -> Installation:
    world = Installation(files=files, **spec)
    world.stores.write("kv/db", password="first")
    assert (await world.run()).problems == []
    return world
