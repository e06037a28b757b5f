"""The agent as a Deployment under Pod Security `restricted`: what it deploys is read by real pods, and it survives what ends its process."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from load import pods_by_credential
from workloads import config_map, digest, reader, secret, until_read

from agent.daemon import memory
from testbed.cluster import KubectlError
from testbed.installation import Report
from testbed.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Generator

    from testbed.installation import Tenant
    from testbed.node.installation import PodInstallation

_DEPLOYMENT = ("deployment", "signet-agent", "-n", "signet-system")
TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"
HOGS = """\
import os, time
for _ in range(40):
    if not os.fork():
        block = bytearray(os.urandom(4096) * 4096)
        time.sleep(30)
        os._exit(0)
    time.sleep(0.05)
time.sleep(30)
"""
"""Forty processes, each with far less memory than the agent, so that it is the one that the kernel chooses."""


KEYS = 442_000
"""In a file that is as large as the agent reads one: 884,000 keys and values, more than an API server takes in one object."""


@pytest.fixture
def greedy(installation: PodInstallation) -> Generator[Tenant]:
    made = installation.tenant("greedy")
    yield made
    made.retire()
    _ = installation.controlplane.delete(f"/api/v1/namespaces/{made.namespace}")


@pytest.fixture
def pod(installation: PodInstallation) -> dict[str, Any]:
    (found,) = installation.wait_ready(1)
    return found


def test_pods_read_secrets_of_git_and_of_the_store(installation: PodInstallation, tenant: Tenant) -> None:
    sealed, stored = installation.canary("sealed"), installation.canary("stored")
    path = f"apps/{tenant.namespace}"
    _ = installation.openbao.put(path, {"password": stored}, mount=installation.mount)
    reference = f"vault://main/{installation.mount}/{path}#password"

    _ = tenant.deploy(
        {
            "sealed.yaml": tenant.seal(secret("sealed", password=sealed)),
            "stored.yaml": secret("stored", password=reference),
            "web.yaml": reader("web", sealed="password", stored="password"),
        }
    )
    until_read(tenant, "web", {"sealed": digest(sealed), "stored": digest(stored)})

    rotated = installation.canary("rotated")
    _ = installation.openbao.put(path, {"password": rotated}, mount=installation.mount)

    until_read(tenant, "web", {"sealed": digest(sealed), "stored": digest(rotated)})


def test_the_agent_is_as_confined_as_restricted_asks(installation: PodInstallation, pod: dict[str, Any]) -> None:
    status = installation.exec(pod, "cat", "/proc/1/status")
    fields = {name: value.split() for name, _, value in (line.partition(":") for line in status.splitlines())}

    assert fields["Uid"] == ["65532"] * 4
    assert {int(fields[name][0], 16) for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert fields["NoNewPrivs"] == ["1"]
    assert fields["Seccomp"] == ["2"]
    with pytest.raises(KubectlError, match="Read-only file system"):
        installation.exec(pod, "python3", "-c", "open('/opt/x', 'w')")

    root = {"securityContext": {"runAsUser": 0}, "containers": [{"name": "a", "image": "a"}]}
    code, answer = installation.controlplane.request(
        "POST",
        "/api/v1/namespaces/signet-system/pods?dryRun=All",
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "root"}, "spec": root},
    )
    assert (code, "violates PodSecurity" in answer["message"]) == (403, True)


def test_a_check_within_the_pod_finds_nothing_to_cure(
    installation: PodInstallation, tenant: Tenant, pod: dict[str, Any]
) -> None:
    _ = tenant.deploy({"a.yaml": config_map("a", value="1")})

    lines = json.loads(installation.exec(pod, "agent", "check", "-o", "json"))

    assert not [line for line in lines if line["result"] in {"failed", "warning"}]
    fine = {(line["check"], line["what"].partition(" ")[0]) for line in lines if line["result"] == "ok"}
    assert {("memory", "is"), ("store", "answers;"), ("Git server", "accepts"), ("agents", "an")} <= fine


def test_a_token_that_the_kubelet_renews_is_used(
    installation: PodInstallation, tenant: Tenant, pod: dict[str, Any]
) -> None:
    log = installation.controlplane.audit_file
    assert log is not None
    name = pod["metadata"]["name"]
    before = installation.exec(pod, "cat", TOKEN)
    known = {each for each, owner in pods_by_credential(log.read_text()).items() if owner == name}
    assert known

    # a kubelet that starts asks for new tokens, and puts them in the place of those that stand
    installation.nodes.node(pod["spec"]["nodeName"]).restart_kubelet()
    _ = wait_until(lambda: _token(installation, pod) not in {"", before}, 60, "another token", interval=0.5)

    def used() -> bool:
        now = {each for each, owner in pods_by_credential(log.read_text()).items() if owner == name}
        return bool(now - known)

    _ = wait_until(used, 60, "a request with the new token", interval=0.5)
    assert tenant.deploy({"a.yaml": config_map("a", value="1")}).ready
    (after,) = installation.wait_ready(1)
    assert _restarts(after) == _restarts(pod)


def test_a_commit_at_the_limits_ends_no_agent_and_a_neighbour_is_served_meanwhile(
    installation: PodInstallation, tenant: Tenant, greedy: Tenant, pod: dict[str, Any]
) -> None:
    _ = tenant.deploy({"a.yaml": config_map("a", value="1")})
    lines = "".join(f"  k{number:x}: a\n" for number in range(KEYS))
    _ = greedy.commit({"a.yaml": f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: many}}\ndata:\n{lines}"})
    greedy.application.apply(greedy.spec())

    assert tenant.sync({"a.yaml": config_map("a", value="2")}, seconds=180).ready
    assert not Report(greedy.application.status()).condition("Ready"), "it is still being read"
    report = greedy.until(lambda found: bool(found.condition("Ready")), "an end", seconds=300)

    assert report.failure(reason="ObjectInvalid")["message"].startswith("object is larger than the API server accepts")
    (after,) = installation.wait_ready(1)
    for each in ("restartCount", "lastState"):
        assert after["status"]["containerStatuses"][0][each] == pod["status"]["containerStatuses"][0][each]
    status = Path(f"/proc/{installation.processes(after)[0]}/status").read_text()
    assert int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) * 1024 <= memory.SHIPPED


def test_a_killed_agent_comes_back_and_goes_on(
    installation: PodInstallation, tenant: Tenant, pod: dict[str, Any]
) -> None:
    _ = tenant.deploy({"a.yaml": config_map("a", value="1")})

    os.kill(installation.processes(pod)[0], signal.SIGKILL)
    _ = tenant.commit({"a.yaml": config_map("a", value="2")})
    _ = tenant.request()

    assert tenant.until_ready(seconds=120).ready
    assert tenant.data("a") == {"value": "2"}
    (after,) = installation.wait_ready(1)
    assert after["metadata"]["name"] == pod["metadata"]["name"]
    assert _restarts(after) == _restarts(pod) + 1
    assert "verified" in installation.verify_trail(after)


def test_an_agent_that_takes_more_than_its_limit_comes_back_and_goes_on(
    installation: PodInstallation, tenant: Tenant
) -> None:
    _ = tenant.deploy({"a.yaml": config_map("a", value="1")})
    _limit(installation, "256Mi")
    (pod,) = installation.pods()

    installation.controlplane.kubectl(
        "exec", "-n", "signet-system", pod["metadata"]["name"], "--", "python3", "-c", HOGS, check=False
    )

    after = wait_until(lambda: _ended(installation), 60, "the container ended", interval=0.5)
    assert after["lastState"]["terminated"]["reason"] == "OOMKilled"
    _ = tenant.commit({"a.yaml": config_map("a", value="2")})
    _ = tenant.request()
    assert tenant.until_ready(seconds=120).ready
    assert tenant.data("a") == {"value": "2"}
    (pod,) = installation.wait_ready(1)
    assert "verified" in installation.verify_trail(pod)

    installation.install("--force-conflicts")
    _wait_rolled_out(installation)


def _token(installation: PodInstallation, pod: dict[str, Any]) -> str:
    """Empty while the kubelet does not answer."""
    try:
        return installation.exec(pod, "cat", TOKEN)
    except KubectlError:
        return ""


def _restarts(pod: dict[str, Any]) -> int:
    return pod["status"]["containerStatuses"][0]["restartCount"]


def _limit(installation: PodInstallation, memory: str) -> None:
    container = {"name": "agent", "resources": {"limits": {"memory": memory}}}
    patch = {"spec": {"template": {"spec": {"containers": [container]}}}}
    installation.controlplane.kubectl("patch", *_DEPLOYMENT, "--patch", json.dumps(patch))
    _wait_rolled_out(installation)


def _wait_rolled_out(installation: PodInstallation) -> None:
    installation.controlplane.kubectl("rollout", "status", *_DEPLOYMENT, "--timeout=120s")
    _ = installation.wait_ready(1)


def _ended(installation: PodInstallation) -> dict[str, Any] | None:
    (pod,) = installation.pods()
    (container,) = pod["status"]["containerStatuses"]
    return container if container["restartCount"] else None
