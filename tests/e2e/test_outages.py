"""Servers that are away: the cluster stays as it is, everything that does not need them goes on, and their return is enough."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from manifests_written import config_map, secret

from testbed.processes import wait_until

if TYPE_CHECKING:
    from testbed.installation import Installation, Report, Tenant

LEASE_SECONDS = 12.0
OUTAGE_SECONDS = 30.0
"""After ten seconds without a renewal the agent's Lease no longer lets it write."""


def held(installation: Installation, tenant: Tenant) -> set[str]:
    """Why objects of a tenant are held, as /metrics says."""
    counted = installation.agent.metrics()
    return set(
        re.findall(
            rf'^signet_held_objects{{.*namespace="{tenant.namespace}".*reason="(\w+)"}} 1', counted, re.MULTILINE
        )
    )


def test_a_sealed_vault_holds_what_it_should_give(installation: Installation, tenant: Tenant):
    first, second = installation.canary("sealed"), installation.canary("sealed")
    reference = f"vault://main/{installation.mount}/apps/{tenant.namespace}#password"
    installation.openbao.put(f"apps/{tenant.namespace}", {"password": first}, mount=installation.mount)
    tenant.deploy(
        {
            "db.yaml": secret("db", password=reference),
            "other.yaml": config_map("other", value="1"),
            "leaving.yaml": config_map("leaving", value="1"),
        }
    )
    installation.openbao.put(f"apps/{tenant.namespace}", {"password": second}, mount=installation.mount)

    with installation.openbao.sealed():
        report = tenant.sync(
            {
                "db.yaml": secret("db", password=reference, user="shop"),
                "other.yaml": config_map("other", value="2"),
                "leaving.yaml": None,
            }
        )
        failure = report.failure(object=f"Secret {tenant.namespace}/db", reason="StoreUnavailable")
        assert failure["field"] == "stringData.password"
        assert "main" in failure["message"]
        assert report.condition("Reconciling")["status"] == "True", "it is tried again without anybody's doing"
        assert held(installation, tenant) == {"StoreUnavailable"}
        assert tenant.secret("db")["password"] in {first, second}
        assert "user" not in tenant.secret("db")
        assert tenant.data("other") == {"value": "2"}
        assert tenant.data("leaving") == {"value": "1"}

    tenant.until_ready(seconds=90)
    assert tenant.secret("db") == {"password": second, "user": "shop"}
    assert tenant.get("configmaps", "leaving") is None
    assert not held(installation, tenant)


def test_a_sealed_vault_says_why_for_as_long_as_it_is_sealed(installation: Installation, tenant: Tenant):
    reference = f"vault://main/{installation.mount}/apps/{tenant.namespace}#password"
    installation.openbao.put(f"apps/{tenant.namespace}", {"password": "x"}, mount=installation.mount)
    tenant.deploy({"db.yaml": secret("db", password=reference)})

    with installation.openbao.sealed():
        first = tenant.sync({"db.yaml": secret("db", password=reference, user="shop")})
        tries = {first.failure(reason="StoreUnavailable")["retryAt"]}
        failures: set[tuple[str, str]] = set()

        def seen(report: Report) -> bool:
            failure = report.failure(reason="StoreUnavailable")
            failures.add((failure["message"].partition(" (")[0], failure["hint"]))
            tries.add(failure["retryAt"])
            ready = report.condition("Ready")["message"]
            assert "the store is sealed" in ready
            assert ready.endswith(f"next attempt {failure['retryAt']}")
            return len(tries) == 3

        report = tenant.until(seen, "two more tries", seconds=90)
        assert failures == {("the store is sealed", "unseal it")}
        assert len(report.status["history"]) == 2, "one entry for the deployment, one for the outage"
        tenant.until_event("StoreUnavailable")
        events = [message for reason, message in tenant.events() if reason == "StoreUnavailable"]
        assert len(events) == 1
        assert "the store is sealed" in events[0]

    tenant.until_ready(seconds=90)


def test_git_away_leaves_healing_at_work(installation: Installation, tenant: Tenant):
    tenant.deploy({"a.yaml": config_map("a", value="1")}, interval="10s")

    with installation.gitserver.away():
        report = tenant.sync({"a.yaml": config_map("a", value="2")})
        failure = report.failure(reason="SourceUnavailable")
        assert failure["message"]
        assert tenant.data("a") == {"value": "1"}
        tenant.controlplane.merge(tenant.path("configmaps", "a"), {"data": {"value": "by hand"}})
        tenant.until(lambda _: tenant.data("a") == {"value": "1"}, "healed without Git")

    tenant.until_ready(seconds=90)
    assert tenant.data("a") == {"value": "2"}


def test_an_apiserver_away_for_half_a_minute_is_outlasted(installation: Installation, tenant: Tenant):
    value = installation.canary("away")
    tenant.deploy(
        {
            "a.yaml": config_map("a", value="1"),
            "db.yaml": tenant.seal(secret("db", password=value)),
            "leaving.yaml": config_map("leaving", value="1"),
        },
        interval="10s",
    )
    _ = tenant.commit({"a.yaml": config_map("a", value="2"), "leaving.yaml": None})

    gone = time.monotonic()
    with installation.controlplane.apiserver_away():
        wait_until(lambda: time.monotonic() - gone > OUTAGE_SECONDS, 60, "the Lease has run out long ago")
        assert installation.agent.process is not None
        assert installation.agent.process.alive

    tenant.until_ready(seconds=60)
    assert tenant.data("a") == {"value": "2"}
    assert tenant.secret("db") == {"password": value}
    assert tenant.get("configmaps", "leaving") is None


def test_drift_is_seen_after_watches_were_cut(installation: Installation, tenant: Tenant):
    tenant.deploy({"a.yaml": config_map("a", value="1"), "b.yaml": config_map("b", value="1")})

    with installation.controlplane.apiserver_away():
        pass
    tenant.controlplane.merge(tenant.path("configmaps", "a"), {"data": {"value": "by hand"}})
    tenant.controlplane.delete(tenant.path("configmaps", "b"))

    tenant.until(lambda _: tenant.data("a") == {"value": "1"} and tenant.data("b") == {"value": "1"}, "healed")


def test_an_apiserver_that_hangs_is_outlasted(installation: Installation, tenant: Tenant):
    tenant.deploy({"a.yaml": config_map("a", value="1")}, interval="10s")

    began = time.monotonic()
    with installation.controlplane.apiserver_paused():
        _ = tenant.commit({"a.yaml": config_map("a", value="2")})
        wait_until(lambda: time.monotonic() - began > LEASE_SECONDS, 60, "the Lease runs out")

    tenant.until_ready(seconds=90)
    assert tenant.data("a") == {"value": "2"}
