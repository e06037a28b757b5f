"""An Application whose repository is reached over SSH: pushes are applied, and keys of both sides change while it runs."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import asyncssh
import pytest
from manifests_written import config_map

from testbed import binaries
from testbed.agent import ROOT
from testbed.sshserver import SshServer, host_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.installation import Installation, Report, Tenant


@pytest.fixture
def server(installation: Installation) -> Iterator[SshServer]:
    """A server that the operator allows."""
    with SshServer() as running:
        hosts = [urlsplit(installation.gitserver.url).netloc, running.netloc]
        installation.configure(git={"allowedHosts": hosts})
        yield running
        installation.configure()


def hand_over(tenant: Tenant, key: asyncssh.SSHKey, known_hosts: str) -> None:
    """Write the Secret that `spec.source.credentials` names."""
    text = key.export_private_key().decode()
    tenant.installation.canaries[f"deploy-key-{len(tenant.installation.canaries)}"] = text.splitlines()[3]
    private = base64.b64encode(key.pyca_key.private_bytes_raw()).decode()
    tenant.installation.canaries[f"deploy-key-{len(tenant.installation.canaries)}"] = private
    tenant.put_secret("git", {"identity": text, "known_hosts": known_hosts})


def refused(tenant: Tenant, value: str) -> str:
    """What is said of a push that cannot be read, while the last one stays."""
    before = tenant.data("settings")
    report: Report = tenant.sync({"settings.yaml": config_map("settings", value=value)})
    assert tenant.data("settings") == before
    return report.failure(reason="Source")["message"]


def test_an_application_over_ssh_follows_pushes_and_new_keys(
    installation: Installation, tenant: Tenant, server: SshServer
):
    key = host_key()
    tenant.repository = server.create(tenant.namespace, key)
    hand_over(tenant, key, server.known_hosts)
    tenant.deploy({"settings.yaml": config_map("settings", value="1")})
    assert tenant.data("settings") == {"value": "1"}
    tenant.sync({"settings.yaml": config_map("settings", value="2")})
    assert tenant.data("settings") == {"value": "2"}

    # another deploy key
    rotated = host_key()
    server.revoke(key)
    server.grant(tenant.namespace, rotated)
    message = refused(tenant, "3")
    assert "the Git server refuses the deploy key" in message
    assert f"credentials Secret {tenant.namespace}/" in message
    hand_over(tenant, rotated, server.known_hosts)
    tenant.sync()
    assert tenant.data("settings") == {"value": "3"}

    # another host key
    server.stop()
    server.host_keys = (host_key(),)
    server.start()
    assert "the Git server shows another host key than the one in known_hosts" in refused(tenant, "4")
    hand_over(tenant, rotated, server.known_hosts)
    tenant.sync()
    tenant.until_ready()
    assert tenant.data("settings") == {"value": "4"}
    agent = installation.agent
    assert not [path for path in (agent.folder, agent.memory) for file in path.rglob("*") if file.name == "identity"]


def test_the_steps_of_the_documentation_lead_to_an_application(tenant: Tenant, server: SshServer, tmp_path: Path):
    """Only the name of the host, which has another port here, and the namespace are replaced."""
    section = (ROOT / "docs/operations.md").read_text().split("### Git over SSH\n")[1].split("\n##")[0]
    steps = "\n".join(re.findall(r"```sh\n(.*?)```", section, re.DOTALL))
    for printed, ours in {"git.example.com": server.netloc, "-n shop": f"-n {tenant.namespace}"}.items():
        assert printed in steps
        steps = steps.replace(printed, ours)
    tenant.controlplane.delete(tenant.path("secrets", "git"))
    programs = f"{Path(sys.executable).parent}:{binaries.path('kubectl').parent}"
    subprocess.run(
        ["bash", "-e", "-c", steps],
        cwd=tmp_path,
        env={
            **os.environ,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "KUBECONFIG": str(tenant.controlplane.kubeconfig(tmp_path / "kubeconfig")),
        },
        stdout=subprocess.DEVNULL,
        check=True,
    )
    key = asyncssh.read_public_key(tmp_path / "deploy-key.pub")
    tenant.repository = server.create(tenant.namespace, key)
    tenant.deploy({"settings.yaml": config_map("settings", value="1")})
    assert tenant.data("settings") == {"value": "1"}
    assert not (tmp_path / "deploy-key").exists()
