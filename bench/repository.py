"""`python -m bench.repository`: 100 Applications of one repository, and a commit that changes ten of them.

One of the ten is asked for a run; the others hear of the commit from it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp
import orjson

from bench import counters
from bench.writers import session
from testbed.agent import API
from testbed.controlplane import ControlPlane
from testbed.gitserver import GitServer
from testbed.installation import Installation
from testbed.openbao import OpenBao
from testbed.processes import terminated_as_interrupt, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed.installation import Tenant


def config(number: int, value: str) -> str:
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": f"config-{number:03}"},
            "data": {"value": value},
        }
    )


def files(count: int, value: str) -> dict[str, str]:
    """A layer for each of `count` Applications."""
    return {f"apps/{number:03}/config.json": config(number, value) for number in range(count)}


def create(tenant: Tenant, count: int) -> None:
    """The Applications, each Ready."""
    tenant.commit(files(count, "0"))
    for number in range(count):
        body = {
            "apiVersion": "signet-gitops.dev/v1alpha1",
            "kind": "Application",
            "metadata": {"name": f"app-{number:03}", "namespace": tenant.namespace},
            "spec": {"source": tenant.source(f"apps/{number:03}"), "interval": "1h"},
        }
        tenant.controlplane.apply(body)
    wait_until(lambda: len(at(tenant, tenant.repository.head())) == count, 300, "all Applications", interval=0.2)


def at(tenant: Tenant, commit: str) -> list[str]:
    """The Applications whose status says that they looked at a commit."""
    items = tenant.controlplane.get(_applications(tenant))["items"]
    return [item["metadata"]["name"] for item in items if _looked(item, commit)]


def _applications(tenant: Tenant) -> str:
    return f"{API}/namespaces/{tenant.namespace}/applications"


def _looked(application: dict[str, Any], commit: str) -> bool:
    return f"@{commit[:12]}" in str(application.get("status", {}).get("checkedRevision"))


@dataclass(slots=True)
class Seen:
    """When, in monotonic seconds, each object had the new value and each Application's status named the commit, as watches show it."""

    value: str
    commit: str
    objects: dict[str, float] = field(default_factory=dict[str, float])
    statuses: dict[str, float] = field(default_factory=dict[str, float])

    def look(self, live: dict[str, Any]) -> None:
        name, now = live["metadata"]["name"], time.monotonic()
        if live["kind"] == "ConfigMap" and live.get("data", {}).get("value") == self.value:
            _ = self.objects.setdefault(name, now)
        if live["kind"] == "Application" and _looked(live, self.commit):
            _ = self.statuses.setdefault(name, now)


async def follow(tenant: Tenant, seen: Seen, begin: Callable[[], object], touched: int) -> float:
    """When `begin` was called; returns when all that changes is seen. Watches, since lists again and again would cost more than what is measured."""
    cluster = tenant.controlplane
    paths = (_applications(tenant), tenant.path("configmaps"))
    versions = [cluster.get(f"{path}?limit=1")["metadata"]["resourceVersion"] for path in paths]
    done = asyncio.Event()

    async def watch(http: aiohttp.ClientSession, path: str, version: str) -> None:
        url = f"{cluster.url}{path}?watch=true&resourceVersion={version}"
        async with http.get(url, timeout=aiohttp.ClientTimeout(total=None), read_bufsize=2**20) as answer:
            async for line in answer.content:
                seen.look(orjson.loads(line)["object"])
                if len(seen.objects) == touched <= len(seen.statuses):
                    done.set()

    async with session(cluster, cluster.admin_token) as http, asyncio.timeout(120):
        watches = [asyncio.create_task(watch(http, *each)) for each in zip(paths, versions, strict=True)]
        began = time.monotonic()
        _ = await asyncio.to_thread(begin)
        _ = await done.wait()
        for each in watches:
            _ = each.cancel()
        _ = await asyncio.gather(*watches, return_exceptions=True)
    return began


def measure(installation: Installation, tenant: Tenant, number: int, touched: int, count: int) -> dict[str, object]:
    """One commit: seconds from asking for a run to the first object, to all of them, to their Applications' statuses, and to the end of every run.

    The Applications that the commit leaves show by the ends of their runs alone.
    """
    cluster, git, process = installation.controlplane, installation.gitserver, installation.agent.process
    assert process is not None
    counters.wait_at_rest(cluster)
    seen = Seen(str(number), tenant.commit(files(touched, str(number))))
    git.requests.clear()
    before, cpu = counters.server_calls(cluster), counters.usage(process.pid).cpu
    request = {"metadata": {"annotations": {"signet-gitops.dev/requested-at": str(number)}}}
    path = f"{_applications(tenant)}/app-000"
    began = asyncio.run(follow(tenant, seen, lambda: cluster.merge(path, request), touched))
    wall = time.time() - (time.monotonic() - began)
    ends = wait_until(lambda: _ends(installation, wall, count), 60, "every run", interval=0.2)
    cpu = counters.usage(process.pid).cpu - cpu
    calls = counters.server_calls(cluster) - before
    asked = [each for each in git.requests if each.user and each.path.endswith("/info/refs")]
    return {
        "first": round(min(seen.objects.values()) - began, 2),
        "objects": round(max(seen.objects.values()) - began, 2),
        "statuses": round(max(seen.statuses.values()) - began, 2),
        "all": round(max(ends) - wall, 2),
        "git": len(asked),
        "writes": {name: found for name, found in calls.items() if not name.startswith(("GET", "LIST"))},
        "cpu": round(cpu, 2),
        "load": round(os.getloadavg()[0], 1),
    }


def _ends(installation: Installation, since: float, count: int) -> list[float]:
    """When the last run of each Application ended, in Unix seconds; nothing until a run of each did `since`."""
    ended = counters.samples(installation.agent.metrics(), "signet_run_ended_timestamp_seconds")
    found = [at for _, at in ended if at > since]
    return found if len(found) == count else []


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.repository", description=__doc__)
    _ = parser.add_argument("--applications", type=int, default=100, metavar="N", help="default: 100")
    _ = parser.add_argument("--changed", type=int, default=10, metavar="N", help="default: 10")
    _ = parser.add_argument("--rounds", type=int, default=5, metavar="N", help="default: 5")
    options = parser.parse_args()
    with (
        terminated_as_interrupt(),
        ControlPlane() as cluster,
        GitServer() as git,
        OpenBao() as bao,
        Installation(cluster, git, bao) as installation,
    ):
        installation.start()
        tenant = installation.tenant("bench")
        create(tenant, options.applications)
        for number in range(1, options.rounds + 1):
            print(measure(installation, tenant, number, options.changed, options.applications), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
