"""Child processes that never outlive their parent, free ports, and waiting for readiness.

Every process runs in a session of its own, so that Ctrl-C reaches the parent alone, which ends the children in order. A guard
process holds the other end of a pipe: when the parent is gone without having done so (SIGKILL, SIGTERM), the guard ends them
and removes a temporary folder, and what else is to be removed.
A parent-death signal would do less: it fires when the *thread* that started a child ends.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

T = TypeVar("T")

_GUARD = """
import os, shutil, signal, sys, time
groups = set()
for line in sys.stdin:
    sign, group = line[0], int(line[1:])
    groups.add(group) if sign == "+" else groups.discard(group)
def send(number):
    for group in list(groups):
        try:
            os.killpg(group, number)
        except OSError:
            groups.discard(group)
send(signal.SIGCONT)
send(signal.SIGTERM)
end = time.monotonic() + 5
while groups and time.monotonic() < end:
    time.sleep(0.05)
    send(0)
send(signal.SIGKILL)
folders, end = sys.argv[1:], time.monotonic() + 10
while folders:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    folders = [folder for folder in folders if os.path.exists(folder) and time.monotonic() < end]
    time.sleep(0.05 if folders else 0)
"""


class ProcessError(RuntimeError):
    """A process ended, or did not do what was waited for. The text holds the end of its log."""


class NotReadyError(ProcessError):
    """What was waited for did not come in time."""


_given: set[int] = set()


def free_port() -> int:
    """A loopback TCP port that nothing listens on, below the range that the kernel gives to outgoing connections, and never the same.

    A server may therefore stop and start again on the same port without losing it to a client socket or to another server.
    """
    for _ in range(200):
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in _given:
                _given.add(port)
                return port
    raise NotReadyError("no free port between 20000 and 32000")


def wait_until(check: Callable[[], T | None], seconds: float, what: str, interval: float = 0.05) -> T:
    """The first truthy result of `check`. Raises NotReadyError after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        if result := check():
            return result
        if time.monotonic() > end:
            raise NotReadyError(f"{what}: not after {seconds:g} s")
        time.sleep(interval)


