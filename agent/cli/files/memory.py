"""Plaintext in a file, for programs that read nothing else: on tmpfs, for its owner, and gone afterwards."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli.errors import EditorError
from agent.cli.files import content

if TYPE_CHECKING:
    import argparse
    from collections.abc import Generator, Iterator

_MEMORY = {"tmpfs", "ramfs"}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--insecure-temporary-folder",
        action="store_true",
        help="where there is no tmpfs: let the plaintext touch the disk",
    )


@contextlib.contextmanager
def folder(*, allow_disk: bool) -> Generator[Path]:
    """A new folder on tmpfs that only its owner can enter, removed at the end, by SIGTERM and SIGHUP too.

    Raises EditorError where there is no tmpfs, unless the disk is allowed.
    """
    parent = next((place for place in _places() if is_memory(place)), None)
    if parent is None and not allow_disk:
        raise EditorError(
            "there is no tmpfs to hold the plaintext",
            hint="neither shared memory nor XDG_RUNTIME_DIR is one; --insecure-temporary-folder uses the disk",
        )
    with content.leaving():
        made = Path(tempfile.mkdtemp(prefix="agent-", dir=parent))
        try:
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)


def _places() -> Iterator[Path]:
    for name in (os.environ.get("XDG_RUNTIME_DIR"), "/dev/shm"):  # noqa: S108  # memory, and a folder of our own in it
        if name and os.access(name, os.W_OK | os.X_OK):
            yield Path(name)


def is_memory(place: Path) -> bool:
    """Whether the mount that holds a folder is memory (proc(5), mountinfo: the mount point is the fifth field)."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return False
    best, kind = "", ""
    for mount in mounts:
        fields = mount.split(" ")
        point = fields[4].replace("\\040", " ")
        if place.resolve().is_relative_to(point) and len(point) >= len(best):
            best, kind = point, fields[fields.index("-") + 1]
    return kind in _MEMORY
