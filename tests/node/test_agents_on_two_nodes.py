"""Several agents under load: they are scaled, drained, upgraded and lose a node, and nothing is lost, reverted or applied twice."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from load import Load

from agent.installation.choices import IMAGE, Mode
from bench.handover import judge
from testbed.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Generator

    from testbed.node.installation import PodInstallation

NEXT = "signet:next"
DEPLOYMENT = ("deployment/signet-agent", "-n", "signet-system")


@pytest.fixture(scope="module")
def load(installation: PodInstallation) -> Generator[Load]:
    made = Load(installation, 8)
    yield made
    made.end()


def test_one_agent_becomes_three_and_one_again(installation: PodInstallation, load: Load) -> None:
    with load.committing():
        installation.controlplane.kubectl("scale", *DEPLOYMENT, "--replicas=3")
        pods = installation.wait_ready(3)
        _until_owned(load, pods)
        _ = wait_until(lambda: len(set(load.owners().values())) > 1, 60, "they share", interval=0.5)
        installation.controlplane.kubectl("scale", *DEPLOYMENT, "--replicas=1")
        _until_owned(load, installation.wait_ready(1))

    load.until_applied()
    assert not load.faults()


def test_a_node_is_drained(installation: PodInstallation, load: Load) -> None:
    busy, other = _busy_and_other(load, installation.run_as("--high-availability", count=2))
    drained, left = busy["spec"]["nodeName"], other["spec"]["nodeName"]
    assert drained != left

    with load.committing():
        installation.controlplane.kubectl(
            "drain", drained, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=120s"
        )
        after = installation.wait_ready(2)
        assert _nodes(after) == {left}
        _until_owned(load, after)
        installation.controlplane.kubectl("uncordon", drained)

    load.until_applied()
    assert not load.faults()


def test_an_upgrade_and_the_way_back_write_nothing(installation: PodInstallation, load: Load) -> None:
    _until_owned(load, installation.run_as("--high-availability", count=2))
    load.until_applied()
    for node in installation.nodes.nodes:
        node.tag_image(f"docker.io/library/{IMAGE}", f"docker.io/library/{NEXT}")
    versions, since = load.versions(), time.time()

    for image in (NEXT, IMAGE):
        installation.install("--high-availability", image=image)
        installation.controlplane.kubectl("rollout", "status", *DEPLOYMENT, "--timeout=120s")
        after = installation.wait_ready(2)
        assert {pod["spec"]["containers"][0]["image"] for pod in after} == {image}
        _until_owned(load, after)

    assert load.versions() == versions
    assert not [call for call in load.calls() if judge.is_write(call) and call.received >= since]
    load.commit()
    load.until_applied()
    assert not load.faults()


def test_a_node_loses_its_power_for_a_minute(installation: PodInstallation, load: Load) -> None:
    pods = installation.run_as(mode=Mode.DAEMON_SET, count=2)
    assert _nodes(pods) == {node.name for node in installation.nodes.nodes}
    lost, kept = _busy_and_other(load, pods)
    node = installation.nodes.node(lost["spec"]["nodeName"])

    with load.committing():
        owners = load.owners()
        held = {namespace: owner for namespace, owner in owners.items() if owner == lost["metadata"]["name"]}
        since = time.time()
        node.stop()
        _until_owned(load, [kept])
        _ = wait_until(lambda: not installation.controlplane.node_is_ready(node.name), 60, "the node is missed")
        _ = wait_until(lambda: time.time() > since + 60, 60, "a minute is over", interval=1)
        node.start()
        after = installation.wait_ready(2)
        assert {pod["metadata"]["uid"] for pod in after} == {pod["metadata"]["uid"] for pod in pods}
        _ = wait_until(lambda: load.owners() == owners, 60, "it has its share again", interval=0.5)

    load.until_applied()
    assert not load.faults()
    assert judge.taken_over(load.calls(), held, since=since).keys() == held.keys()
    for pod in after:
        assert "verified" in installation.verify_trail(pod)


def _names(pods: list[dict[str, Any]]) -> set[str]:
    return {pod["metadata"]["name"] for pod in pods}


def _nodes(pods: list[dict[str, Any]]) -> set[str]:
    return {pod["spec"]["nodeName"] for pod in pods}


def _busy_and_other(load: Load, pods: list[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Of two pods first the one that runs most Applications: names decide, so that it may run all."""
    _until_owned(load, pods)
    owners = list(load.owners().values())
    other, busy = sorted(pods, key=lambda pod: owners.count(pod["metadata"]["name"]))
    return busy, other


def _until_owned(load: Load, pods: list[dict[str, Any]]) -> None:
    """Until every Application is run by one of these."""
    _ = wait_until(lambda: set(load.owners().values()) <= _names(pods), 60, "others took over", interval=0.5)
