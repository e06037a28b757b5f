"""The command that a user wants to run with secrets: by /bin/sh, in our place for the waiting process, and with its exit code."""

from __future__ import annotations

import os
import signal
import subprocess  # the user's own command
import sys
from typing import TYPE_CHECKING

from agent.cli.errors import CommandError
from agent.values import system

if TYPE_CHECKING:
    import argparse
    import types
    from collections.abc import Mapping, Sequence

_SHELL = "/bin/sh"
_FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_FROM_A_TERMINAL = {signal.SIGINT, signal.SIGQUIT}
_SIGNALLED = 255
"""The exit code of sops where a signal ended the command."""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("arguments", nargs="*", help="the file, and the command as one argument, for /bin/sh -c")
    parser.add_argument("--user", metavar="NAME", default="", help="run the command as this user; needs root")
    parser.add_argument("--background", action="store_true", help="do not wait for the command")


def arguments(given: Sequence[str]) -> tuple[str, str]:
    """The file and the command. Raises CommandError."""
    if len(given) != 2:
        raise CommandError("a file and a command are needed", hint="quote the command, so that it is one argument")
    file, command = given
    return file, command


def environment(
    user: str, *, pristine: bool = False, values: Mapping[bytes, bytes] | None = None
) -> dict[bytes, bytes]:
    """The command's environment: ours, where the user is at home, and the values."""
    import pwd

    home: dict[bytes, bytes] = {}
    if user:
        entry = pwd.getpwnam(user)
        home = {
            b"HOME": os.fsencode(entry.pw_dir),
            b"USER": os.fsencode(entry.pw_name),
            b"LOGNAME": os.fsencode(entry.pw_name),
        }
    return ({} if pristine else dict(os.environb)) | home | dict(values or {})


def become(user: str) -> None:
    """Give this process to a user, for good. Raises CommandError."""
    if not user:
        return
    import pwd

    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise CommandError("there is no such user", user=user) from None
    try:
        os.initgroups(entry.pw_name, entry.pw_gid)
        os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
        os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)
    except OSError:
        raise CommandError("this process cannot become the user", hint="only root can", user=user) from None


def leave_behind() -> bool:
    """Whether this is the process that a shell waits for, of two: the other has no terminal, and goes on by itself."""
    sys.stdout.flush()
    sys.stderr.flush()
    if os.fork():
        return True
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(null, stream)
    return False


def replace_us(command: str, environ: dict[bytes, bytes]) -> None:
    """Become the command: what sops calls the same process."""
    sys.stdout.flush()
    sys.stderr.flush()
    # Unlike a handler, "ignore" would be inherited, and this interpreter ignores it.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.execve(_SHELL, [_SHELL, "-c", command], environ)  # noqa: S606


def run(command: str, environ: dict[bytes, bytes]) -> int:
    """Run the command and wait for it, its exit code ours. Signals are handed on to it."""
    text = {os.fsdecode(name): os.fsdecode(value) for name, value in environ.items()}
    child: subprocess.Popen[bytes] | None = None
    handed_on: set[int] = set()
    early: list[int] = []

    def hand_on(number: int, frame: types.FrameType | None) -> None:
        del frame
        if number in _FROM_A_TERMINAL and _in_foreground():
            # The terminal has signalled the child too.
            return
        handed_on.add(number)
        if child is None:
            early.append(number)
        else:
            child.send_signal(number)

    before = {number: signal.signal(number, hand_on) for number in _FORWARDED}
    try:
        child = subprocess.Popen([_SHELL, "-c", command], env=text)  # noqa: S603
        for number in early:
            child.send_signal(number)
        code = child.wait()
    except (OSError, ValueError) as error:
        raise CommandError("the command does not start", cause=system.cause(error)) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if code >= 0:
        return code
    return 128 - code if -code in handed_on else _SIGNALLED


def _in_foreground() -> bool:
    """Whether this process hears the keys of a terminal."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