def running(pid: int) -> bool:
    """Whether a process lives; one that has ended and was not waited for does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/status")
    return not (status.exists() and "\nState:\tZ" in status.read_text())


class Process:
    """A child process with its log file. Made by `Supervisor.start`."""

    def __init__(self, name: str, popen: subprocess.Popen[bytes], log: Path, ended: Callable[[int], None]) -> None:
        self.name: str = name
        self.log: Path = log
        self._popen: subprocess.Popen[bytes] = popen
        self._ended: Callable[[int], None] = ended

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def returncode(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._popen.poll()

    @property
    def alive(self) -> bool:
        return self.returncode is None

    @property
    def paused(self) -> bool:
        """Whether it stands still by `pause`."""
        return self.alive and "\nState:\tT" in Path(f"/proc/{self.pid}/status").read_text()

    def signal(self, number: int) -> None:
        """To the whole process group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def pause(self) -> None:
        """Stop it where it stands: connections stay open and nothing is answered."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.signal(signal.SIGCONT)

    def wait(self, seconds: float) -> int:
        """Its exit code. Raises NotReadyError where it still runs after `seconds`."""
        try:
            code = self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise NotReadyError(f"{self.name}: still runs after {seconds:g} s\n{self.tail()}") from None
        self._ended(self.pid)
        return code

    def stop(self, grace: float = 10.0) -> int:
        """SIGTERM, then SIGKILL after `grace` seconds; what is left of the group ends too. Gives the exit code."""
        if self.alive and grace > 0:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(grace)
        return self.kill()

    def kill(self) -> int:
        """SIGKILL to the group. Gives the exit code."""
        self.signal(signal.SIGKILL)
        return self.wait(10)

    def tail(self, lines: int = 20) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def wait_ready(self, check: Callable[[], object], seconds: float = 60.0) -> None:
        """Until `check` is truthy. Raises ProcessError where the process ends before, NotReadyError where time does."""

        def ready() -> bool:
            if not self.alive:
                raise ProcessError(f"{self.name}: ended with {self.returncode} before it was ready\n{self.tail()}")
            return bool(check())

        try:
            _ = wait_until(ready, seconds, f"{self.name}: ready")
        except NotReadyError as error:
            raise NotReadyError(f"{error}\n{self.tail()}") from None


class Supervisor:
    """Starts processes and ends them all, newest first. A context manager; safe from several threads.

    `folder` holds logs and state; without one it is a temporary folder (0700) that goes when the supervisor stops, unless `keep`.
    `grace` is how many seconds each process has to end by itself when the supervisor stops. `removed` are further folders that go
    then: of files, or of cgroups, which can go only some time after their last process.
    """

    def __init__(
        self, folder: Path | None = None, *, keep: bool = False, grace: float = 10.0, removed: Sequence[Path] = ()
    ) -> None:
        self._own_folder: bool = folder is None and not keep
        self._grace: float = grace
        self._removed: list[Path] = list(removed)
        if folder is None:
            folder = Path(tempfile.mkdtemp(prefix="signet-testbed-"))
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder: Path = folder
        self.processes: list[Process] = []
        self._lock: threading.Lock = threading.Lock()
        self._guard: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdout: IO[bytes] | None = None,
    ) -> Process:
        """Run `argv`; standard error, and standard output where no `stdout` is given, go to `<folder>/<name>.log`.

        A process of the same name that has ended makes room; its log is continued.
        """
        log = self.folder / f"{name}.log"
        with _uninterrupted(), self._lock, log.open("ab") as output:
            self.processes = [each for each in self.processes if each.alive]
            guard = self._start_guard()
            popen = subprocess.Popen(
                [str(part) for part in argv],
                stdin=subprocess.DEVNULL,
                stdout=stdout or output,
                stderr=output,
                env=None if env is None else dict(env),
                cwd=cwd,
                start_new_session=True,
            )
            _write(guard, f"+{popen.pid}")
            process = Process(name, popen, log, self._forget)
            self.processes.append(process)
        return process

    def stop(self) -> None:
        """End every process, newest first, and the guard; remove the folder where it is temporary. Harmless twice."""
        for process in reversed(self.processes):
            _ = process.stop(self._grace)
        with self._lock:
            self.processes = []
            if self._guard is not None:
                assert self._guard.stdin is not None
                self._guard.stdin.close()
                _ = self._guard.wait(30)
                self._guard = None
        if self._own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _forget(self, pid: int) -> None:
        with self._lock:
            if self._guard is not None:
                _write(self._guard, f"-{pid}")

    def _start_guard(self) -> subprocess.Popen[bytes]:
        if self._guard is None:
            folders = [*([self.folder] if self._own_folder else []), *self._removed]
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _GUARD, *map(str, folders)],
                stdin=subprocess.PIPE,
                start_new_session=True,
            )
        return self._guard


def _write(guard: subprocess.Popen[bytes], line: str) -> None:
    assert guard.stdin is not None
    _ = guard.stdin.write(f"{line}\n".encode())
    guard.stdin.flush()


@contextlib.contextmanager
def _uninterrupted() -> Generator[None]:
    """Put Ctrl-C and SIGTERM off until the end: a child that has started must be known before anything is unwound."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    numbers = [each for each in (signal.SIGINT, signal.SIGTERM) if callable(signal.getsignal(each))]
    before = {number: signal.signal(number, lambda number, _frame: came.append(number)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            _ = signal.signal(number, handler)
        for number in came:
            signal.raise_signal(number)


@contextlib.contextmanager
def terminated_as_interrupt() -> Generator[None]:
    """Within it SIGTERM ends the main thread as Ctrl-C does, so that context managers close. Main thread only.

    Ctrl-C counts here even where the process was started with it ignored, as shells start background jobs.
    """

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            _ = signal.signal(number, handler)
