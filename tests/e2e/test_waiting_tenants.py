"""What never becomes healthy keeps no other tenant waiting, however large it is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from manifests_written import config_map

from bench import counters
from testbed.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.installation import Installation, Tenant

BUDGET = 32 * 1024 * 1024
GATE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "gate", "annotations": {"signet-gitops.dev/wave": "1"}},
    "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
}
"""Healthy once it has an address, which it gets from nowhere."""
LARGE = {f"c{n}.yaml": config_map(f"c{n}", **{f"k{key}": "a" for key in range(1000)}) for n in range(8)}
"""More than what is small of the budget."""


def limit(installation: Installation) -> float:
    return counters.total(installation.agent.metrics(), "signet_manifest_bytes", state="limit")


@pytest.fixture(scope="module", autouse=True)
def little(installation: Installation) -> Iterator[None]:
    """Room for one large Application."""
    installation.configure(limits={"memoryBytes": BUDGET})
    wait_until(lambda: limit(installation) == BUDGET, 60, "the new limit")
    yield
    installation.configure()


def test_a_large_application_that_waits_for_health_leaves_its_room_to_another(
    installation: Installation, tenant: Tenant
) -> None:
    tenant.commit({"gate.yaml": json.dumps(GATE), **LARGE})
    tenant.configure(sync={"timeout": "1h"})
    wait_until(lambda: tenant.get("services", "gate"), 60, "the first wave")
    other = installation.tenant("other")
    report = other.deploy(LARGE)
    assert (report.ready, report.counts["applied"]) == (True, 8)
    assert tenant.get("configmaps", "c0") is None
    address = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}
    installation.controlplane.merge(f"{tenant.path('services', 'gate')}/status", address)
    report = tenant.until_ready()
    assert (report.counts["total"], report.counts["applied"], report.counts["failed"]) == (9, 9, 0)
    versions = {name: tenant.get(*name) for name in (("services", "gate"), ("configmaps", "c0"))}
    assert tenant.sync().ready
    assert {name: tenant.get(*name) for name in versions} == versions


CORRECTED = {"gate.yaml": json.dumps({**GATE, "spec": {**GATE["spec"], "type": "ClusterIP"}})}


def test_a_push_does_not_wait_until_what_it_corrects_is_given_up(tenant: Tenant) -> None:
    tenant.commit({"gate.yaml": json.dumps(GATE), "a.yaml": config_map("a", value="1")})
    tenant.configure(sync={"timeout": "1h"})
    wait_until(lambda: tenant.get("services", "gate"), 60, "the first wave")
    report = tenant.sync(CORRECTED)
    assert (report.ready, report.failures) == (True, [])
    assert tenant.data("a") == {"value": "1"}


def test_a_commit_that_no_webhook_announces_waits_for_a_poll_and_no_longer(tenant: Tenant) -> None:
    tenant.commit({"gate.yaml": json.dumps(GATE), "a.yaml": config_map("a", value="1")})
    tenant.configure(sync={"timeout": "1h"}, interval="10s")
    wait_until(lambda: tenant.get("services", "gate"), 60, "the first wave")
    tenant.commit(CORRECTED)
    wait_until(lambda: tenant.get("configmaps", "a"), 120, "what the next wave has")
    assert tenant.until_ready().failures == []


def test_an_application_that_waits_is_deleted_without_waiting(tenant: Tenant) -> None:
    tenant.commit({"gate.yaml": json.dumps(GATE), "a.yaml": config_map("a", value="1")})
    tenant.configure(sync={"timeout": "1h"}, deletionPolicy="prune")
    wait_until(lambda: tenant.get("services", "gate"), 60, "the first wave")
    tenant.controlplane.delete(tenant.application.path)
    wait_until(lambda: tenant.get("services", "gate") is None, 60, "its objects are deleted")
    wait_until(lambda: tenant.controlplane.request("GET", tenant.application.path)[0] == 404, 60, "it is gone")
