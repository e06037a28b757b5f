"""What the probes of a Pod see of an agent that starts, that has no rights, and whose cluster is away: the process is the same all along."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from testbed import agent as agents
from testbed.agent import NAMESPACE, SERVICE_ACCOUNT, Agent
from testbed.controlplane import ControlPlane
from testbed.processes import Supervisor, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def cluster() -> Iterator[ControlPlane]:
    """Without anything of the agent, except its ServiceAccount."""
    with ControlPlane() as running:
        running.create_namespace(NAMESPACE)
        metadata = {"name": SERVICE_ACCOUNT, "namespace": NAMESPACE}
        running.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
        yield running


def says(agent: Agent, status: int, words: str) -> None:
    wait_until(lambda: agent.probe("/readyz") == (status, words), 90, f"{agent.name}: {words}")
    assert agent.probe("/healthz") == (200, "ok")


def test_probes_tell_why_an_agent_does_not_work_and_restart_none(cluster: ControlPlane):
    with Supervisor() as supervisor:
        first, second = (Agent(cluster, supervisor, name=f"agent-{number}") for number in range(2))
        for agent in (first, second):
            agent.configure({})
        process = first.launch()
        says(first, 503, "no rights")
        assert "signet-installation" in first.logs()
        first.write({"probeIntervalSeconds": 7})
        agents.install(cluster)
        says(first, 200, "ok")
        first.wait_in_force()

        cluster.stop_apiserver()
        says(first, 503, "cluster away")
        cluster.start_apiserver()
        says(first, 200, "ok")

        # the rights that it had, and needs in order to keep its Lease
        binding = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}/rolebindings/{SERVICE_ACCOUNT}"
        taken = cluster.get(binding)
        cluster.delete(binding)
        says(first, 503, "no rights")
        cluster.apply({**taken, "metadata": {"name": SERVICE_ACCOUNT, "namespace": NAMESPACE}})
        says(first, 200, "ok")

        words, variables = second.launched(cluster.service_account_token(NAMESPACE, SERVICE_ACCOUNT), {})
        cluster.stop_apiserver()
        second.process = late = supervisor.start("agent-1", words, env=variables, cwd=agents.ROOT)
        says(second, 503, "cluster away")
        cluster.start_apiserver()
        says(second, 200, "ok")
        assert process.alive
        assert late.alive
        for agent in (first, second):
            agent.close()
