"""What is kept of sources is measured: on disk as the disk counts it, and in memory."""

from __future__ import annotations

import asyncio
import os
from types import SimpleNamespace
from typing import TYPE_CHECKING

from agent.daemon import housekeeping

if TYPE_CHECKING:
    from pathlib import Path


def test_all_below_a_folder_counts_and_nothing_that_a_link_leads_to(tmp_path: Path):
    outside = tmp_path / "outside"
    outside.write_bytes(os.urandom(1 << 20))
    folder = tmp_path / "mirrors"
    (folder / "a" / "objects").mkdir(parents=True)
    (folder / "a" / "link").symlink_to(outside)
    (folder / "a" / "objects" / "pack").write_bytes(os.urandom(300_000))
    (folder / "b").write_bytes(os.urandom(100_000))
    assert 400_000 <= housekeeping.disk_bytes(folder) < 500_000
    assert housekeeping.disk_bytes(tmp_path / "missing") == 0


async def test_what_is_kept_is_reported_at_once(tmp_path: Path):
    for name in ("mirrors", "artifacts"):
        (tmp_path / name).mkdir()
    (tmp_path / "mirrors" / "pack").write_bytes(os.urandom(100_000))
    reported: asyncio.Queue = asyncio.Queue()
    mirrors = SimpleNamespace(directory=tmp_path / "mirrors", trees_bytes=7)
    kept = SimpleNamespace(directory=tmp_path / "artifacts")
    work = asyncio.create_task(housekeeping.measure(mirrors, kept, reported.put_nowait))
    sizes = await asyncio.wait_for(reported.get(), 10)
    work.cancel()
    assert sizes["mirrors"] >= 100_000 > sizes["artifacts"]
    assert sizes["trees"] == 7
