"""The parsers take whatever they are given: for twenty seconds here, for ten minutes in `make soak`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bench.fuzz import checks, inputs, seeds
from bench.fuzz.__main__ import Fuzzer
from bench.fuzz.checks import Broken, Check

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_no_input_crashes_hangs_or_takes_much_memory(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench.fuzz", "--seconds", "20", "--seed", "1", "--save", str(tmp_path / "found")]
    done = subprocess.run(command, capture_output=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, b""), done.stdout.decode()
    assert not (tmp_path / "found").exists()


def crash() -> None:
    raise KeyError("planted")


def hang() -> None:
    while True:
        pass


def memory() -> None:
    bytearray(300 * 1024 * 1024)


def too_much_memory() -> None:
    bytearray(1 << 40)


def law() -> None:
    raise Broken("planted")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    ("plant", "kind"),
    [(crash, "crash"), (hang, "hang"), (memory, "memory"), (too_much_memory, "memory"), (law, "law"), (die, "crash")],
)
def test_what_is_planted_is_found(
    plant: Callable[[], None],
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(checks.CHECKS, "yaml", (Check("planted", lambda data, _: plant() if b"!" in data else None),))
    fuzzer = Fuzzer(1, tmp_path)
    fuzzer.replay("yaml", b"a: b", 1)
    assert not fuzzer.findings
    fuzzer.replay("yaml", b"a: !", 1)
    assert [key[:3] for key in fuzzer.findings] == [(kind, "yaml", "planted")]
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"a: !"]
    assert capsys.readouterr().out.startswith(kind)


def test_the_run_goes_on_behind_an_input_that_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = seeds.all_seeds()
    failing = [number for number in range(60) if inputs.make(made, 1, number).target == "yaml"]
    monkeypatch.setitem(checks.CHECKS, "yaml", (Check("planted", lambda data, _: crash()),))
    fuzzer = Fuzzer(1, tmp_path)
    fuzzer.run(seconds=250, inputs=60)
    assert fuzzer.inputs == 60
    assert sum(fuzzer.findings.values()) == len(failing)


def test_a_seed_means_the_same_inputs() -> None:
    one, other = seeds.all_seeds(), seeds.all_seeds()
    for number in range(300):
        first, second = inputs.make(one, 7, number), inputs.make(other, 7, number)
        assert (first.target, first.data) == (second.target, second.data)
    assert inputs.make(one, 7, 1).data != inputs.make(one, 8, 1).data
