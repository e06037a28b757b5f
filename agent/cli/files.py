"""Files as the commands read and write them: whole, replaced at once, and named in every error."""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from agent.values.errors import FileMissingError, ReadError, WriteError

if TYPE_CHECKING:
    from collections.abc import Iterable

_NO_REPLACING = {errno.EACCES, errno.EPERM, errno.EBUSY}


def read(path: str) -> bytes:
    """A file's bytes. Raises FileMissingError, ReadError."""
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise FileMissingError("no such file", file=path) from None
    except OSError:
        raise ReadError("the file cannot be read", hint="is it a file, and may you read it?", file=path) from None


def read_existing(path: str) -> bytes:
    """As `read`, for the commands of which sops says that a missing file cannot be read: exit 2."""
    try:
        return read(path)
    except FileMissingError as error:
        raise error.exiting(2) from None


def read_stdin() -> bytes:
    return sys.stdin.buffer.read()


def write(path: str, data: bytes, *, durable: bool = True) -> None:
    """Replace a file, or make it, all at once: a reader sees the old bytes or the new, and a link keeps pointing where it points.

    An existing file keeps its owner and mode; where only writing into it can do that (a file of another user, a mount), that is done. A
    new one is for its owner and, as the umask allows, others. Devices and pipes are written to. When `durable`, its name
    outlasts a power cut; who writes many files does that once for each folder (`make_durable`). Raises WriteError.
    """
    try:
        if path.startswith(("/dev/", "/proc/")) or (Path(path).exists() and not Path(path).is_file()):
            Path(path).write_bytes(data)
        else:
            _replace(Path(os.path.realpath(path)), data)
            if durable:
                _sync(Path(os.path.realpath(path)).parent)
    except OSError:
        raise WriteError("the file cannot be written", hint="may you write to its folder?", file=path) from None


def make_durable(paths: Iterable[str]) -> None:
    """Let the names of files outlast a power cut. Raises WriteError."""
    for folder in {os.path.dirname(os.path.realpath(path)) for path in paths}:  # noqa: PTH120  # as realpath gives it
        try:
            _sync(folder)
        except OSError:
            raise WriteError("the folder cannot be synced to its disk", file=folder) from None


def _replace(target: Path, data: bytes) -> None:
    before = target.stat() if target.exists() else None
    # A name of our own, since `tempfile` takes longer to load than most files to write.
    temporary = target.parent / f".{target.name[:50]}.{os.urandom(8).hex()}"
    try:
        with open(temporary, "xb", opener=_private) as stream:
            stream.write(data)
            stream.flush()
            made = os.fstat(stream.fileno())
            if before is not None and (made.st_uid, made.st_gid) != (before.st_uid, before.st_gid):
                os.fchown(stream.fileno(), before.st_uid, before.st_gid)
            os.fchmod(stream.fileno(), stat.S_IMODE(before.st_mode) if before is not None else 0o666 & ~_umask())
            os.fsync(stream.fileno())
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        if before is None or error.errno not in _NO_REPLACING:
            raise
        _overwrite(target, data)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def _overwrite(target: Path, data: bytes) -> None:
    with target.open("r+b") as stream:
        stream.write(data)
        stream.truncate()
        stream.flush()
        os.fsync(stream.fileno())


def _sync(folder: str | Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def create_private(path: str, data: bytes) -> None:
    """A new file that only its owner can read. Raises WriteError where there is one already."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise WriteError(
            "the file exists already", hint="keys are not overwritten; choose another name", file=path
        ) from None
    except OSError:
        raise WriteError("the file cannot be written", hint="may you write to its folder?", file=path) from None
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
