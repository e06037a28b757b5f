"""README's *Install*, run as it is printed there, on two nodes; only what it says to edit is replaced."""

from __future__ import annotations

import base64
import os
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from agent.installation.choices import OPERATOR
from testbed import binaries
from testbed.agent import ROOT, Deployed

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from testbed.node.installation import PodInstallation

MANIFEST = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: database\nstringData:\n  password: {}\n"


@pytest.fixture
def bare(installation: PodInstallation) -> Generator[PodInstallation]:
    """The nodes without an agent; it is installed again at the end, as the other tests have it."""
    installation.agent_command("uninstall", "--yes")
    installation.controlplane.kubectl("delete", "secret", OPERATOR, "-n", "signet-system", "--ignore-not-found")
    yield installation
    installation.agent_command("uninstall", "--yes")
    installation.controlplane.kubectl("delete", "namespace", "shop", "--ignore-not-found", "--wait=false")
    installation.install()
    installation.configure()
    _ = installation.wait_ready()


@pytest.fixture
def desk(bare: PodInstallation, tmp_path: Path) -> Desk:
    return Desk(bare, tmp_path)


class Desk:
    """An operator's shell in an empty work tree, with the programs that README names."""

    def __init__(self, installation: PodInstallation, folder: Path) -> None:
        self.tree: Path = folder / "tree"
        self.programs: Path = folder / "programs"
        for each in (self.tree / "deploy", self.programs):
            each.mkdir(parents=True)
        (self.programs / "kubectl").symlink_to(binaries.path("kubectl"))
        self._kubeconfig: Path = installation.controlplane.kubeconfig(folder / "kubeconfig")

    def run(self, script: str) -> str:
        """What it prints; the test fails where a line of it does."""
        path = f"{self.programs}:{os.path.dirname(sys.executable)}:{os.environ['PATH']}"  # noqa: PTH120
        done = subprocess.run(
            ["bash", "-euc", f"trap 'echo \"FAILED: $BASH_COMMAND\" >&2' ERR\n{script}"],
            cwd=self.tree,
            env={**os.environ, "PATH": path, "HOME": str(self.tree), "KUBECONFIG": str(self._kubeconfig)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout


def test_the_steps_of_the_readme_lead_to_an_application(bare: PodInstallation, desk: Desk) -> None:
    server = bare.gitserver
    repository = server.create("readme")
    recovery = desk.run("agent keygen -o key.txt > /dev/null 2>&1; agent keygen -y key.txt").strip()
    (desk.tree / "token").write_text(server.password)
    (desk.tree / "ca.pem").write_text(server.ca_pem)
    example = (ROOT / "deploy" / "operator.yaml").read_text()
    edited = example.replace("git.example.com", urlsplit(server.url).netloc).partition("    stores:")[0]
    assert edited not in example
    (desk.tree / "deploy" / "operator.yaml").write_text(edited)
    steps = (ROOT / "README.md").read_text().split("## Install\n")[1].split("```sh\n")[1].split("```")[0]
    replaced = {
        "https://git.example.com/shop/deploy.git": repository.url,
        "age1…": recovery,
        "--username ci": f"--ca-file ca.pem --yes --username {shlex.quote(server.username)}",
    }
    for printed, ours in replaced.items():
        assert printed in steps, printed
        steps = steps.replace(printed, ours)

    *installing, last = steps.splitlines()
    printed = desk.run("\n".join(installing))
    assert server.password not in printed
    assert len({pod["spec"]["nodeName"] for pod in bare.wait_ready(2)}) == 2
    password = bare.canary("readme")
    manifest = desk.tree / "database.secret.yaml"
    manifest.write_text(MANIFEST.format(password))
    _ = desk.run("agent encrypt -i database.secret.yaml")
    commit = repository.commit({manifest.name: manifest.read_bytes()}, "Add a secret")
    _ = Deployed(bare.controlplane, "shop", "shop").wait("Ready", "True", revision=commit)
    live = bare.controlplane.get("/api/v1/namespaces/shop/secrets/database")["data"]
    assert base64.b64decode(live["password"]).decode() == password

    assert last == "agent check"
    assert password not in desk.run(last)
