"""However a run of nodes ends, no process, mount, interface, rule, cgroup, kernel setting and file of it is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from testbed.agent import ROOT
from testbed.node import folders, settings
from testbed.node.archives import BUSYBOX
from testbed.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Generator

HIERARCHIES = folders.hierarchies(Path("/proc/mounts").read_text())


@pytest.fixture
def run(tmp_path: Path) -> Generator[subprocess.Popen[str]]:
    """A node of its own, in a network of its own, on which a pod runs."""
    command = [sys.executable, "-m", "testbed.node", "up", "--nodes", "1"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT) as started:
        assert started.stdout is not None
        kubectl = started.stdout.readline().split()[:-2]
        assert "nsenter" in kubectl, "the run says how its node is reached"
        _run(*kubectl, "run", "sleeper", f"--image={BUSYBOX}", "--command", "--", "sleep", "1000")
        _run(*kubectl, "wait", "--for=condition=Ready", "pod/sleeper", "--timeout=60s")
        yield started
        started.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_ends_leaves_nothing(run: subprocess.Popen[str], number: int, tmp_path: Path) -> None:
    before = _of_the_machine()
    assert _processes(tmp_path), "it runs"
    assert _of_run(run.pid), "it has cgroups"

    run.send_signal(number)

    _ = run.wait(60)
    _ = wait_until(lambda: not _processes(tmp_path), 60, "no process is left")
    assert not _of_run(run.pid)
    assert not list(tmp_path.iterdir())
    assert _of_the_machine() == before
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    assert not [line for line in mounts if str(tmp_path) in line or f"nodes-{run.pid}" in line or " node rw" in line]


def test_folders_of_a_run_that_was_killed_with_its_guard_go_at_the_next_start() -> None:
    with subprocess.Popen(["true"]) as ended:
        pass
    dead, alive = f"signet-nodes-{ended.pid}", f"signet-nodes-{os.getppid()}"
    places = [HIERARCHIES[0], Path("/dev/shm")]
    for place in places:
        (place / dead / "node-0").mkdir(parents=True)
        (place / alive).mkdir(exist_ok=True)
    try:
        folders.remove_left()

        assert not [place for place in places if (place / dead).exists()]
        assert [place for place in places if (place / alive).exists()] == places
    finally:
        for place in places:
            (place / alive).rmdir()


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _of_the_machine() -> dict[str, str]:
    """What nodes could change for others: interfaces, rules and routes of the network they were started from, kernel settings."""
    seen = {" ".join(command): _run(*command) for command in _LISTS}
    return seen | {name: Path("/proc/sys", name).read_text() for name in settings.KERNEL}


_LISTS = (
    ("ip", "-brief", "link"),
    ("ip", "-brief", "address"),
    ("ip", "route", "show", "table", "all"),
    ("nft", "list", "ruleset"),
)


def _of_run(pid: int) -> list[Path]:
    return [each for place in (*HIERARCHIES, Path("/dev/shm")) for each in place.glob(f"signet-nodes-{pid}*")]


def _processes(folder: Path) -> list[int]:
    """Those that inherited the run's environment."""
    wanted = f"TMPDIR={folder}\0".encode()
    found: list[int] = []
    for each in Path("/proc").glob("[0-9]*/environ"):
        try:
            if wanted in each.read_bytes():
                found.append(int(each.parent.name))
        except OSError:
            continue
    return found
