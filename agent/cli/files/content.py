"""Files as the commands read and write them: whole, replaced at once, and named in every error."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from typing import TYPE_CHECKING, NoReturn

from agent.cli.errors import FileMissingError, ReadError, WriteError
from agent.values import system

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

_MOST = 64 * 1024 * 1024
"""Bytes. A repository can hold a link to a device that never ends."""
_NO_REPLACING = {errno.EACCES, errno.EPERM, errno.EBUSY}


def read(path: str) -> bytes:
    """A file's bytes; of a device or a pipe, `_MOST` at the most. Raises FileMissingError, ReadError."""
    try:
        # An empty name, as a script's unset variable gives, is there, but no file.
        with open(path or ".", "rb") as stream:
            if stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                return stream.read()
            data = stream.read(_MOST + 1)
    except FileNotFoundError:
        raise FileMissingError("no such file", file=path) from None
    except (OSError, ValueError) as error:  # a name with a NUL in it
        raise ReadError("the file cannot be read", file=path, cause=system.cause(error)) from None
    if len(data) > _MOST:
        raise ReadError(
            "this is no file but a device or a pipe, and has no end", hint="does a link lead there?", file=path
        )
    return data


def read_existing(path: str) -> bytes:
    """As `read`, for the commands of which sops says that a missing file cannot be read: exit 2."""
    try:
        return read(path)
    except FileMissingError as error:
        raise error.in_case("usage") from None


def read_stdin() -> bytes:
    """All of it. Raises ReadError."""
    try:
        return sys.stdin.buffer.read()
    except OSError as error:
        raise ReadError(
            "standard input cannot be read", hint="is it a file or a pipe?", cause=system.cause(error)
        ) from None


def read_answer() -> str:
    """A line of standard input, with its line break; empty where there is none."""
    try:
        return sys.stdin.buffer.readline().decode("utf-8", "replace")
    except OSError:
        return ""


def write(path: str, data: bytes, *, durable: bool = True) -> None:
    """Replace a file, or make it, all at once: a reader sees the old bytes or the new, and a link keeps pointing where it points.

    An existing file keeps its owner and mode; where only writing into it can do that (a file of another user, a mount), that is done. A
    new one is for its owner and, as the umask allows, others. Devices, pipes and open files, such as `/dev/stdout`, are written to. When
    `durable`, its name outlasts a power cut; who writes many files does that once for each folder (`make_durable`). Raises WriteError.
    """
    try:
        if (stream := _stream(path)) is not None:
            with os.fdopen(stream, "wb") as opened:
                opened.write(data)
        else:
            target = os.path.realpath(path)
            with leaving():
                _replace(target, data)
            if durable:
                _sync(os.path.dirname(target))
    except (OSError, ValueError) as error:
        raise _unwritten(path, error) from None


def make_durable(paths: Iterable[str]) -> None:
    """Let the names of files outlast a power cut. Raises WriteError."""
    for folder in {os.path.dirname(os.path.realpath(path)) for path in paths}:  # as realpath gives it
        try:
            _sync(folder)
        except OSError as error:
            raise WriteError(
                "the folder cannot be synced to its disk", file=folder, cause=system.cause(error)
            ) from None


@contextlib.contextmanager
def leaving() -> Generator[None]:
    """Let SIGTERM and SIGHUP end the process as an error does, so that what is temporary is removed first."""
    # Only here, since most commands write no file.
    import signal

    # Who ignores a signal, as `nohup` does, goes on ignoring it.
    numbers = [each for each in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(each) is signal.SIG_DFL]
    for number in numbers:
        signal.signal(number, _leave)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


def _leave(number: int, frame: object) -> NoReturn:
    del frame
    raise SystemExit(128 + number)


def _stream(path: str) -> int | None:
    """A descriptor to write to, of what is no file that could be replaced."""
    folder, name = _place(path)
    while not (folder + "/").startswith("/proc/") and os.path.islink(path) and os.path.exists(path):
        path = os.path.join(folder, os.readlink(path))
        folder, name = _place(path)
    if folder == os.path.realpath("/proc/self/fd") and name.isdecimal():
        # Opened by its name, a file would be emptied, and written over where it is appended to.
        return os.dup(int(name))
    if (folder + "/").startswith("/proc/") or (os.path.exists(path) and not os.path.isfile(path)):
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    return None


def _place(path: str) -> tuple[str, str]:
    folder, name = os.path.split(path)
    return os.path.realpath(folder), name


def _replace(target: str, data: bytes) -> None:
    if os.path.islink(target):
        # All links were followed, so this one leads back to itself.
        raise OSError(errno.ELOOP, "")
    before = os.stat(target) if os.path.exists(target) else None
    folder, name = os.path.split(target)
    # A name of our own, since `tempfile` takes longer to load than most files to write.
    temporary = os.path.join(folder, f".{name[:50]}.{os.urandom(8).hex()}")
    try:
        with open(temporary, "xb", opener=_private) as stream:
            stream.write(data)
            stream.flush()
            made = os.fstat(stream.fileno())
            if before is not None and (made.st_uid, made.st_gid) != (before.st_uid, before.st_gid):
                os.fchown(stream.fileno(), before.st_uid, before.st_gid)
            os.fchmod(stream.fileno(), stat.S_IMODE(before.st_mode) if before is not None else 0o666 & ~_umask())
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    except BaseException as error:  # Ctrl-C too must leave no plaintext behind
        if os.path.lexists(temporary):
            os.unlink(temporary)
        if before is None or not isinstance(error, OSError) or error.errno not in _NO_REPLACING:
            raise
        _overwrite(target, data)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def _overwrite(target: str, data: bytes) -> None:
    with open(target, "r+b") as stream:
        stream.write(data)
        stream.truncate()
        stream.flush()
        os.fsync(stream.fileno())


def _sync(folder: str) -> None:
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
    except (OSError, ValueError) as error:
        raise _unwritten(path, error) from None
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)


def _unwritten(path: str, error: OSError | ValueError) -> WriteError:
    return WriteError(
        "the file cannot be written", hint="may you write to its folder?", file=path, cause=system.cause(error)
    )


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
