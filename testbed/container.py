"""An agent that runs from the image: its root alone, read-only, as the image's user, where a Pod of deploy/ mounts things.

It needs root, and no container runtime: mounts are made in a mount namespace of the process, and end with it. Process ids, the network and
cgroups are the machine's.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from testbed.agent import Agent

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from testbed.cluster import Cluster
    from testbed.processes import Supervisor

USER = 65532
_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
_ENTER = """
set -e
root=$1; shift
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
for file in hosts resolv.conf; do mount --bind "/etc/$file" "$root/etc/$file"; done
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
while [ "$1" != -- ]; do mount --bind "$1" "$root$2"; shift 2; done
shift
exec chroot --userspec=USER:USER "$root" /usr/bin/env -i "$@"
""".replace("USER", str(USER))


def command(
    root: Path,
    image: Mapping[str, Any],
    words: list[str],
    *,
    mounts: Mapping[str, Path],
    environment: Mapping[str, str],
) -> list[str]:
    """Runs `words` in a copy of the image whose `config` is given; with `mounts`, folders of this machine by where they are seen."""
    for place in mounts:
        root.joinpath(place[1:]).mkdir(parents=True, exist_ok=True)
    for file in ("hosts", "resolv.conf"):
        root.joinpath("etc", file).touch()
    bound = [word for place, folder in mounts.items() for word in (str(folder), place)]
    variables = [*image["Env"], *(f"{name}={value}" for name, value in environment.items())]
    return [
        "/usr/bin/env",
        "PATH=/usr/bin:/usr/sbin:/bin:/sbin",
        "unshare",
        "--mount",
        "sh",
        "-c",
        _ENTER,
        "sh",
        str(root),
        *bound,
        "--",
        *variables,
        *words,
    ]


class ContainedAgent(Agent):
    """An agent from an unpacked image, whose root is `root` and whose `config` is `image`.

    It finds the API server as a Pod does, by the folder of its ServiceAccount.
    """

    def __init__(
        self,
        controlplane: Cluster,
        supervisor: Supervisor,
        root: Path,
        image: Mapping[str, Any],
        *,
        name: str = "agent-0",
    ) -> None:
        super().__init__(controlplane, supervisor, name=name)
        self.root = root
        self.image = image
        self.account = self.folder / "account"
        self.mounts: dict[str, Path] = {
            "/etc/signet": self.operator_file.parent,
            "/run/signet": self.memory,
            "/var/lib/signet": self.folder / "state",
            _ACCOUNT: self.account,
            # files that the operator's file names
            str(self.folder): self.folder,
        }
        self.audit_file = self.folder / "state" / "audit.jsonl"

    def write(self, settings: Mapping[str, object]) -> None:
        super().write({"audit": {"file": "/var/lib/signet/audit.jsonl", "stdout": False}, **settings})

    def launched(self, token: str, environment: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
        for folder in self.mounts.values():
            folder.mkdir(parents=True, exist_ok=True)
        files = {"token": token, "namespace": self.namespace, "ca.crt": self.controlplane.ca_file.read_text()}
        for name, content in files.items():
            _ = (self.account / name).write_text(content)
        for path in (self.memory, self.folder, *self.folder.rglob("*")):
            os.chown(path, USER, USER)
        server = urlsplit(self.server or self.controlplane.url)
        variables = {
            "HOME": "/run/signet",
            "TMPDIR": "/run/signet",
            "KUBERNETES_SERVICE_HOST": server.hostname or "",
            "KUBERNETES_SERVICE_PORT": str(server.port),
            "SIGNET_AGENT_NAME": self.name,
            "SIGNET_AGENT_NAMESPACE": self.namespace,
            **environment,
        }
        words = [
            *self.image["Entrypoint"],
            "run",
            "--operator-file=/etc/signet/operator.yaml",
            "--state-dir=/var/lib/signet",
        ]
        words += [f"--listen=127.0.0.1:{self.port}", f"--listen-webhooks=127.0.0.1:{self.hook_port}"]
        return command(self.root, self.image, words, mounts=self.mounts, environment=variables), {}
