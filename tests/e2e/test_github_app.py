"""An Application whose repository is read by a GitHub App. A stub stands for GitHub; the Git server takes the tokens that it hands out."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from manifests_written import config_map

from testbed import binaries
from testbed.agent import ROOT
from testbed.githubapp import GitHubApp

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.installation import Installation, Tenant


@pytest.fixture
def github(installation: Installation) -> Iterator[GitHubApp]:
    """A stub that the operator allows."""
    with GitHubApp(installation.gitserver) as running:
        installation.configure(git={"allowedHosts": [urlsplit(installation.gitserver.url).netloc, running.netloc]})
        yield running
        installation.configure()


def test_the_steps_of_the_documentation_lead_to_an_application(
    installation: Installation, tenant: Tenant, github: GitHubApp, tmp_path: Path
):
    section = (ROOT / "docs/operations.md").read_text().split("### GitHub Apps\n")[1].split("\n##")[0]
    (step,) = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    assert "-n shop" in step
    (tmp_path / "app.private-key.pem").write_text(github.pem())
    (tmp_path / "ca.crt").write_text(github.secret()["ca.crt"])
    ours = f"-n {tenant.namespace} --from-literal=githubAppBaseURL={github.url} --from-file=ca.crt"
    tenant.controlplane.delete(tenant.path("secrets", "git"))
    programs = f"{Path(sys.executable).parent}:{binaries.path('kubectl').parent}"
    kubeconfig = str(tenant.controlplane.kubeconfig(tmp_path / "kubeconfig"))
    subprocess.run(
        ["bash", "-e", "-c", step.replace("-n shop", ours)],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "KUBECONFIG": kubeconfig},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    installation.canaries[f"github-app-{github.netloc}"] = github.pem().splitlines()[3]
    installation.gitserver.requests.clear()
    tenant.deploy({"settings.yaml": config_map("settings", value="1")})
    assert tenant.data("settings") == {"value": "1"}
    (token,) = github.tokens
    installation.canaries[f"github-token-{github.netloc}"] = token
    path = f"/{tenant.repository.url.rpartition('/')[2]}"
    asked = {each.user for each in installation.gitserver.requests if each.path.startswith(path) and each.user}
    assert asked == {"x-access-token"}
