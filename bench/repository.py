"""`python -m bench.repository`: 100 Applications of one repository, and a commit that changes ten of them.

One of the ten is asked for a run; the others hear of the commit from it.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from typing import TYPE_CHECKING

from bench import counters
from testbed.controlplane import ControlPlane
from testbed.gitserver import GitServer
from testbed.installation import Installation
from testbed.openbao import OpenBao
from testbed.processes import terminated_as_interrupt, wait_until

if TYPE_CHECKING:
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
    path = f"/apis/signet-gitops.dev/v1alpha1/namespaces/{tenant.namespace}/applications"
    items = tenant.controlplane.get(path)["items"]
    return [
        item["metadata"]["name"]
        for item in items
        if f"@{commit[:12]}" in str(item.get("status", {}).get("checkedRevision"))
    ]


def changed(tenant: Tenant, value: str) -> int:
    """How many ConfigMaps have a value."""
    items = tenant.controlplane.get(tenant.path("configmaps"))["items"]
    return sum(item.get("data", {}).get("value") == value for item in items)


def measure(installation: Installation, tenant: Tenant, number: int, touched: int, count: int) -> dict[str, object]:
    """One commit: seconds from asking for a run to the first object, to all of them, and to every status."""
    counters.wait_at_rest(installation.controlplane)
    commit = tenant.commit(files(touched, str(number)))
    git = installation.gitserver
    git.requests.clear()
    before = counters.server_calls(installation.controlplane)
    process = installation.agent.process
    assert process is not None
    cpu = counters.usage(process.pid).cpu
    annotations = {"signet-gitops.dev/requested-at": str(number)}
    path = f"/apis/signet-gitops.dev/v1alpha1/namespaces/{tenant.namespace}/applications/app-000"
    began = time.monotonic()
    _ = tenant.controlplane.merge(path, {"metadata": {"annotations": annotations}})
    times: dict[str, float] = {}

    def looked() -> bool:
        objects = changed(tenant, str(number)) if "objects" not in times else touched
        now = time.monotonic() - began
        if objects:
            times.setdefault("first", now)
        if objects == touched:
            times.setdefault("objects", now)
        return "objects" in times and len(at(tenant, commit)) == count

    wait_until(looked, 120, "every status", interval=0.02)
    times["all"] = time.monotonic() - began
    asked = [each for each in git.requests if each.user and each.path.endswith("/info/refs")]
    calls = counters.server_calls(installation.controlplane) - before
    return {
        **{name: round(value, 2) for name, value in times.items()},
        "git": len(asked),
        "writes": {name: found for name, found in calls.items() if not name.startswith(("GET", "LIST"))},
        "cpu": round(counters.usage(process.pid).cpu - cpu, 2),
        "load": round(os.getloadavg()[0], 1),
    }


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
