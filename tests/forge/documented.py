"""The steps of *Webhooks* in docs/operations.md, as they are printed: only addresses and the user's login are replaced."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from base64 import b64decode
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from testbed.agent import NAMESPACE, ROOT

if TYPE_CHECKING:
    from testbed.gitea import Hosted
    from testbed.installation import Installation

_SECTION = (ROOT / "docs/operations.md").read_text().split("### Webhooks\n")[1].split("\n## ")[0]


@dataclass(frozen=True, slots=True)
class Webhooks:
    """`webhooks` of the operator's file, for Gitea, and the folder where the steps left the secret."""

    settings: dict[str, Any]
    folder: Path
    port: int

    def add(self, repository: Hosted, *, secret: str = "") -> int:
        """The step that adds the webhook at Gitea, with another secret where one is given; its number there."""
        forge, folder = repository.forge, self.folder
        if secret:
            folder = folder / "wrong"
            folder.mkdir(exist_ok=True)
            (folder / "webhook-shop").write_text(secret)
        found = _run(
            _step("api/v1"),
            folder,
            {
                "--user dev ": f"--user {forge.username}:{forge.password} ",
                "https://gitea.example.com/api/v1/repos/shop/deploy": f"{forge.url}/api/v1{repository.path}",
                "https://hooks.example.com": f"http://127.0.0.1:{self.port}",
            },
        )
        return int(json.loads(found)["id"])


def prepare(installation: Installation, folder: Path) -> Webhooks:
    """The steps up to the Secret of the operator's file, which is mounted then as a kubelet does."""
    cluster = installation.controlplane
    (printed,) = re.findall(r"```yaml\n(.*?)```", _SECTION, re.DOTALL)
    settings = yaml.safe_load(printed)["webhooks"]
    settings["shop"]["sender"] = "gitea"
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "signet-operator", "namespace": NAMESPACE},
            "stringData": {"operator.yaml": yaml.safe_dump({"webhooks": settings})},
        }
    )
    config = cluster.kubeconfig(folder / "kubeconfig")
    _run(_step("openssl rand"), folder, {}, KUBECONFIG=str(config))
    secret = cluster.get(f"/api/v1/namespaces/{NAMESPACE}/secrets/signet-operator")["data"]
    mounted = installation.agent.operator_file.parent
    (mounted / "webhook-shop").write_bytes(b64decode(secret["webhook-shop"]))
    found = yaml.safe_load(b64decode(secret["operator.yaml"]))["webhooks"]
    found["shop"]["secretFile"] = str(mounted / Path(found["shop"]["secretFile"]).name)
    return Webhooks(found, folder, installation.agent.hook_port)


def _step(part: str) -> str:
    """The one that has a word of it."""
    (found,) = (each for each in re.findall(r"```sh\n(.*?)```", _SECTION, re.DOTALL) if part in each)
    return found


def _run(step: str, folder: Path, replaced: dict[str, str], **environment: str) -> str:
    for printed, ours in replaced.items():
        assert printed in step
        step = step.replace(printed, ours)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # kubectl is there
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", step],
        cwd=folder,
        env={**os.environ, **environment, "PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout
