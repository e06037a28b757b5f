"""A node: containerd, kubelet and kube-proxy in namespaces for processes, mounts, network and host name."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from testbed import binaries
from testbed.node import folders, network, settings
from testbed.processes import ProcessError, wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from testbed.node.controlplane import NodesControlPlane
    from testbed.node.plan import Place
    from testbed.processes import Process, Supervisor

PROGRAMS = ("kubelet", "kube-proxy")
_INIT = Path(__file__).with_name("init.py")


class Node:
    """A node of `controlplane`. Its files are in a folder of the supervisor's, and outlast its processes as a disk does.

    `images` are archives that it has from the start, the first of them the image of sandboxes called `sandbox`. `cgroups` are the
    folders of the run's cgroup in every hierarchy. `content` is where containerd keeps images and the file systems of containers.
    """

    def __init__(
        self,
        place: Place,
        controlplane: NodesControlPlane,
        supervisor: Supervisor,
        *,
        sandbox: str,
        images: Sequence[Path],
        cgroups: Sequence[Path],
        content: Path,
    ) -> None:
        self.place: Place = place
        self.controlplane: NodesControlPlane = controlplane
        self.supervisor: Supervisor = supervisor
        self.folder: Path = supervisor.folder / place.name
        self._sandbox: str = sandbox
        self._images: list[Path] = list(images)
        self._content: Path = content
        self._cgroups: list[Path] = [each / place.name for each in cgroups]
        self._first: Process | None = None
        self._processes: dict[str, Process] = {}

    @property
    def name(self) -> str:
        return self.place.name

    def start(self) -> None:
        """Boot, with what its disk has. Returns when the node is Ready. Raises ProcessError."""
        self._furnish()
        network.connect(self.place, self.pid)
        self._start_containerd()
        self._start_kubelet()
        self._start_proxy()
        kubelet = self._processes["kubelet"]
        kubelet.wait_ready(lambda: self.controlplane.node_is_ready(self.name), 60)

    def stop(self) -> None:
        """The power fails: every process on it ends at once, and its network and mounts are gone. Its files stay."""
        for process in (*reversed(self._processes.values()), self._first):
            if process is not None:
                _ = process.kill()
        self._processes.clear()
        self._first = None
        _ = wait_until(self._is_dark, 60, f"{self.name}: no process is left")

    def restart_kubelet(self) -> None:
        """Containers run on meanwhile."""
        _ = self._processes["kubelet"].kill()
        self._start_kubelet()

    def tag_image(self, name: str, other: str) -> None:
        """Give an image another name."""
        _ = self.run(*_CTR, "images", "tag", name, other)

    @property
    def disk(self) -> list[Path]:
        """The folders with all its files: the kubelet's with logs, and containerd's. What pods have in memory shows in `root` alone."""
        return [self.folder, self._content]

    @property
    def root(self) -> Path:
        """Its file system as it is mounted on the node."""
        return Path(f"/proc/{self.pid}/root")

    def processes(self, container: str) -> list[int]:
        """The processes of a container, as this machine counts them, the first one first. `container` is a containerID of a pod's status."""
        (group,) = self._cgroups[0].rglob(container.removeprefix("containerd://"))
        return sorted(int(each) for each in (group / "cgroup.procs").read_text().split())

    def run(self, *command: str) -> str:
        """Standard output of a command on the node. Raises ProcessError."""
        done = subprocess.run(self._inside(*command), capture_output=True, text=True, check=False)
        if done.returncode:
            raise ProcessError(f"{self.name}: {' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    @property
    def pid(self) -> int:
        """Of its first process."""
        assert self._first is not None
        children = Path(f"/proc/{self._first.pid}/task/{self._first.pid}/children").read_text().split()
        return int(children[0])

    def _inside(self, *command: str | Path) -> list[str]:
        return ["nsenter", f"--target={self.pid}", "--pid", "--mount", "--net", "--uts", "--", *map(str, command)]

    def _furnish(self) -> None:
        self.folder.mkdir(exist_ok=True)
        for folder in self._cgroups:
            folders.remove(folder)
            folder.mkdir()
        sign = self.folder / "furnished"
        sign.unlink(missing_ok=True)
        shutil.rmtree(self.folder / "kernel", ignore_errors=True)
        shown = [f"{name}={value}" for name, value in settings.KERNEL.items()]
        self._first = self.supervisor.start(
            self.name,
            [
                *("unshare", "--pid", "--mount", "--net", "--uts", "--fork", "--kill-child", "--mount-proc"),
                *("--propagation=slave", "--", sys.executable, "-I", "-S", _INIT, self.folder, self.name, *shown),
            ],
        )
        self._first.wait_ready(sign.exists)

    def _start_containerd(self) -> None:
        folder = self.folder / "containerd"
        (folder / "cni").mkdir(parents=True, exist_ok=True)
        _ = (folder / "cni" / "pods.conflist").write_text(settings.pod_network(self.place, folder))
        config = folder / "config.toml"
        _ = config.write_text(settings.containerd(folder, self._content, self._sandbox))
        process = self._start("containerd", "containerd", f"--config={config}")
        process.wait_ready(self._containerd_answers)
        present = self.run(*_CTR, "images", "list", "--quiet")
        if self._sandbox not in present.split():
            for image in self._images:
                _ = self.run(*_CTR, "images", "import", str(image))

    def _start_kubelet(self) -> None:
        folder = self.folder / "kubelet"
        client_authority = self.controlplane.ca_file
        wanted = settings.kubelet(self.place, f"/{folders.name()}/{self.name}", client_authority)
        _ = self._start(
            "kubelet",
            binaries.path("kubelet"),
            f"--config={_written(folder / 'config.json', wanted)}",
            f"--kubeconfig={self.controlplane.node_kubeconfig(self.name, folder / 'kubeconfig')}",
            f"--root-dir={settings.KUBELET}",
            f"--cert-dir={settings.KUBELET}/certificates",
            f"--hostname-override={self.name}",
            f"--node-ip={self.place.address}",
        )

    def _start_proxy(self) -> None:
        kubeconfig = self.controlplane.proxy_kubeconfig(self.folder / "kube-proxy.kubeconfig")
        config = _written(self.folder / "kube-proxy.json", settings.kube_proxy(self.place, kubeconfig))
        _ = self._start("kube-proxy", binaries.path("kube-proxy"), f"--config={config}")

    def _start(self, name: str, *command: str | Path) -> Process:
        process = self.supervisor.start(f"{self.name}-{name}", self._inside(*command))
        self._processes[name] = process
        return process

    def _containerd_answers(self) -> bool:
        try:
            _ = self.run(*_CTR, "version")
        except ProcessError:
            return False
        return True

    def _is_dark(self) -> bool:
        for folder in self._cgroups:
            folders.remove(folder)
        return not any(folder.exists() for folder in self._cgroups)


_CTR = ("ctr", f"--address={settings.SOCKET}", "--namespace=k8s.io")


def _written(path: Path, value: Mapping[str, object]) -> Path:
    _ = path.write_text(json.dumps(value, indent=2))
    return path
