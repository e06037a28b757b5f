"""`agent install` and `agent uninstall` on a real control plane."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from agent.api import names
from agent.installation import objects
from agent.installation.choices import Choices, Mode
from testbed import agent as agents
from testbed.controlplane import ControlPlane
from testbed.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Generator

    from conftest import Shell

WORKLOADS = "/apis/apps/v1/namespaces/signet-system"


@pytest.fixture
def cluster(shell: Shell) -> Generator[ControlPlane]:
    """A control plane of its own: an uninstallation takes the definition away from everybody."""
    with ControlPlane() as controlplane:
        shell.env("KUBECONFIG", str(controlplane.kubeconfig(shell.folder / "kubeconfig")))
        yield controlplane


def exists(cluster: ControlPlane, path: str) -> bool:
    return cluster.request("GET", path)[0] == 200


def is_going(found: dict[str, Any]) -> dict[str, Any] | None:
    return found["metadata"] if "deletionTimestamp" in found["metadata"] else None


@pytest.mark.parametrize("mode", Mode)
def test_install_prints_what_is_chosen(shell: Shell, mode: Mode):
    printed = shell.agent("install", "--mode", mode.value, "--namespace", "gitops", "--image", "r/s:1", "-o", "json")
    wanted = objects.of(Choices(mode=mode, namespace="gitops", image="r/s:1"))
    assert json.loads(printed.out)["items"] == wanted
    assert b"signet-system" not in printed.out


def test_high_availability_is_refused_beside_a_daemon_set(shell: Shell):
    refused = shell.agent("install", "--mode", "DaemonSet", "--high-availability")
    assert refused.code == 2
    assert "--high-availability is for a Deployment" in refused.err


def test_an_installation_from_its_first_to_its_last_command(shell: Shell, cluster: ControlPlane):
    early = shell.agent("bootstrap", "early", "--url", "https://git.example.com/r.git", "--no-recovery", "--yes")
    assert early.code == 2
    assert "install the agent first: agent install --apply" in early.err
    first = shell.agent("install", "--apply")
    assert first.code == 0, first.err
    assert b"applied Deployment signet-agent" in first.out
    assert "create the Secret signet-operator" in first.err
    # a newer version, other choices
    second = shell.agent("install", "--apply", "--mode", "DaemonSet", "--image", "signet:0.2.0")
    assert second.code == 0, second.err
    assert "kubectl delete deployments signet-agent -n signet-system" in second.err
    # of another field manager
    cluster.kubectl("set", "image", "-n", "signet-system", "daemonset/signet-agent", "agent=signet:9")
    conflict = shell.agent("install", "--apply", "--mode", "DaemonSet")
    assert conflict.code == 2
    assert "kubectl-set" in conflict.err
    assert shell.agent("install", "--apply", "--mode", "DaemonSet", "--force-conflicts").code == 0

    agents.tenant(cluster, "shop")
    cluster.create(
        "/api/v1/namespaces/shop/configmaps",
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied", "namespace": "shop"}},
    )
    application = {
        "apiVersion": f"{names.GROUP}/{names.VERSION}",
        "kind": "Application",
        "metadata": {"name": "shop", "namespace": "shop", "finalizers": [names.FINALIZER, "example.com/other"]},
        "spec": {
            "source": {"url": "https://git.example.com/shop.git", "revision": {"branch": "main"}},
            "deletionPolicy": "prune",
        },
    }
    path = f"{agents.API}/namespaces/shop/applications"
    cluster.create(path, application)

    asked = shell.agent("uninstall")
    assert asked.code == 1
    assert b"Applications: 1" in asked.out
    assert exists(cluster, f"{WORKLOADS}/daemonsets/signet-agent")

    removed = shell.agent("uninstall", "--yes")
    assert removed.code == 0, removed.err
    for gone in ("deployments", "daemonsets"):
        assert not exists(cluster, f"{WORKLOADS}/{gone}/signet-agent")
    assert not exists(cluster, "/apis/rbac.authorization.k8s.io/v1/clusterroles/signet-agent")
    assert exists(cluster, "/api/v1/namespaces/signet-system")
    assert exists(cluster, f"{path}/shop")

    everything = shell.agent("uninstall", "--yes", "--all")
    assert everything.code == 0, everything.err
    # only a finalizer of others keeps it
    left = wait_until(lambda: is_going(cluster.get(f"{path}/shop")), 30, "the Application is deleted")
    assert left["finalizers"] == ["example.com/other"]
    assert exists(cluster, "/api/v1/namespaces/shop/configmaps/applied")
    assert shell.agent("uninstall", "--yes").code == 0
