"""The API server's own audit log tells who wrote what, agents apart by their tokens, and holds no Secret."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from testbed import agent as agents
from testbed.agent import Agent
from testbed.controlplane import ControlPlane
from testbed.processes import Supervisor

if TYPE_CHECKING:
    from collections.abc import Generator


@pytest.fixture(scope="module")
def audited() -> Generator[ControlPlane]:
    with ControlPlane(audit=True) as running:
        yield running


def events(cluster: ControlPlane, **reference: str) -> list[dict[str, object]]:
    found = [json.loads(line) for line in cluster.audit_file.read_text().splitlines()]
    return [event for event in found if reference.items() <= event.get("objectRef", {}).items()]


def test_writes_are_logged_with_what_was_stored_and_reads_are_not(audited: ControlPlane):
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"key": "value"}}
    audited.apply(body)
    audited.get("/api/v1/namespaces/default/configmaps/a")
    audited.delete("/api/v1/namespaces/default/configmaps/a")

    applied, deleted = events(audited, resource="configmaps", namespace="default", name="a")
    assert (applied["verb"], applied["responseObject"]["data"]) == ("patch", {"key": "value"})
    assert int(applied["responseObject"]["metadata"]["resourceVersion"]) > 0
    assert (deleted["verb"], deleted["responseObject"]["details"]["name"]) == ("delete", "a")


def test_secrets_are_logged_without_their_bodies(audited: ControlPlane):
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "stringData": {"key": "canary-of-log"}}
    audited.apply(body)

    [event] = events(audited, resource="secrets", name="a")
    assert (event["level"], event["verb"]) == ("Metadata", "patch")
    text = audited.audit_file.read_text()
    assert "canary-of-log" not in text
    assert "Y2FuYXJ5LW9mLWxvZ" not in text


def test_agents_are_distinguished_by_their_tokens_though_they_impersonate(audited: ControlPlane):
    agents.install(audited)
    agents.tenant(audited, "team")
    with Supervisor() as supervisor:
        both = [Agent(audited, supervisor), Agent(audited, supervisor, name="agent-0", label="twin")]
        names: set[str] = set()
        running = []
        for agent in both:
            agent.configure({"git": {"allowedHosts": ["git.example.com"]}})
            agent.start()
            names.add(agent.credentials[0])
            running.append(agent.running)
            agent.close()
    leases = events(audited, resource="leases", namespace=agents.NAMESPACE)
    seen = {event["user"]["extra"]["authentication.kubernetes.io/credential-id"][0] for event in leases}
    assert len(names) == 2
    assert names <= seen
    assert running == [True, True]
