"""The cgroups of a run: a tree of its own in every hierarchy of the machine, called after the process that runs the nodes."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from testbed.processes import running

_PREFIX = "signet-nodes-"


def hierarchies(mounts: str) -> list[Path]:
    """Where they are mounted, by the text of /proc/mounts: one for each controller of cgroup v1, one for v2."""
    fields = [line.split() for line in mounts.splitlines()]
    return [Path(each[1]) for each in fields if each[2] in ("cgroup", "cgroup2")]


def of_run() -> tuple[str, list[Path]]:
    """The path of this process's cgroup within each hierarchy, made where it is missing, and its folders."""
    name = f"{_PREFIX}{os.getpid()}"
    folders = [each / name for each in hierarchies(_mounts())]
    for folder in folders:
        folder.mkdir(exist_ok=True)
    return f"/{name}", folders


def remove_left() -> None:
    """Remove those of runs whose process, and the guard after it, were killed."""
    for hierarchy in hierarchies(_mounts()):
        for folder in hierarchy.glob(f"{_PREFIX}*"):
            found = re.fullmatch(rf"{_PREFIX}(\d+)", folder.name)
            if found is not None and not running(int(found[1])):
                remove(folder)


def remove(folder: Path) -> None:
    """A cgroup and those in it; those with a process stay, and those of their files that are no files to remove go with them."""
    shutil.rmtree(folder, ignore_errors=True)


def _mounts() -> str:
    return Path("/proc/mounts").read_text("utf-8")
