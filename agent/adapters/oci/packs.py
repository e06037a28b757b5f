"""Artifacts as they are kept on disk: all contents in one file, and in another which path has which of them.

A content is named as Git names a blob in a SHA-256 repository, and looked at again when it is read.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.manifests.documents import TreeEntry
from agent.values.errors import LimitError, SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from pathlib import Path

    from agent.adapters.oci.archive import Entry

_CONTENTS: Final = "contents"
_INDEX: Final = "index.json"


@dataclass(frozen=True, slots=True)
class Pack:
    """One artifact: what is at each path, and where each content begins and how long it is."""

    folder: Path
    tree: Mapping[str, TreeEntry]
    places: Mapping[str, tuple[int, int]]

    def read(self, blobs: Collection[str]) -> dict[str, bytes]:
        """Contents by blob. Raises SourceUnavailableError where one is not what it was; the pack is then gone."""
        found: dict[str, bytes] = {}
        try:
            with (self.folder / _CONTENTS).open("rb") as file:
                for blob in sorted(blobs, key=self.places.__getitem__):
                    begin, size = self.places[blob]
                    file.seek(begin)
                    found[blob] = file.read(size)
        except OSError:
            found = {}
        if {*found} != {*blobs} or any(_named(len(data), data) != blob for blob, data in found.items()):
            shutil.rmtree(self.folder, ignore_errors=True)
            raise SourceUnavailableError("the artifact on disk is damaged, and fetched again")
        return found


def open_pack(folder: Path) -> Pack | None:
    """A pack that was made before; None where there is none."""
    try:
        index = json.loads((folder / _INDEX).read_bytes())
        os.utime(folder)
    except (OSError, ValueError):
        return None
    tree = {path: TreeEntry(blob, size, kind) for path, (blob, size, kind) in index["tree"].items()}
    return Pack(folder, tree, {blob: (begin, size) for blob, (begin, size) in index["places"].items()})


def make(folder: Path, entries: Iterable[Entry], stopped: Callable[[], bool]) -> None:
    """Keep the entries of an archive in a folder that is there once all of it is. Raises SourceError, LimitError."""
    making = folder.with_name(f".{folder.name}")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(mode=0o700)
    try:
        tree: dict[str, tuple[str, int, str]] = {}
        places: dict[str, tuple[int, int]] = {}
        with (making / _CONTENTS).open("wb") as file:
            for entry in entries:
                begin, hashed = file.tell(), _hash(entry.size)
                for piece in entry.pieces:
                    hashed.update(piece)
                    file.write(piece)
                if stopped():
                    raise SourceUnavailableError("the agent stops")
                blob = hashed.hexdigest()
                tree[entry.path] = (blob, entry.size, entry.kind)
                places.setdefault(blob, (begin, entry.size))
        (making / _INDEX).write_text(json.dumps({"tree": tree, "places": places}))
        shutil.rmtree(folder, ignore_errors=True)
        making.rename(folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)


def trim(above: Path, keep: str, most: int) -> None:
    """Remove the packs that were not used for longest, until those of one repository take at most `most` bytes. Raises LimitError."""
    packs = sorted(
        (each for each in above.iterdir() if not each.name.startswith(".")), key=lambda each: each.stat().st_mtime
    )
    sizes = {each: sum(file.stat().st_size for file in each.iterdir()) for each in packs}
    left = sum(sizes.values())
    for each in packs:
        if left <= most:
            return
        if each.name != keep:
            shutil.rmtree(each, ignore_errors=True)
            left -= sizes[each]
    if left > most:
        raise LimitError(
            "the artifact is larger than the agent accepts",
            hint="limits.repositoryBytes in the operator's file is the limit",
            limit=most,
        )


def sweep(above: Path, idle_seconds: float) -> int:
    """Remove packs that were not used for so long, of all repositories; how many went."""
    removed = 0
    for repository in above.iterdir():
        for each in list(repository.iterdir()):
            if time.time() - each.stat().st_mtime > idle_seconds:
                shutil.rmtree(each, ignore_errors=True)
                removed += 1
        if not any(repository.iterdir()):
            repository.rmdir()
    return removed


def _hash(size: int):  # noqa: ANN202  # hashlib names no type for it
    return hashlib.sha256(b"blob %d\0" % size)


def _named(size: int, data: bytes) -> str:
    hashed = _hash(size)
    hashed.update(data)
    return hashed.hexdigest()
