"""The file that a chain is kept in: locked, appended to, synchronised to the disk, and its tail set right after a crash.

A last line without its end is half a record, and cut off. Whole lines that are no records, behind the last one that is, are set aside: they
are evidence of a change or of a bad disk, so they go to a file beside this one, and the chain goes on without them.
"""

from __future__ import annotations

import fcntl
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, LiteralString

from agent.adapters.audit import record
from agent.adapters.audit.record import Head
from agent.values import system
from agent.values.errors import AuditError

if TYPE_CHECKING:
    from pathlib import Path

_BLOCK: Final = 64 * 1024
_LONGEST_TAIL: Final = 64 * 1024 * 1024
"""Bytes that are looked through for the last record."""
ASIDE: Final = ".unreadable"
"""What is put behind the file's name for the one that takes an unreadable tail."""


@dataclass(frozen=True, slots=True)
class _End:
    """Where the last record ends and its place in the chain; behind it `unreadable` bytes of whole lines, then `torn` ones of half a line."""

    at: int
    head: Head
    unreadable: int
    torn: int


class Journal:
    """An open audit file. `torn` and `unreadable` are the bytes that were cut off, and set aside, when it was opened."""

    def __init__(self, path: Path) -> None:
        """Open, or make with mode 0600. Raises AuditError where it is not a regular file, held by another process, or no audit file."""
        self._path: Path = path
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            self._file: int = os.open(path, flags, 0o600)
        except OSError as error:
            raise AuditError(
                "the audit file cannot be opened", file=str(path), hint=_hint(error), cause=system.cause(error)
            ) from None
        try:
            self._lock()
            end = self._find_end(os.fstat(self._file).st_size)
            self.torn, self.unreadable, self.head = end.torn, end.unreadable, end.head
            self._size = end.at
            self._set_right(end)
            self._sync_folder()
        except BaseException:
            os.close(self._file)
            raise

    def append(self, lines: list[bytes], head: Head) -> None:
        """Write lines, durable when it returns. Raises AuditError, and then the file is as it was."""
        data = b"".join(line + b"\n" for line in lines)
        try:
            if os.fstat(self._file).st_size != self._size:
                os.ftruncate(self._file, self._size)
            written = 0
            while written < len(data):
                written += os.write(self._file, memoryview(data)[written:])
            os.fdatasync(self._file)
        except OSError as error:
            self._cut_back()
            raise AuditError(
                "the audit file cannot be written",
                file=str(self._path),
                hint=_hint(error),
                cause=system.cause(error),
            ) from None
        self._size += len(data)
        self.head = head

    def close(self) -> None:
        os.close(self._file)

    def _lock(self) -> None:
        if not stat.S_ISREG(os.fstat(self._file).st_mode):
            raise AuditError("the audit file is not a regular file", file=str(self._path))
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise AuditError(
                "another process writes this audit file", file=str(self._path), hint="give each agent its own file"
            ) from None

    def _find_end(self, size: int) -> _End:
        whole = self._newline_before(size)
        at = whole
        while at > 0:
            start = self._newline_before(at - 1)
            if at - start <= record.LONGEST + 1:
                last = record.read(os.pread(self._file, at - 1 - start, start))
                if last is not None:
                    return _End(at, record.head(last), whole - at, size - whole)
            if whole - start > _LONGEST_TAIL:
                break
            at = start
        if whole:
            raise AuditError(
                "the end of the file is not an audit trail",
                file=str(self._path),
                hint="keep it as evidence and move it away: the agent then begins a new file",
            )
        return _End(0, Head(), 0, size)

    def _newline_before(self, end: int) -> int:
        """The offset after the last newline before `end`; 0 where there is none."""
        at = end
        while at > 0:
            start = max(0, at - _BLOCK)
            found = os.pread(self._file, at - start, start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            at = start
        return 0

    def _set_right(self, end: _End) -> None:
        """Raises AuditError where the unreadable tail cannot be kept: then it stays where it is."""
        try:
            if end.unreadable:
                self._set_aside(end.at, end.at + end.unreadable)
            if end.unreadable or end.torn:
                os.ftruncate(self._file, end.at)
        except OSError as error:
            raise AuditError(
                "the unreadable tail of the audit file cannot be set aside",
                file=str(self._path),
                hint=_hint(error),
                cause=system.cause(error),
            ) from None

    def _set_aside(self, start: int, stop: int) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        aside = os.open(self._path.with_name(self._path.name + ASIDE), flags, 0o600)
        try:
            while start < stop:
                block = os.pread(self._file, min(_BLOCK, stop - start), start)
                start += os.write(aside, block)
            os.fsync(aside)
        finally:
            os.close(aside)

    def _cut_back(self) -> None:
        try:
            os.ftruncate(self._file, self._size)
        except OSError:
            return  # the next append cuts, or fails too

    def _sync_folder(self) -> None:
        """A new file's name is durable only once its folder is."""
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _hint(error: OSError) -> LiteralString:
    return "free space on its volume" if error.errno in system.FULL else "see its path, owner and volume"
