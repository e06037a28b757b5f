"""git, confined: a deadline, bounded output, and an end with its whole family."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from agent.adapters.git import failures

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from agent.adapters.git.confined import Confined

_POLL: Final = 0.2
"""Seconds between looks at cancellation and size."""
ERROR_TAIL: Final = 16 * 1024
"""Bytes of stderr that are kept to judge a failure by."""
PROCESSES: Final = 3
"""Of one command, as many take what a server sends into memory: `fetch`, `remote-https` or `ssh`, and `index-pack`. Each has the whole limit."""


def confined(folder: str | Path, *, address_space: int, cpu_seconds: float) -> Confined:
    """Commands in a folder. GitPython is loaded for the first: an agent that serves no repository does without its 3 MiB."""
    from agent.adapters.git.confined import Confined  # noqa: PLC0415

    return Confined(folder, address_space=address_space, cpu_seconds=cpu_seconds)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended. `ssh` is what OpenSSH's client logged.

    Both it and `stderr` may hold anything that a server says: judge by them, never show them.
    """

    status: int
    stdout: bytes
    stderr: str
    stopped: Literal["", "timeout", "output", "size", "cancelled"] = ""
    ssh: str = ""

    @property
    def ok(self) -> bool:
        return self.status == 0 and not self.stopped


def run(
    confined: Confined,
    arguments: Sequence[str],
    *,
    seconds: float,
    cancelled: threading.Event,
    output: int = 1024 * 1024,
    too_large: Callable[[], bool] | None = None,
    descriptors: tuple[int, ...] = (),
) -> Outcome:
    """Run `git <arguments>` to its end, or end it: after `seconds`, past `output` bytes, when `too_large` or when cancelled.

    Blocks; meant for a worker thread. `descriptors` are inherited by git and its children. Raises LimitError where git met a limit of its
    own.
    """
    if cancelled.is_set():
        return Outcome(-1, b"", "", "cancelled")
    started = confined.execute(
        [confined.GIT_PYTHON_GIT_EXECUTABLE, *arguments],
        as_process=True,
        pass_fds=descriptors,
    )
    process: subprocess.Popen[bytes] = started.proc
    assert process.stdout is not None
    assert process.stderr is not None
    deadline = time.monotonic() + seconds
    taken: dict[Any, bytearray] = {process.stdout: bytearray(), process.stderr: bytearray()}
    stopped: Literal["", "timeout", "output", "size", "cancelled"] = ""
    with process.stdout, process.stderr, selectors.DefaultSelector() as selector:
        for stream in taken:
            selector.register(stream, selectors.EVENT_READ)
        while not stopped and (selector.get_map() or process.poll() is None):
            _read(selector, taken, process.stderr)
            if cancelled.is_set():
                stopped = "cancelled"
            elif time.monotonic() > deadline:
                stopped = "timeout"
            elif len(taken[process.stdout]) > output:
                stopped = "output"
            elif too_large is not None and too_large():
                stopped = "size"
        if stopped:
            _end(process)
    status = process.wait()
    stderr = taken[process.stderr].decode("utf-8", "replace")
    if not stopped and status:
        failures.check_limits(status, stderr, address_space=confined.address_space, cpu_seconds=confined.cpu_seconds)
    return Outcome(status, bytes(taken[process.stdout]), stderr, stopped)


def _read(selector: selectors.BaseSelector, taken: dict[Any, bytearray], errors: Any) -> None:
    if not selector.get_map():
        time.sleep(_POLL / 10)
        return
    for key, _ in selector.select(_POLL):
        data = os.read(key.fd, 65536)
        if not data:
            selector.unregister(key.fileobj)
        taken[key.fileobj] += data
        if key.fileobj is errors:
            del taken[key.fileobj][:-ERROR_TAIL]


def _end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM to the whole session, so that git removes its temporary packs; SIGKILL to what is left."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
        try:
            process.wait(2)
        except subprocess.TimeoutExpired:
            continue
