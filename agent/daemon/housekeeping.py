"""What is done to the folders of sources as time goes by: what no Application uses any more is removed, and what is kept is measured."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from agent.adapters.git.mirrors import Mirrors
    from agent.adapters.oci.keeping import Kept

_DAY_SECONDS: Final = 86_400.0
_MEASURE_SECONDS: Final = 60.0
_BLOCK: Final = 512
"""Of `st_blocks`, whatever the file system's own blocks are."""


async def sweep(mirrors: Mirrors, kept: Kept) -> None:
    """Mirrors and artifacts of credentials and repositories that are no longer used go after a day."""
    while True:
        await asyncio.sleep(_DAY_SECONDS / 4)
        await mirrors.sweep(_DAY_SECONDS)
        await kept.sweep(_DAY_SECONDS)


async def measure(mirrors: Mirrors, kept: Kept, report: Callable[[Mapping[str, int]], None]) -> None:
    """Report how much is kept, every minute: bytes of `mirrors` and `artifacts` on disk, and of `trees` in memory."""
    while True:
        on_disk = {
            name: await asyncio.to_thread(disk_bytes, folder)
            for name, folder in (("mirrors", mirrors.directory), ("artifacts", kept.directory))
        }
        report({**on_disk, "trees": mirrors.trees_bytes})
        await asyncio.sleep(_MEASURE_SECONDS)


def disk_bytes(folder: Path) -> int:
    """What everything below a folder takes on its disk. What goes meanwhile is not counted."""
    found, folders = 0, [str(folder)]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    found += _BLOCK * entry.stat(follow_symlinks=False).st_blocks
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
        except OSError:
            continue
    return found
