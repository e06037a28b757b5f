"""An agent that is asked to stop finishes what it does; one that is killed leaves nothing behind that the next one cannot repair."""

from __future__ import annotations

import random
import signal
from typing import TYPE_CHECKING

from manifests_written import config_map

from bench import soak
from testbed.processes import wait_until

if TYPE_CHECKING:
    from testbed.installation import Installation, Tenant

MANY = 150


def test_sigterm_during_a_sync_finishes_it_and_leaves_no_lease(installation: Installation, tenant: Tenant):
    tenant.deploy({f"{number}.yaml": config_map(f"n{number}", value="1") for number in range(MANY)})
    agent = installation.agent
    process = agent.process
    assert process is not None
    _ = tenant.commit({f"{number}.yaml": config_map(f"n{number}", value="2") for number in range(MANY)})
    before = agent.audit_file.stat().st_size
    _ = tenant.request()
    wait_until(lambda: agent.audit_file.stat().st_size > before, 60, "the sync begins", interval=0.002)

    process.signal(signal.SIGTERM)
    code = process.wait(40)
    agent.process = None

    lease = f"/apis/coordination.k8s.io/v1/namespaces/{agent.namespace}/leases/signet-agent-{agent.name}"
    gone = installation.controlplane.request("GET", lease)[0]
    report = soak.audited(installation)
    values = [tenant.data(f"n{number}")["value"] for number in range(MANY)]
    mine = tenant.audit()
    agent.start()

    assert code == 0
    assert gone == 404
    assert values == ["2"] * MANY, "what was begun is finished"
    assert report.unanchored == 0
    phases = [record["phase"] for record in mine]
    assert phases.count("intent") == phases.count("outcome") >= 2 * MANY
    assert tenant.sync().ready
    assert tenant.audit() == mine, "nothing was left to do"


def test_twenty_kills_at_random_moments_of_a_sync_leave_no_trace(installation: Installation, tenant: Tenant):
    chance = random.Random(20)
    history = soak.History(tenant, chance)
    history.begin()

    for _ in range(20):
        _ = history.commit()
        _ = tenant.request()
        _ = soak.killed(installation.agent, chance)

    soak.converged(history)
    assert soak.audited(installation).records > 20
