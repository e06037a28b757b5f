"""How many gpgs and gpg-agents of homes of our own run at a time: each has memory of its own, and an agent stays until it is ended."""

from __future__ import annotations

import subprocess  # gpgconf, with arguments of our own
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from agent.adapters.bounds import children

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

ADDRESS_SPACE = 48 * 1024 * 1024
"""Bytes of each gpg and each gpg-agent; 20 MiB are enough for both."""
GPGS = 2
AGENTS = 4

_ENDLESS = 10**9
_SECONDS = 10


class Homes:
    """At most `gpgs` in use at a time, and as many agents as `agents`: the one that was used longest ago is ended. Thread-safe.

    `end` ends the agent of a home. What it held is in the home's files: the next use starts another.
    """

    def __init__(self, end: Callable[[Path], None], *, gpgs: int = GPGS, agents: int = AGENTS) -> None:
        self._end = end
        self._agents = agents
        self._turns = threading.Semaphore(gpgs)
        self._lock = threading.Lock()
        self._used: dict[Path, int] = {}

    @contextmanager
    def use(self, home: Path) -> Generator[None]:
        """A turn for one gpg of this home, whose agent stays meanwhile."""
        with self._turns:
            with self._lock:
                self._used[home] = self._used.pop(home, 0) + 1
                idle = [each for each, users in self._used.items() if not users]
                for each in idle[: max(0, len(self._used) - self._agents)]:
                    del self._used[each]
                    self._end(each)
            try:
                yield
            finally:
                with self._lock:
                    self._used[home] = self._used.pop(home, 1) - 1

    def forget(self, home: Path) -> None:
        """Its agent is ended, because the home goes."""
        with self._lock:
            self._used.pop(home, None)
            self._end(home)


def launch(home: Path, gpgconf: str) -> None:
    """Start the home's gpg-agent where none runs. gpg would start it too, and hand on its own few seconds of processor time."""
    configuration = home / "gpg-agent.conf"
    if not configuration.exists():
        configuration.write_text("disable-scdaemon\n")
    _gpgconf(home, gpgconf, "--launch", "gpg-agent")


def end(home: Path, gpgconf: str) -> None:
    """End what of GnuPG runs for a home."""
    _gpgconf(home, gpgconf, "--kill", "all")


def _gpgconf(home: Path, gpgconf: str, *arguments: str) -> None:
    command = [gpgconf, "--homedir", str(home), *arguments]
    subprocess.run(  # noqa: S603
        children.bounded(command, address_space=ADDRESS_SPACE, cpu_seconds=_ENDLESS),
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=children.environment(),
        timeout=_SECONDS,
    )
