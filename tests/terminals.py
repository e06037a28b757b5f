"""A program at a terminal of its own, and a user who types."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import struct
import termios
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_DEADLINE_SECONDS = 60.0
CTRL_C = "\x03"


def run(
    command: Sequence[str | Path],
    answers: Sequence[tuple[str, str]] = (),
    *,
    cwd: Path,
    columns: int = 80,
    environment: Mapping[str, str] | None = None,
) -> tuple[int, str]:
    """The exit code and all that the terminal showed. `answers` are pairs of a prompt that is waited for and what to type.

    `environment` is added to ours; CTRL_C is typed as a key, all else as a line.
    """
    pid, terminal = os.forkpty()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        # A shell's background job hands down that it ignores Ctrl-C; a terminal's program does not.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.chdir(cwd)
        # Not what C has, where readline of pytest left the size of another terminal.
        left = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
        os.execve(command[0], [str(part) for part in command], {**left, **(environment or {})})
    shown, seen = "", 0
    for prompt, line in answers:
        while prompt not in shown[seen:]:
            text = _read(terminal)
            assert text, shown
            shown += text
        seen = len(shown)
        os.write(terminal, line.encode() if line == CTRL_C else f"{line}\n".encode())
    while text := _read(terminal):
        shown += text
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown


def _read(terminal: int) -> str:
    """What is shown next; nothing once the program has ended."""
    assert select.select([terminal], [], [], _DEADLINE_SECONDS)[0], "the program waits for something else"
    try:
        return os.read(terminal, 65536).decode()
    except OSError:  # Linux's way to say that the other end is closed
        return ""
