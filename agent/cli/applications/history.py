"""What the repository of a work tree has committed: the files of a commit, read as the agent reads a mirror.

No filter, hook or network is between. Where there is no repository, or it has not the commit, nothing is known.
"""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from agent.adapters.git import command, reading
from agent.values.errors import AgentError

if TYPE_CHECKING:
    from agent.cli.applications.worktree import Target
    from agent.engine.repositories import Snapshot

_SECONDS = 30.0
_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def read(wanted: Target, commit: str) -> Snapshot | None:
    """The files of the layers at a commit, which may be made up; None where they are not available."""
    mirror = _mirror(wanted) if _HASH.fullmatch(commit) else None
    if mirror is None:
        return None
    limits = wanted.limits
    try:
        return reading.read(
            mirror,
            wanted.source,
            commit,
            file_bytes=limits.file_bytes,
            total_bytes=limits.manifest_bytes,
            files=limits.objects,
            cancelled=threading.Event(),
        )
    except (AgentError, reading.DamagedError):
        return None


def commit_of(wanted: Target, snapshot: Snapshot) -> str:
    """The commit at HEAD where it has these files, as they are; empty where something is not committed yet."""
    mirror = _mirror(wanted)
    try:
        head = reading.commit_of(mirror, "HEAD", cancelled=threading.Event()) if mirror is not None else None
    except AgentError:
        return ""
    committed = read(wanted, head) if head is not None else None
    return head if head is not None and committed is not None and _texts(committed) == _texts(snapshot) else ""


def _texts(snapshot: Snapshot) -> tuple[dict[tuple[str, int], bytes], set[str]]:
    return {(file.path, file.layer): file.data for file in snapshot.files}, {path for path, _ in snapshot.refused}


def _mirror(wanted: Target) -> reading.Mirror | None:
    """The repository whose root the folder is."""
    if not (wanted.folder / ".git").exists():
        return None
    confined = command.Confined(wanted.folder, address_space=wanted.limits.git_bytes, cpu_seconds=_SECONDS)
    try:
        found = command.run(
            confined, ["rev-parse", "--absolute-git-dir"], seconds=_SECONDS, cancelled=threading.Event()
        )
    except AgentError:
        return None
    folder = found.stdout.decode("utf-8", "surrogateescape").removesuffix("\n")
    return reading.Mirror(Path(folder), wanted.limits.git_bytes) if found.ok else None
