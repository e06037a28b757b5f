"""The operator's file while the agent runs: what is written is in force, an invalid one is reported and changes nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from manifests_written import config_map

from testbed.processes import wait_until

if TYPE_CHECKING:
    from testbed.agent import Agent
    from testbed.installation import Installation, Tenant


def valid(agent: Agent) -> str:
    found = re.search(r"^signet_operator_file_valid (\S+)$", agent.metrics(), re.MULTILINE)
    assert found
    return found[1]


def test_an_invalid_file_is_reported_and_the_one_before_stays(installation: Installation, tenant: Tenant):
    agent, value = installation.agents[0], installation.canary("operator")
    before = agent.operator_file.read_text()
    assert valid(agent) == "1.0"
    for wrong in (f"git: {{allowedHosts: {{'{value}': 1}}}}\n", f"'{value}", None):
        started = len(agent.logs())
        if wrong is None:
            agent.operator_file.unlink()
        else:
            agent.operator_file.write_text(wrong)
        wait_until(lambda since=started: "the operator's file is invalid" in agent.logs()[since:], 60, "reported")
        assert valid(agent) == "0.0"
    tenant.deploy({"a.yaml": config_map("a", value="1")})
    assert tenant.data("a") == {"value": "1"}
    assert value not in agent.logs()

    agent.operator_file.write_text(before)
    wait_until(lambda: valid(agent) == "1.0", 60, "valid again")
    agent.wait_in_force()
