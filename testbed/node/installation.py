"""The agent in pods on real nodes, installed as an operator does it: by `agent install` and a Secret with the operator's file."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import yaml

from agent.installation.choices import AGENT, IMAGE, NAMESPACE, OPERATOR, Mode
from testbed.agent import ROOT
from testbed.installation import POLICY, STORE, Installation
from testbed.processes import ProcessError, wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testbed.gitserver import GitServer
    from testbed.node.nodes import Nodes
    from testbed.openbao import OpenBao

_AUTHORITY: Final = "store-ca.crt"
_ROLE: Final = "signet"
_PODS: Final = f"/api/v1/namespaces/{NAMESPACE}/pods"


class PodInstallation(Installation):
    """The agent of `nodes`. Its tenants are those of Installation; it logs in to OpenBao with the token that the kubelet projects."""

    def __init__(self, nodes: Nodes, gitserver: GitServer, openbao: OpenBao) -> None:
        super().__init__(nodes.controlplane, gitserver, openbao)
        self.nodes: Nodes = nodes

    def start(self) -> None:
        """Install a Deployment with one agent, configure the store, and wait until the agent is Ready."""
        self.openbao.enable_kv(self.mount)
        self.openbao.put_policy(self.mount, POLICY.format(mount=self.mount))
        self.openbao.enable_kubernetes_auth(self.controlplane)
        self.openbao.put_kubernetes_role(_ROLE, service_accounts=[AGENT], namespaces=[NAMESPACE], policies=[self.mount])
        self.install()
        self.configure()
        self.wait_ready()

    def install(self, *options: str, mode: Mode = Mode.DEPLOYMENT, image: str = IMAGE) -> None:
        """`agent install --apply`, with further options."""
        self.agent_command("install", "--mode", mode.value, "--image", image, "--apply", *options)

    def agent_command(self, *arguments: str) -> str:
        """Standard output of the agent's command line, as the administrator. Raises ProcessError."""
        config = self.controlplane.kubeconfig(self.controlplane.folder / "admin.kubeconfig")
        command = [sys.executable, "-m", "agent.cli.main", *arguments, "--kubeconfig", str(config)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
        if done.returncode:
            raise ProcessError(f"agent {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def configure(self, **more: object) -> None:
        """Write the operator's Secret, with further settings of its file in `more`."""
        store = {
            "address": self.openbao.url,
            "caFile": f"/etc/signet/{_AUTHORITY}",
            "auth": {"kubernetes": {"role": _ROLE}},
            "allowedPaths": [f"{self.mount}/apps/**"],
            "allowedNamespaces": ["*"],
        }
        git = {"allowedHosts": [urlsplit(self.gitserver.url).netloc]}
        settings = {"git": git, "probeIntervalSeconds": 5, "stores": {STORE: store}, **more}
        data = {"operator.yaml": yaml.safe_dump(settings), _AUTHORITY: self.openbao.ca_pem or ""}
        metadata = {"name": OPERATOR, "namespace": NAMESPACE}
        _ = self.controlplane.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data})

    def pods(self) -> list[dict[str, Any]]:
        """The agent's pods that are not being deleted."""
        found: list[dict[str, Any]] = self.controlplane.get(f"{_PODS}?labelSelector=app.kubernetes.io/name%3Dsignet")[
            "items"
        ]
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def wait_ready(self, count: int = 1, *, seconds: float = 120.0) -> list[dict[str, Any]]:
        """Until exactly `count` pods of the agent are there, all Ready; those. Raises NotReadyError with their states and logs."""

        def ready() -> list[dict[str, Any]] | None:
            pods = self.pods()
            return pods if len(pods) == count and all(is_ready(pod) for pod in pods) else None

        try:
            return wait_until(ready, seconds, f"{count} pods of the agent are Ready", interval=0.2)
        except Exception as error:
            for pod in self.pods():
                error.add_note(f"{pod['metadata']['name']}: {pod['status']}")
            error.add_note(self.logs()[-4000:])
            raise

    def logs(self) -> str:
        """What the pods' containers printed, those before a restart included."""
        selector = ("-n", NAMESPACE, "-l", "app.kubernetes.io/name=signet", "--tail=-1", "--prefix")
        now = self.controlplane.kubectl("logs", *selector, check=False)
        return self.controlplane.kubectl("logs", *selector, "--previous", check=False) + now


def is_ready(pod: Mapping[str, Any]) -> bool:
    """What a pod's condition Ready says."""
    return any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", []))
