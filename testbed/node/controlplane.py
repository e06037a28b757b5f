"""The testbed's control plane for real nodes: with a scheduler, without kwok, at an address that nodes reach."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, ClassVar

from testbed.controlplane import ControlPlane
from testbed.node.plan import SERVERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from testbed.node.plan import Place

_PROBE_POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "probe"},
    "spec": {"containers": [{"name": "probe", "image": "probe"}]},
}


class NodesControlPlane(ControlPlane):
    """Nodes at `places` may join it, each with a token of its own and the rights of a node. It writes an audit log."""

    programs: ClassVar[tuple[str, ...]] = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")

    def __init__(self, places: Sequence[Place]) -> None:
        self._tokens: dict[str, str] = {
            name: secrets.token_hex(16) for name in ("scheduler", "proxy", *(place.name for place in places))
        }
        self._places: list[Place] = list(places)
        super().__init__(host=SERVERS, audit=True)

    def node_kubeconfig(self, name: str, path: Path) -> Path:
        """For the kubelet of a node."""
        return self.kubeconfig(path, self._tokens[name])

    def proxy_kubeconfig(self, path: Path) -> Path:
        """For kube-proxy."""
        return self.kubeconfig(path, self._tokens["proxy"])

    def node_is_ready(self, name: str) -> bool:
        """What the condition Ready of a node says."""
        status, node = self.request("GET", f"/api/v1/nodes/{name}")
        conditions: list[dict[str, str]] = node["status"].get("conditions", []) if status == 200 else []
        return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

    def _accounts(self) -> list[tuple[str, str, str]]:
        nodes = [(self._tokens[each.name], f"system:node:{each.name}", "system:nodes") for each in self._places]
        return [
            *super()._accounts(),
            (self._tokens["scheduler"], "system:kube-scheduler", "system:authenticated"),
            (self._tokens["proxy"], "system:kube-proxy", "system:authenticated"),
            *nodes,
        ]

    def _apiserver_arguments(self, program: Path, etcd: str) -> list[str]:
        certificate, key = self._authority.issue_client(self.folder, "apiserver-kubelet", "apiserver", "system:masters")
        return [
            *super()._apiserver_arguments(program, etcd),
            f"--advertise-address={SERVERS}",
            "--endpoint-reconciler-type=lease",
            "--authorization-mode=Node",
            "--enable-admission-plugins=NodeRestriction",
            f"--client-ca-file={self.ca_file}",
            f"--kubelet-client-certificate={certificate}",
            f"--kubelet-client-key={key}",
            "--kubelet-preferred-address-types=InternalIP",
        ]

    def _controller_arguments(self, paths: Mapping[str, Path]) -> dict[str, list[str]]:
        admin = self.kubeconfig(self.folder / "admin.kubeconfig")
        scheduler = self.kubeconfig(self.folder / "scheduler.kubeconfig", self._tokens["scheduler"])
        return {
            "kube-controller-manager": [
                *self._manager_arguments(paths["kube-controller-manager"], admin),
                "--node-monitor-period=1s",
                "--node-monitor-grace-period=12s",
            ],
            "kube-scheduler": [
                str(paths["kube-scheduler"]),
                f"--kubeconfig={scheduler}",
                "--leader-elect=false",
                "--secure-port=0",
            ],
        }

    def _make_node(self) -> None:
        """Nodes are started by themselves, and join."""

    def _runs_pods(self) -> bool:
        """Whether the service account controller is at work."""
        return self.request("POST", "/api/v1/namespaces/default/pods?dryRun=All", _PROBE_POD)[0] == 201
