"""What containerd, kubelet, kube-proxy and the pod network of a node are configured with, as text and JSON-like values.

They run on cgroup v1 and v2, without CAP_SYS_RESOURCE, without systemd, and beside another node on one machine.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.node.plan import Place

SOCKET: Final = "/run/containerd/containerd.sock"
"""Of containerd, as the node sees it; nodes have a /run each."""
KERNEL: Final = {
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1_000_000,
    "kernel/keys/root_maxbytes": 25_000_000,
}
"""What kubelet asks of /proc/sys. A node shows it these values, so that it changes nothing for the whole machine."""

KUBELET: Final = "/var/lib/kubelet"
"""Where a node sees the folder of its kubelet, since paths of sockets have to be short."""
_PLUGINS: Final = "/usr/lib/cni"


def containerd(folder: Path, content: Path, sandbox: str) -> str:
    """Containerd's configuration, version 2. It keeps all below `folder` and `content`; `sandbox` is the image of sandboxes."""
    return f"""\
version = 2
root = "{content}"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.tracing",
]

[grpc]
address = "{SOCKET}"

[plugins."io.containerd.internal.v1.opt"]
path = "{folder}/opt"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{sandbox}"
restrict_oom_score_adj = true
disable_hugetlb_controller = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{_PLUGINS}"
conf_dir = "{folder}/cni"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
"""


def pod_network(place: Place, folder: Path) -> str:
    """Of CNI: a pair of interfaces for each pod, with the node as its router."""
    ipam = {
        "type": "host-local",
        "ranges": [[{"subnet": place.pods}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": str(folder / "addresses"),
    }
    return json.dumps(
        {
            "cniVersion": "0.4.0",
            "name": "pods",
            "plugins": [{"type": "ptp", "ipMasq": False, "mtu": 1400, "ipam": ipam}],
        }
    )


def kubelet(place: Place, cgroup: str, client_authority: Path) -> dict[str, object]:
    """A KubeletConfiguration. `cgroup` is the path of its cgroup in every hierarchy, `client_authority` signs who may ask it."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": place.address,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(client_authority)},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroup,
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "failCgroupV1": False,
        "failSwapOn": False,
        "imageGCHighThresholdPercent": 100,
        "makeIPTablesUtilChains": False,
        "nodeLeaseDurationSeconds": 10,
        "nodeStatusUpdateFrequency": "5s",
        "oomScoreAdj": 0,
        "podLogsDir": f"{KUBELET}/logs",
        "protectKernelDefaults": True,
        "resolvConf": "",
        "syncFrequency": "5s",
        "volumePluginDir": f"{KUBELET}/volume-plugins",
    }


def kube_proxy(place: Place, kubeconfig: Path) -> dict[str, object]:
    """A KubeProxyConfiguration that leaves the kernel's settings of connection tracking as they are."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpCloseWaitTimeout": "0s",
            "tcpEstablishedTimeout": "0s",
        },
        "detectLocal": {"interfaceNamePrefix": "veth"},
        "detectLocalMode": "InterfaceNamePrefix",
        "hostnameOverride": place.name,
        "mode": "nftables",
    }
