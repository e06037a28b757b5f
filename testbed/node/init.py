"""The first process of a node: it furnishes the node's namespaces, and collects the processes that others leave to it.

Run by path, without the testbed's modules: `init.py FOLDER NAME TUNABLE=VALUE…`. It writes FOLDER/furnished when the node may be used.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path


def main(folder: Path, name: str, tunables: list[str]) -> None:
    _ = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
    socket.sethostname(name)
    for place in ("/run", "/var/log"):
        _mount("-t", "tmpfs", "node", place)
    above, work = Path("/run/var-lib"), Path("/run/var-lib-work")
    above.mkdir()
    work.mkdir()
    _mount("-t", "overlay", "-o", f"lowerdir=/var/lib,upperdir={above},workdir={work}", "node", "/var/lib")
    kubelet, disk = Path("/var/lib/kubelet"), folder / "kubelet"
    kubelet.mkdir(exist_ok=True)
    disk.mkdir(exist_ok=True)
    _mount("--bind", str(disk), str(kubelet))
    shown = folder / "kernel"
    for number, (path, value) in enumerate(each.split("=") for each in tunables):
        shown.mkdir(exist_ok=True)
        file = shown / str(number)
        _ = file.write_text(f"{value}\n")
        if Path("/proc/sys", path).exists():
            _mount("--bind", str(file), f"/proc/sys/{path}")
    _ = Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    (folder / "furnished").touch()
    while True:
        _ = signal.sigwait([signal.SIGCHLD])
        _collect()


def _collect() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def _mount(*arguments: str) -> None:
    _ = subprocess.run(["mount", *arguments], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
