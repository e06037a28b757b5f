"""The user's editor on a file in memory."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess  # the user's own editor
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from agent.cli import terminal
from agent.values.errors import EditorError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

_MEMORY = {"tmpfs", "ramfs"}


@contextlib.contextmanager
def folder(*, allow_disk: bool) -> Generator[Path]:
    """A new folder on tmpfs that only its owner can enter, removed at the end, by SIGTERM and SIGHUP too.

    Raises EditorError where there is no tmpfs, unless the disk is allowed.
    """
    parent = next((place for place in _places() if _in_memory(place)), None)
    if parent is None and not allow_disk:
        raise EditorError(
            "there is no tmpfs to hold the plaintext while it is edited",
            hint="neither shared memory nor XDG_RUNTIME_DIR is one; --insecure-temporary-folder uses the disk",
        )
    handlers = {number: signal.signal(number, _leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    made = Path(tempfile.mkdtemp(prefix="agent-edit-", dir=parent))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _leave(number: int, frame: object) -> NoReturn:
    del frame
    raise SystemExit(128 + number)


def _ignore(number: int, frame: object) -> None:
    del number, frame


def _places() -> Iterator[Path]:
    for name in (os.environ.get("XDG_RUNTIME_DIR"), "/dev/shm"):  # noqa: S108  # memory, and a folder of our own in it
        if name and os.access(name, os.W_OK | os.X_OK):
            yield Path(name)


def _in_memory(place: Path) -> bool:
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


def run(path: Path) -> None:
    """Open the editor and wait. Raises EditorError."""
    command = _command()
    # Ctrl-C belongs to the editor while it runs; a handler, unlike "ignore", is not inherited by it.
    before = signal.signal(signal.SIGINT, _ignore)
    try:
        code = subprocess.run([*command, str(path)], check=False).returncode  # noqa: S603
    except OSError:
        raise EditorError("the editor does not start", hint="see SOPS_EDITOR and EDITOR", editor=command[0]) from None
    finally:
        signal.signal(signal.SIGINT, before)
    if code != 0:
        raise EditorError("the editor failed, and nothing was written", editor=command[0], exit=code)


def _command() -> list[str]:
    for variable in ("SOPS_EDITOR", "EDITOR"):
        if text := os.environ.get(variable):
            try:
                words = shlex.split(text)
            except ValueError:
                words = []
            if not words:
                raise EditorError("not a command", variable=variable)
            return words
    for name in ("vim", "nano", "vi"):
        if found := shutil.which(name):
            return [found]
    raise EditorError("there is no editor", hint="set EDITOR")


def again() -> bool:
    """Whether the user wants to correct the text."""
    terminal.note("Press Enter to return to the editor, or Ctrl-C to give up.")
    return bool(sys.stdin.readline())
