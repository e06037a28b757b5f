"""`python -m bench.fuzz`: mutated files for every parser, in a process that may crash, hang or run out of memory.

The parent only looks on: it keeps each input that a child failed on, starts another child behind it, and goes on.
"""

from __future__ import annotations

import argparse
import os
import random
import select
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Final

from bench.fuzz import child
from bench.fuzz.checks import CHECKS
from bench.fuzz.child import Finding, Progress
from bench.fuzz.inputs import Input
from bench.fuzz.seeds import Seed, all_seeds

_WALL_SECONDS: Final = 60.0
"""Well above any limit on CPU time: the machine may be busy. What is stuck in C or asleep is ended by it."""
_KEPT: Final = 3
"""Inputs that are kept of one failure."""


class Fuzzer:
    """Children one after the other; `findings` counts each failure."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.findings: Counter[tuple[str, str, str, str]] = Counter()
        self.inputs: int = 0
        self._seed: int = seed
        self._folder: Path = folder
        self._seeds: dict[str, list[Seed]] = all_seeds()
        self._progress: Progress = Progress()

    def run(self, *, seconds: float, inputs: int) -> None:
        """As many inputs as fit into the time, or these many."""
        end = time.monotonic() + seconds
        while self.inputs < inputs and time.monotonic() < end:
            finding = self._child(range(self.inputs, inputs), end, None)
            self.inputs = inputs if finding is None and time.monotonic() < end else self._progress.number + 1
            if finding is not None:
                self._keep(finding)

    def replay(self, target: str, data: bytes, rounds: int) -> None:
        """One input through all checks of its target."""
        for number in range(rounds):
            given = Input(target, data, random.Random(number))
            finding = self._child(range(1), time.monotonic() + 3600, given)
            self.inputs += 1
            if finding is not None:
                self._keep(finding)

    def _child(self, numbers: range, end: float, given: Input | None) -> Finding | None:
        """What a child found, if it did before the end."""
        pid = os.fork()
        if pid == 0:
            # Ctrl-C is the parent's to answer.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            child.run(self._progress, self._seeds, self._seed, numbers, given=given)
        descriptor = os.pidfd_open(pid)
        steps, since = self._progress.steps, time.monotonic()
        stopped = ""
        try:
            while not select.select([descriptor], [], [], 0.2)[0]:
                now = time.monotonic()
                if self._progress.steps != steps:
                    steps, since = self._progress.steps, now
                if now >= end or now - since > _WALL_SECONDS:
                    stopped = "time" if now >= end else "hang"
                    break
        finally:
            # Whatever ends this process ends the child: it is not to be left alone.
            os.close(descriptor)
            os.kill(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
        code = os.waitstatus_to_exitcode(status)
        if stopped == "hang":
            return self._progress.finding("hang", "no answer, and no signal heard")
        if stopped or code == 0:
            return None
        if code == child.FOUND:
            return self._progress.finding()
        return self._progress.finding("crash", f"the process ended with {code}")

    def _keep(self, finding: Finding) -> None:
        key = (finding.kind, finding.target, finding.check, finding.where)
        self.findings[key] += 1
        if self.findings[key] > _KEPT:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{finding.target}-{finding.check.replace(' ', '-')}-{finding.kind}-{finding.number}"
        path.write_bytes(finding.data)
        if self.findings[key] == 1:
            print(
                f"{finding.kind:6}  {finding.target} {finding.check}: {finding.where}  #{finding.number}  {path}",
                flush=True,
            )


def main() -> int:
    """1 where anything was found."""
    parser = argparse.ArgumentParser(prog="python -m bench.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="how long (default 600)")
    parser.add_argument("--inputs", type=int, default=sys.maxsize, help="no more than these many")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31), help="repeat a run")
    parser.add_argument("--save", type=Path, help="folder for inputs that fail")
    parser.add_argument("--replay", type=Path, nargs="+", default=[], help="inputs that were saved, under their names")
    arguments = parser.parse_args()
    folder = arguments.save or Path(tempfile.gettempdir()) / f"signet-fuzz-{arguments.seed}"
    fuzzer = Fuzzer(arguments.seed, folder)
    print(f"seed {arguments.seed}", flush=True)
    began = time.monotonic()
    for path in arguments.replay:
        target = path.name.partition("-")[0]
        fuzzer.replay(target if target in CHECKS else "yaml", path.read_bytes(), 20)
    if not arguments.replay:
        fuzzer.run(seconds=arguments.seconds, inputs=arguments.inputs)
    seconds = time.monotonic() - began
    rate = fuzzer.inputs / seconds
    print(f"{fuzzer.inputs} inputs in {seconds:.0f} s, {rate:.0f} a second; {len(fuzzer.findings)} failures")
    for (kind, target, check, where), count in fuzzer.findings.most_common():
        print(f"{count:6}  {kind}  {target} {check}: {where}")
    return 1 if fuzzer.findings else 0


if __name__ == "__main__":
    sys.exit(main())
