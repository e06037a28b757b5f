"""A chain that is written, and where its anchor is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from audit_chains import Kept, write_runs

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
async def chain(tmp_path: Path, kept: Kept) -> Path:
    """`opened`, then three runs of four entries and a checkpoint: 16 records."""
    path = tmp_path / "audit.jsonl"
    await write_runs(path, kept)
    return path
