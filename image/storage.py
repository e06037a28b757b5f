"""buildah with a store of this project's own in the user's cache folder: other images of the machine stay out of it, and it out of theirs."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator


class ImageError(RuntimeError):
    """The image cannot be built; the text says why."""


def cache() -> Path:
    """The folder with the store. The testbed's programs are in another one beside it."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "signet" / "image"


def install(*programs: str) -> None:
    """Have apt install what is missing of these, whose packages have their names, as root on Debian. Raises ImageError elsewhere."""
    if missing := [name for name in programs if shutil.which(name) is None]:
        apt(*missing)


def apt(*packages: str) -> None:
    """Have apt install these packages, as root on Debian. Raises ImageError elsewhere."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise ImageError(f"install {' and '.join(packages)}; as root on Debian this is done for you")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        command = ["apt-get", "--quiet", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ImageError(f"apt-get {arguments[0]} failed:\n{done.stderr[-2000:]}")


@contextmanager
def reserved() -> Generator[None]:
    """One build at a time; what it leaves of containers and mounts is removed, since buildah keeps those of stages that rename others."""
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            _ = buildah("rm", "--all")


def buildah(*arguments: str) -> str:
    """What one command of buildah printed. Raises ImageError."""
    store = cache()
    command = ["buildah", f"--root={store / 'store'}", f"--runroot={store / 'run'}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ImageError(f"buildah {arguments[0]} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout
