"""However a run of nodes ends, no process, mount, interface, rule, cgroup, kernel setting and file of it is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
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


ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Generator[dict[int, tuple[subprocess.Popen[str], Path]]]:
    """For each way to end, a node of its own in a network of its own, and its folder. They start at once."""
    command = [sys.executable, "-m", "testbed.node", "up", "--nodes", "1"]
    started: dict[int, tuple[subprocess.Popen[str], Path]] = {}
    with ExitStack() as stack:
        for number in ENDS:
            folder = tmp_path_factory.mktemp("nodes")
            environment = {**os.environ, "TMPDIR": str(folder)}
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT)
            _ = stack.enter_context(process)
            stack.callback(process.kill)
            started[number] = process, folder
        yield started


@pytest.mark.parametrize("number", ENDS)
def test_a_run_that_ends_leaves_nothing(runs: dict[int, tuple[subprocess.Popen[str], Path]], number: int) -> None:
    run, folder = runs[number]
    _until_a_pod_runs(run)
    before = _of_the_machine()
    assert _processes(folder), "it runs"
    assert _of_run(run.pid), "it has cgroups"

    run.send_signal(number)

    _ = run.wait(60)
    _ = wait_until(lambda: not _processes(folder), 60, "no process is left")
    assert not _of_run(run.pid)
    assert not list(folder.iterdir())
    assert _of_the_machine() == before
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    assert not [line for line in mounts if str(folder) in line or f"nodes-{run.pid}" in line or " node rw" in line]


def _until_a_pod_runs(run: subprocess.Popen[str]) -> None:
    assert run.stdout is not None
    kubectl = run.stdout.readline().split()[:-2]
    assert "nsenter" in kubectl, "the run says how its node is reached"
    _ = _run(*kubectl, "run", "sleeper", f"--image={BUSYBOX}", "--command", "--", "sleep", "1000")
    _ = _run(*kubectl, "wait", "--for=condition=Ready", "pod/sleeper", "--timeout=60s")


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
