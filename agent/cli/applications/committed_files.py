"""What the repository of a work tree has committed: the files of a commit, read as the agent reads a mirror.

No filter, hook or network is between. Where there is no repository, or it has not the commit, nothing is known.
"""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from agent.adapters.git import command, reading
from agent.cli.applications import overlays, worktree
from agent.desired import live_variables
from agent.manifests.documents import RENDERED, File
from agent.values.dataclass import dataclass
from agent.values.errors import AgentError, SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agent.cli.applications.fetched_bases import Bases, FetchedFiles
    from agent.cli.applications.worktree import Target
    from agent.engine.repositories import Snapshot
    from agent.manifests.documents import TreeEntry
    from agent.manifests.remote_bases import Base

_SECONDS = 30.0
_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def read(wanted: Target, commit: str) -> Snapshot | None:
    """The files of the layers at a commit, which may be made up; None where it is not there. Raises AgentError where it cannot be read."""
    mirror = _holder(wanted, commit)
    if mirror is None:
        return None
    stop = threading.Event()
    try:
        tree = reading.whole(mirror, commit, cancelled=stop)
        return reading.read(mirror, wanted.source, commit, tree=tree, known=(), limits=wanted.limits, cancelled=stop)
    except reading.DamagedError:
        raise _incomplete(commit) from None


@dataclass(frozen=True, slots=True)
class CommittedFiles:
    """The files of a commit that a renderer may be given."""

    mirror: reading.Mirror
    commit: str
    listing: Mapping[str, TreeEntry]
    bases: Bases

    @property
    def granted(self) -> tuple[str, ...]:
        return self.bases.granted

    async def read(self, paths: Iterable[str]) -> Mapping[str, File]:
        """Raises SourceUnavailableError where the repository has lost one."""
        blobs = {path: self.listing[path].blob for path in paths}
        try:
            contents = reading.blobs(self.mirror, self.commit, {*blobs.values()}, cancelled=threading.Event())
        except reading.DamagedError:
            raise _incomplete(self.commit) from None
        return {path: File(path, blob, contents[blob], RENDERED) for path, blob in blobs.items()}

    async def base(self, base: Base) -> FetchedFiles:
        return await self.bases.files(base)


def files(wanted: Target, commit: str) -> CommittedFiles | None:
    """Every file of a commit, as `read` has those of the layers."""
    mirror = _holder(wanted, commit)
    if mirror is None:
        return None
    stop = threading.Event()
    try:
        tree = reading.whole(mirror, commit, cancelled=stop)
        listing = reading.paths(mirror, commit, tree=tree, cancelled=stop)
        return CommittedFiles(mirror, commit, listing, wanted.bases)
    except reading.DamagedError:
        raise _incomplete(commit) from None


async def commit_of(wanted: Target, snapshot: Snapshot) -> str:
    """The commit at HEAD where it has these files, and those that are rendered, as they are; empty where something is not committed yet."""
    try:
        mirror = _mirror(wanted)
        head = reading.commit_of(mirror, "HEAD", cancelled=threading.Event()) if mirror is not None else None
        committed = read(wanted, head) if head is not None else None
    except AgentError:
        return ""
    if head is None or committed is None or _texts(committed) != _texts(snapshot):
        return ""
    return head if not worktree.renders(wanted.spec) or await _renders_the_same(wanted, head) else ""


async def _renders_the_same(wanted: Target, commit: str) -> bool:
    """Whether what is rendered of the work tree and of the commit are the same files."""
    try:
        committed = files(wanted, commit)
        here, there = [await overlays.collect(wanted, live_variables.NONE, files) for files in (None, committed)]
    except AgentError:
        return False  # where the work tree is the reason, it is said when its objects are made
    return committed is not None and here is not None and there is not None and here.blobs == there.blobs


def _texts(snapshot: Snapshot) -> tuple[dict[tuple[str, int], bytes], set[str]]:
    return {(file.path, file.layer): file.data for file in snapshot.files}, {path for path, _ in snapshot.refused}


def _incomplete(commit: str) -> SourceUnavailableError:
    return SourceUnavailableError("the repository does not have all of the commit", commit=commit)


def _holder(wanted: Target, commit: str) -> reading.Mirror | None:
    """The repository, if it has a commit."""
    mirror = _mirror(wanted) if _HASH.fullmatch(commit) else None
    if mirror is None or reading.commit_of(mirror, commit, cancelled=threading.Event()) is None:
        return None
    return mirror


def _mirror(wanted: Target) -> reading.Mirror | None:
    """The repository whose root the folder is, unless it has submodules: what they held at another commit is not known here. Raises LimitError."""
    if not (wanted.folder / ".git").exists() or any(wanted.modules.values()):
        return None
    confined = command.confined(wanted.folder, address_space=wanted.limits.git_bytes, cpu_seconds=_SECONDS)
    found = command.run(confined, ["rev-parse", "--absolute-git-dir"], seconds=_SECONDS, cancelled=threading.Event())
    folder = found.stdout.decode("utf-8", "surrogateescape").removesuffix("\n")
    return reading.Mirror(Path(folder), wanted.limits.git_bytes) if found.ok else None
