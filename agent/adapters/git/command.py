"""git, confined: no environment and no configuration but ours, a deadline, bounded output, and an end with its whole family.

GitPython starts every process with a copy of this process's environment, so `Confined` starts them through `env -i`.
"""

from __future__ import annotations

import math
import os
import selectors
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import git

from agent.adapters.bounds import children
from agent.adapters.git import failures
from agent.values.errors import ConfigError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence
    from pathlib import Path

_POLL: Final = 0.2
"""Seconds between looks at cancellation and size."""
ERROR_TAIL: Final = 16 * 1024
"""Bytes of stderr that are kept to judge a failure by."""
PROCESSES: Final = 3
"""Of one command, as many take what a server sends into memory: `fetch`, `remote-https` or `ssh`, and `index-pack`. Each has the whole limit."""

_CONFIGURATION: Final = {
    # What lets every repository be read within a small address space: large blobs are streamed, packs are mapped by pieces.
    "core.bigFileThreshold": "1m",
    "core.deltaBaseCacheLimit": "8m",
    "core.packedGitLimit": "16m",
    "core.packedGitWindowSize": "1m",
    "pack.deltaCacheSize": "8m",
    "pack.threads": "1",
    "pack.windowMemory": "16m",
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.askPass": "",
    "core.alternateRefsCommand": "",
    "credential.helper": "",
    "fetch.recurseSubmodules": "false",
    "fetch.unpackLimit": "1",
    "fetch.uriProtocols": "",
    "fetch.writeCommitGraph": "false",
    "gc.auto": "0",
    "http.followRedirects": "false",
    "http.proxy": "",
    "http.sslVerify": "true",
    "maintenance.auto": "false",
    "protocol.allow": "never",
    "protocol.ext.allow": "never",
    "protocol.file.allow": "never",
    "protocol.version": "2",
    "submodule.recurse": "false",
    "transfer.bundleURI": "false",
}


def _environment() -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "GIT_ALLOW_PROTOCOL": "",
        "GIT_ASKPASS": "",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        **children.ENVIRONMENT,
    }


def settings(configuration: dict[str, str]) -> list[str]:
    """`-c name=value` for each."""
    return [part for name, value in configuration.items() for part in ("-c", f"{name}={value}")]


class Confined(git.Git):
    """GitPython's command, without anything of this machine's environment and configuration.

    Each process of it has at most `address_space` bytes and `cpu_seconds` of a processor. `variables` and `configuration` hold for
    this instance's commands, and may be added to.
    """

    __slots__ = ("address_space", "configuration", "cpu_seconds", "variables")

    def __init__(self, working_dir: str | Path, *, address_space: int, cpu_seconds: float) -> None:
        super().__init__(working_dir)
        self.address_space: int = address_space
        self.cpu_seconds: int = math.ceil(cpu_seconds)
        self.variables: dict[str, str] = _environment()
        self.configuration: dict[str, str] = dict(_CONFIGURATION)

    def execute(self, command: str | Sequence[Any], *args: Any, **kwargs: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """As git.Git's, behind `env -i` and its limits, in a session of its own."""
        assert not isinstance(command, str)
        program = shutil.which(str(command[0]))
        env = shutil.which("env")
        if program is None or env is None:
            raise ConfigError("git is not installed", hint="install git 2.32 or newer")
        assignments = [f"{name}={value}" for name, value in self.variables.items()]
        confined = [env, "-i", *assignments, program, *settings(self.configuration), *map(str, command[1:])]
        bounded = children.bounded(confined, address_space=self.address_space, cpu_seconds=self.cpu_seconds)
        return super().execute(  # pyright: ignore[reportUnknownVariableType]
            bounded, *args, start_new_session=True, **kwargs
        )


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
