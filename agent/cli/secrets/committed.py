"""What Git has of a file, staged or at HEAD, and whether it would ever take it.

A file's content is read as Git stores it: no filter, text conversion, hook or network is between. Where there is no repository, no `git`
or one that does not answer, Git has nothing.
"""

from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING, Self

from agent.cli.files import boundary

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

_SAFE = ("-c", "core.fsmonitor=false", "-c", "core.untrackedCache=false", "-c", "protocol.allow=never")
_LARGEST = 64 * 1024 * 1024


class Committed:
    """A process of Git for each repository that is asked about, for as long as this is open."""

    def __init__(self) -> None:
        self._running: dict[str, subprocess.Popen[bytes] | None] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running.values():
            if process is not None:
                process.communicate()
        self._running.clear()

    def versions(self, file: str) -> Iterator[tuple[str, bytes]]:
        """The file's bytes in the index and at HEAD, as far as there are any."""
        path = os.path.abspath(file)  # Git follows no link either
        top = boundary.work_tree(path)
        if top is None:
            return
        name = os.fsencode(os.path.relpath(path, top))
        for where, revision in (("the version staged in Git", b""), ("the version in Git", b"HEAD")):
            data = None if b"\n" in name else self._blob(top, revision + b":" + name)
            if data is not None:
                yield where, data

    def _blob(self, top: str, name: bytes) -> bytes | None:
        if top not in self._running:
            self._running[top] = _start(top)
        process = self._running[top]
        if process is None:
            return None
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(name + b"\n")
            process.stdin.flush()
            header = process.stdout.readline().split()
            if len(header) != 3 or header[1] != b"blob":  # "… missing", or a Git that ended
                return _skip(process.stdout, header)
            if int(header[2]) > _LARGEST:
                return _skip(process.stdout, header)
            data = process.stdout.read(int(header[2]) + 1)
        except (OSError, ValueError):
            return None
        return data[:-1] if len(data) == int(header[2]) + 1 else None


def _skip(stream: IO[bytes], header: list[bytes]) -> None:
    """Past what is not a blob, such as a folder's listing, or too large a one."""
    left = int(header[2]) + 1 if len(header) == 3 and header[2].isdigit() else 0
    while left > 0 and (part := stream.read(min(left, 1 << 20))):
        left -= len(part)


def _start(top: str) -> subprocess.Popen[bytes] | None:
    # Only here, since a file need not be in a repository.
    import subprocess  # git

    try:
        return subprocess.Popen(  # noqa: S603
            ["git", *_SAFE, "cat-file", "--batch"],  # noqa: S607  # the user's own
            cwd=top,
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        return None


def may_be_committed(file: str) -> bool:
    """Whether a file lies in a work tree and is tracked there, or at least not ignored."""
    path = os.path.realpath(file)
    top = boundary.work_tree(path)
    if top is None:
        return False
    import subprocess  # git

    command = ["git", *_SAFE, "check-ignore", "--quiet", "--", path]
    try:
        done = subprocess.run(command, cwd=top, env=_environment(), capture_output=True, check=False)  # noqa: S603
    except OSError:
        return False
    return done.returncode == 1


def _environment() -> dict[str, str]:
    # Of a hook's environment, which may name another repository, nothing is taken.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {**kept, "GIT_NO_LAZY_FETCH": "1", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
