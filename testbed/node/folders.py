"""The folders of a run outside its temporary one: a cgroup in every hierarchy of the machine, and one for images. All have the name of the run."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Final

from testbed.processes import running

_PREFIX: Final = "signet-nodes-"
_MEMORY: Final = Path("/dev/shm")  # noqa: S108  # a folder of our own in it
_CONTENT: Final = 4 * 2**30
"""Bytes that images and file systems of containers may take."""


def name() -> str:
    """Of the run of this process."""
    return f"{_PREFIX}{os.getpid()}"


def hierarchies(mounts: str) -> list[Path]:
    """Where they are mounted, by the text of /proc/mounts: one for each controller of cgroup v1, one for v2."""
    fields = [line.split() for line in mounts.splitlines()]
    return [Path(each[1]) for each in fields if each[2] in ("cgroup", "cgroup2")]


def of_run() -> list[Path]:
    """The cgroup of this run in every hierarchy, made where it is missing. Within each its path is `/<name>`."""
    folders = [each / name() for each in hierarchies(_mounts())]
    for folder in folders:
        folder.mkdir(exist_ok=True)
    return folders


def for_images() -> Path:
    """A new folder for images and file systems of containers: in memory where there is enough, which unpacks them several times as fast."""
    enough = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _CONTENT
    folder = (_MEMORY if enough else Path(tempfile.gettempdir())) / name()
    folder.mkdir(mode=0o700)
    return folder


def remove_left() -> None:
    """Remove the folders of runs whose process was killed, and then the guard that would have removed them."""
    for place in (*hierarchies(_mounts()), _MEMORY, Path(tempfile.gettempdir())):
        for folder in place.glob(f"{_PREFIX}*"):
            found = re.fullmatch(rf"{_PREFIX}(\d+)", folder.name)
            if found is not None and not running(int(found[1])):
                remove(folder)


def remove(folder: Path) -> None:
    """A folder of files, or a cgroup with those in it; one with a process stays. The files of cgroups cannot be removed, and go with them."""
    shutil.rmtree(folder, ignore_errors=True)


def _mounts() -> str:
    return Path("/proc/mounts").read_text("utf-8")
