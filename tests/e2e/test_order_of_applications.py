"""`spec.dependsOn` on real servers: a chain of three, what is reported of those that wait, and how soon the next one starts."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import runs_ended
from manifests_written import config_map

from testbed.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed.installation import Installation, Tenant

SOON = 5.0
"""Seconds from the status that says that the one is ready to the first object of the next, on a machine that is busy otherwise. Nothing that
waits for an interval, of an hour here, or tries again, from two seconds on, would keep to it."""


def load_balancer(name: str) -> str:
    """A Service that is healthy once it has an address, which it never gets here."""
    spec = {"type": "LoadBalancer", "selector": {"app": name}, "ports": [{"port": 80}]}
    return json.dumps({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec})


def files(value: str) -> dict[str, str]:
    return {
        "db/balancer.yaml": load_balancer("db"),
        "db/config.yaml": config_map("db", value=value),
        "api/config.yaml": config_map("api", value=value),
        "web/config.yaml": config_map("web", value=value),
    }


def stands(tenant: Tenant) -> bool:
    return all(tenant.application.condition(kind).get("status") == "True" for kind in ("Ready", "Healthy"))


def first(*checks: Callable[[], object]) -> list[float]:
    """When each of these holds first, in this order of asking."""
    times: dict[int, float] = {}

    def look() -> bool:
        for number, check in enumerate(checks):
            if number not in times and check():
                times[number] = time.monotonic()
        return len(times) == len(checks)

    wait_until(look, 60, "the chain", interval=0.01)
    return [times[number] for number in range(len(checks))]


def test_a_chain_waits_link_by_link_and_each_starts_at_once(installation: Installation, tenant: Tenant):
    tenant.commit(files("1"))
    db, api, web = (tenant.second(name) for name in ("db", "api", "web"))
    for each, needs in ((web, ["api"]), (api, ["db"]), (db, [])):
        depends_on = [{"name": name} for name in needs]
        each.configure(source=tenant.source(each.application.name), dependsOn=depends_on)

    waiting = api.until(lambda report: "not healthy" in report.condition("Waiting").get("message", ""), "waits")
    at = f"main@{tenant.repository.head()[:12]}"
    assert waiting.condition("Ready") == {**waiting.condition("Waiting"), "type": "Ready", "status": "False"}
    assert waiting.condition("Waiting")["message"] == (
        f"{at}: waits for an Application that it depends on "
        f"(dependency {tenant.namespace}/db, because it is not healthy: Progressing)"
    )
    web.until(
        lambda report: "it waits itself: DependencyNotReady" in report.condition("Waiting").get("message", ""), "waits"
    )
    assert tenant.get("configmaps", "db") is not None
    assert tenant.get("configmaps", "api") is tenant.get("configmaps", "web") is None

    address = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}
    installation.controlplane.merge(f"{tenant.path('services', 'db')}/status", address)
    times = first(
        lambda: stands(db),
        lambda: tenant.get("configmaps", "api"),
        lambda: stands(api),
        lambda: tenant.get("configmaps", "web"),
    )
    assert times[1] - times[0] < SOON
    assert times[3] - times[2] < SOON

    # one run is asked for, of the first; the others have an interval of an hour
    wait_until(lambda: stands(web), 60, "the whole chain")
    tenant.commit(files("2"))
    db.sync()
    names = [f"ConfigMap {tenant.namespace}/{name}" for name in ("db", "api", "web")]

    def updated() -> list[str]:
        done = (each for each in tenant.audit() if (each["phase"], each.get("action")) == ("outcome", "update"))
        return [each["object"] for each in done if each.get("object") in names]

    wait_until(lambda: len(updated()) == len(names), 60, "the second commit everywhere")
    assert updated() == names
    assert tenant.data("web") == {"value": "2"}


def test_a_commit_that_leaves_a_dependency_is_said_for_those_that_wait_for_it(tenant: Tenant) -> None:
    tenant.commit({f"{name}/config.yaml": config_map(name, value="1") for name in ("db", "api", "cache")})
    db, api, cache, web = (tenant.second(name) for name in ("db", "api", "cache", "web"))
    for each in (db, cache):
        each.configure(source=tenant.source(each.application.name))
    api.configure(source=tenant.source("api"), dependsOn=[{"name": "db"}])
    for each in (db, cache, api):
        each.until(lambda report: report.ready, "ready")
    second = tenant.commit({"api/config.yaml": config_map("api", value="2")})
    api.request()
    wait_until(lambda: tenant.data("api") == {"value": "2"}, 60, "the second commit")
    assert f"@{second[:12]}" in str(db.application.status()["checkedRevision"])

    since, before = runs_ended.at_rest([cache]), cache.application.status()
    third = tenant.commit({"web/config.yaml": config_map("web", value="3")})
    db.request()
    runs_ended.wait_for_all([cache], since)
    assert cache.application.status() == before, "none waits for it yet"
    web.configure(source=tenant.source("web"), dependsOn=[{"name": "cache"}])
    wait_until(lambda: tenant.get("configmaps", "web"), 60, "the third commit")
    assert f"@{third[:12]}" in str(cache.application.status()["checkedRevision"])
