"""What Git knows of a work tree: which of its files are or may be committed, and which submodules at which commits."""

from __future__ import annotations

import os
import subprocess  # git, which knows what files are ignored
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_SUBMODULE = b"160000 "


def not_ignored(folder: Path) -> frozenset[bytes] | None:
    """Paths below a folder that are or may be committed; None where Git does not say."""
    found = _git(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    return None if found is None else frozenset(found.split(b"\0"))


def submodules(folder: Path) -> dict[str, str]:
    """The commit that is pinned of each submodule, by its path from the root of a repository."""
    found = _git(folder, "ls-files", "-z", "--stage") or b""
    entries = (entry.partition(b"\t") for entry in found.split(b"\0") if entry.startswith(_SUBMODULE))
    return {os.fsdecode(path): about.split()[1].decode("ascii") for about, _, path in entries}


def head(folder: Path) -> str:
    """The commit that is checked out; empty where there is none."""
    found = _git(folder, "rev-parse", "--verify", "--quiet", "HEAD^{commit}") or b""
    return found.decode("ascii", "replace").strip()


def _git(folder: Path, *arguments: str) -> bytes | None:
    # Of a hook's environment, which may name another repository, nothing is taken.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-c", "core.fsmonitor=false", *arguments]
    try:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)  # noqa: S603
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None
