"""The file that a chain is kept in: locked, appended to, synchronised to the disk, and its torn tail cut after a crash."""

from __future__ import annotations

import fcntl
import os
import stat
from typing import TYPE_CHECKING, Final, LiteralString

from agent.adapters.audit import record
from agent.adapters.audit.record import Head
from agent.values.errors import AuditError

if TYPE_CHECKING:
    from pathlib import Path

_BLOCK: Final = 64 * 1024
_LONGEST: Final = 16 * 1024 * 1024


class Journal:
    """An open audit file. `torn` is the number of bytes of a half-written line that was cut off."""

    def __init__(self, path: Path) -> None:
        """Open, or make with mode 0600. Raises AuditError where it is no regular file, held by another process, or was altered."""
        self._path: Path = path
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            self._file: int = os.open(path, flags, 0o600)
        except OSError as error:
            raise AuditError(
                "the audit file cannot be opened", file=str(path), hint=_hint(error.errno or 0), errno=error.errno or 0
            ) from None
        try:
            self._lock()
            self._size, self.torn, self.head = self._recover()
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
                hint=_hint(error.errno or 0),
                errno=error.errno or 0,
            ) from None
        self._size += len(data)
        self.head = head

    def close(self) -> None:
        os.close(self._file)

    def _lock(self) -> None:
        if not stat.S_ISREG(os.fstat(self._file).st_mode):
            raise AuditError("the audit file is no regular file", file=str(self._path))
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise AuditError(
                "another process writes this audit file", file=str(self._path), hint="give each agent a file of its own"
            ) from None

    def _recover(self) -> tuple[int, int, Head]:
        """Size after cutting a torn line, the bytes that were cut, and the last record's place."""
        size = os.fstat(self._file).st_size
        end = self._newline_before(size)
        torn = size - end
        if torn:
            os.ftruncate(self._file, end)
        if end == 0:
            return 0, torn, Head()
        start = self._newline_before(end - 1)
        last = record.read(os.pread(self._file, end - 1 - start, start))
        if last is None:
            raise AuditError(
                "the last record of the audit file was altered",
                file=str(self._path),
                hint="keep it as evidence and move it away: the agent then begins a new file",
            )
        return end, torn, record.head(last)

    def _newline_before(self, end: int) -> int:
        """The offset after the last newline before `end`; 0 where there is none."""
        at = end
        while at > 0:
            if end - at > _LONGEST:
                raise AuditError("a line of the audit file is too long to be a record", file=str(self._path))
            start = max(0, at - _BLOCK)
            found = os.pread(self._file, at - start, start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            at = start
        return 0

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


def _hint(errno: int) -> LiteralString:
    return "free space on its volume" if errno in {28, 122} else "see its path, owner and volume"
