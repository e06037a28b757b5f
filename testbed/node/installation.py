"""The agent in pods on real nodes, installed as an operator does it: by `agent install` and a Secret with the operator's file."""

from __future__ import annotations

import subprocess
import sys
import time
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
_TRAIL: Final = "/var/lib/signet/audit.jsonl"
_ROLE: Final = "signet"
_PODS: Final = f"/api/v1/namespaces/{NAMESPACE}/pods"


class PodInstallation(Installation):
    """The agent of `nodes`. Its tenants are those of Installation; it logs in to OpenBao with the token that the kubelet projects."""

    def __init__(self, nodes: Nodes, gitserver: GitServer, openbao: OpenBao) -> None:
        super().__init__(nodes.controlplane, gitserver, openbao)
        self.nodes: Nodes = nodes
        self.began: float = time.time()

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
        return self._command(*arguments, "--kubeconfig", str(config))

    def _command(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "agent.cli.main", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
        if done.returncode:
            raise ProcessError(f"agent {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def run_as(self, *options: str, mode: Mode = Mode.DEPLOYMENT, count: int = 1) -> list[dict[str, Any]]:
        """Uninstall the agent and install it again in another form; its pods, when they are Ready. Keys, records and Applications stay."""
        self.agent_command("uninstall", "--yes")
        _ = wait_until(lambda: not self._items(), 60, "no pod of the agent is left", interval=0.2)
        self.install(*options, mode=mode)
        return self.wait_ready(count)

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
        settings = {
            "git": git,
            "probeIntervalSeconds": 5,
            "stores": {STORE: store},
            "audit": {"file": _TRAIL},
            **more,
        }
        data = {"operator.yaml": yaml.safe_dump(settings), _AUTHORITY: self.openbao.ca_pem or ""}
        metadata = {"name": OPERATOR, "namespace": NAMESPACE}
        _ = self.controlplane.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data})

    def pods(self) -> list[dict[str, Any]]:
        """The agent's pods that are not being deleted."""
        return [pod for pod in self._items() if "deletionTimestamp" not in pod["metadata"]]

    def _items(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.controlplane.get(f"{_PODS}?labelSelector=app.kubernetes.io/name%3Dsignet")[
            "items"
        ]
        return found

    def processes(self, pod: Mapping[str, Any]) -> list[int]:
        """The processes of an agent's pod as this machine counts them, the agent first."""
        node = self.nodes.node(pod["spec"]["nodeName"])
        return node.processes(pod["status"]["containerStatuses"][0]["containerID"])

    def exec(self, pod: Mapping[str, Any], *command: str) -> str:
        """Standard output of a command in an agent's pod. Raises KubectlError."""
        return self.controlplane.kubectl("exec", "-n", NAMESPACE, pod["metadata"]["name"], "--", *command)

    def verify_trail(self, pod: Mapping[str, Any]) -> str:
        """What `agent audit verify` says of a pod's trail, against its anchor in the cluster. Raises ProcessError where it does not verify."""
        name = pod["metadata"]["name"]
        trail, anchor = (self.supervisor.folder / f"{name}.{what}" for what in ("jsonl", "anchor.json"))
        _ = anchor.write_text(
            self.controlplane.kubectl("get", "configmap", "-n", NAMESPACE, f"signet-audit-{name}", "-o", "json")
        )
        _ = trail.write_text(self.exec(pod, "cat", _TRAIL))
        return self._command("audit", "verify", str(trail), "--anchor", str(anchor))

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
