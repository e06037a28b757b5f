"""Child processes: their logs, their end, and the end of their parent."""

import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from testbed.processes import NotReadyError, ProcessError, Supervisor, free_port, running, wait_until

SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)",
]
FORKS = [
    sys.executable,
    "-c",
    "import subprocess, sys, time; c = subprocess.Popen(['sleep', '600']); print(c.pid, flush=True); time.sleep(600)",
]


@pytest.fixture
def supervisor() -> Generator[Supervisor]:
    with Supervisor() as running:
        yield running


def test_output_goes_to_the_log(supervisor: Supervisor) -> None:
    process = supervisor.start("sleeper", SLEEP)
    process.wait_ready(lambda: "up" in process.tail())
    assert process.alive
    assert process.log == supervisor.folder / "sleeper.log"


def test_a_process_that_ends_early_shows_its_log(supervisor: Supervisor) -> None:
    process = supervisor.start("broken", [sys.executable, "-c", "raise SystemExit('no such flag')"])
    with pytest.raises(ProcessError, match=r"broken: ended with 1 before it was ready\nno such flag"):
        process.wait_ready(lambda: False)


def test_a_process_that_is_never_ready_shows_its_log(supervisor: Supervisor) -> None:
    process = supervisor.start("slow", SLEEP)
    process.wait_ready(lambda: "up" in process.tail())
    with pytest.raises(NotReadyError, match=r"(?s)slow: ready: not after 0.1 s.*up"):
        process.wait_ready(lambda: False, seconds=0.1)


@pytest.mark.parametrize(("argv", "code"), [(SLEEP, -signal.SIGTERM), (STUBBORN, -signal.SIGKILL)])
def test_stop_asks_first_and_then_kills(supervisor: Supervisor, argv: list[str], code: int) -> None:
    process = supervisor.start("child", argv)
    process.wait_ready(lambda: "up" in process.tail())
    assert process.stop(grace=0.5) == code


def test_a_paused_process_can_be_stopped(supervisor: Supervisor) -> None:
    process = supervisor.start("child", SLEEP)
    process.wait_ready(lambda: "up" in process.tail())
    process.pause()
    assert process.stop() == -signal.SIGTERM


def test_stop_ends_the_children_of_a_child(supervisor: Supervisor) -> None:
    process = supervisor.start("parent", FORKS)
    process.wait_ready(lambda: process.tail().strip())
    grandchild = int(process.tail())
    supervisor.stop()
    wait_until(lambda: not running(grandchild), 10, "grandchild gone")


def test_the_temporary_folder_goes_with_the_supervisor() -> None:
    with Supervisor() as supervisor:
        folder = supervisor.folder
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not folder.exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_outlives_its_parent(number: signal.Signals) -> None:
    code = (
        "import signal, time; from testbed.processes import Supervisor\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # scripts start background jobs with it ignored\n"
        "with Supervisor() as s:\n"
        "    print(s.start('child', ['sleep', '600']).pid, s.folder, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        assert parent.stdout is not None
        pid, folder = parent.stdout.readline().decode().split()
        child = int(pid)
        assert running(child)
        parent.send_signal(number)
        parent.wait(10)
    wait_until(lambda: not running(child), 15, "child gone")
    wait_until(lambda: not Path(folder).exists(), 15, "folder gone")


def test_free_ports_are_given_once_and_stay_out_of_the_range_of_outgoing_connections() -> None:
    ports = [free_port() for _ in range(500)]
    assert len(set(ports)) == len(ports)
    assert all(20_000 <= port < 32_000 for port in ports)
