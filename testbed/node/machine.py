"""What a machine needs to run nodes, and Debian's packages for what it lacks."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from image.storage import apt

if TYPE_CHECKING:
    from collections.abc import Callable

PACKAGES: Final = {
    "containerd": "containerd",
    "runc": "runc",
    "/usr/lib/cni/ptp": "containernetworking-plugins",
    "nft": "nftables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "busybox": "busybox-static",
}
"""The package of each program, by its name or path."""


class MachineError(RuntimeError):
    """This machine cannot run nodes; the text says why, and what to do."""


def prepare() -> None:
    """Install what is missing. Raises MachineError, ImageError."""
    require(sys.platform, os.geteuid())
    if packages := lacking(_found):
        print(f"installing {', '.join(packages)}", file=sys.stderr, flush=True)
        apt(*packages)


def require(system: str, user: int) -> None:
    """Raise MachineError unless `system` is Linux (`sys.platform`) and `user` is root."""
    if system != "linux":
        raise MachineError("nodes run on Linux alone")
    if user != 0:
        raise MachineError("nodes are run by root: containers need mounts, cgroups and networks; run it with sudo")


def lacking(found: Callable[[str], bool]) -> list[str]:
    """The packages of those programs that are not `found`."""
    return [package for program, package in PACKAGES.items() if not found(program)]


def _found(program: str) -> bool:
    return Path(program).exists() if program.startswith("/") else shutil.which(program) is not None
