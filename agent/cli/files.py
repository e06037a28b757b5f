"""Files as the commands read and write them: whole, replaced at once, and named in every error."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from pathlib import Path

from agent.values.errors import FileMissingError, ReadError, WriteError


def read(path: str) -> bytes:
    """A file's bytes. Raises FileMissingError, ReadError."""
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise FileMissingError("no such file", file=path) from None
    except OSError:
        raise ReadError("the file cannot be read", hint="is it a file, and may you read it?", file=path) from None


def read_stdin() -> bytes:
    return sys.stdin.buffer.read()


def write(path: str, data: bytes) -> None:
    """Replace a file, or make it, all at once: a reader sees the old bytes or the new. An existing file keeps its mode.

    A new one is for its owner and, as the umask allows, others. Raises WriteError.
    """
    # A link keeps pointing where it points.
    target = Path(os.path.realpath(path))
    temporary = ""
    try:
        mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o666 & ~_umask()
        descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:100]}.")
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        Path(temporary).replace(target)
    except OSError:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise WriteError("the file cannot be written", hint="may you write to its folder?", file=path) from None


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
