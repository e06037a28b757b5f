"""What a process has in its memory, read from /proc as a debugger would: for root, since signet-render lets no one else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK = 8 * 1024 * 1024
_OVERLAP = 64 * 1024
"""Bytes that are read twice, so that no text stands half in one chunk and half in the next."""
_NOT_READ = frozenset({"[vvar]", "[vvar_vclock]", "[vsyscall]"})
"""Pages of the kernel, which it does not show."""


def chunks(pid: int) -> Iterator[bytes]:
    """All readable memory: code, heap, stacks, what a mapping holds. Raises OSError where it may not be read, or the process is gone."""
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text("utf-8").splitlines():
            addresses, rights, *more = line.split(maxsplit=5)
            if not rights.startswith("r") or (len(more) == 4 and more[3] in _NOT_READ):
                continue
            start, end = (int(each, 16) for each in addresses.split("-"))
            yield from _read(memory.fileno(), start, end)


def _read(memory: int, start: int, end: int) -> Iterator[bytes]:
    at = start
    while at < end:
        chunk = os.pread(memory, min(_CHUNK + _OVERLAP, end - at), at)
        if not chunk:
            return
        if chunk.count(0) < len(chunk):
            yield chunk
        at += max(len(chunk) - _OVERLAP, 1) if at + len(chunk) < end else len(chunk)
