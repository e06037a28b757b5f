"""Do the tests of the engine and of manifests notice a fault? `python -m bench.mutation`: seeded, resumable, a table of survivors.

A mutant is killed where a test fails, or where the tests do not end in time. The mutants that were tried are kept in a file, a line
each, so that a run goes on where one was stopped; another seed is another sample.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from bench import mutants

ROOT: Final = Path(__file__).parents[1]
FOLDERS: Final = ("agent/engine", "agent/desired", "agent/manifests")
_LEAST: Final = 0.85
"""Of the mutants that are killed, for the run to end with 0."""
_SECONDS: Final = 600


@dataclass(frozen=True, slots=True)
class Tried:
    """One mutant, as it is kept."""

    module: str
    number: int
    line: int
    what: str
    killed: bool
    by: str


def main() -> int:
    """Try a sample; 1 where too many survive."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=400, help="how many of all (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="which of all (%(default)s)")
    parser.add_argument("--state", type=Path, help="file of those that were tried (.mutation-SEED.jsonl)")
    given = parser.parse_args()
    seed: int = given.seed
    state: Path = given.state or ROOT / f".mutation-{seed}.jsonl"
    known = {(each.module, each.number): each for each in _read(state)}
    sample = _sample(seed, given.mutants)
    if _run("", 0)[0]:
        print("the tests fail without a fault")
        return 1
    tried: list[Tried] = []
    for module, site in sample:
        one = known.get((module, site.number))
        if one is None or (one.line, one.what) != (site.line, site.what):
            killed, by = _run(module, site.number)
            one = Tried(module, site.number, site.line, site.what, killed, by)
            with state.open("a") as file:
                _ = file.write(json.dumps(asdict(one)) + "\n")
        tried.append(one)
        if not one.killed:
            print(f"survived: {module}:{site.line}: {site.what} (number {site.number})", flush=True)
    killed = sum(each.killed for each in tried)
    print(f"{killed} of {len(tried)} killed, {killed / max(1, len(tried)):.0%}")
    return 0 if killed >= _LEAST * len(tried) else 1


def _sample(seed: int, count: int) -> list[tuple[str, mutants.Site]]:
    everything = [
        (name, site) for name, path in mutants.modules(ROOT, FOLDERS) for site in mutants.sites(path.read_text())
    ]
    return random.Random(seed).sample(everything, min(count, len(everything)))


def _read(state: Path) -> list[Tried]:
    lines = state.read_text().splitlines() if state.exists() else []
    return [Tried(**json.loads(line)) for line in lines]


def _run(module: str, number: int) -> tuple[bool, str]:
    """Whether the tests fail with one fault (without a module: with none), and the first that does. Those of the fault's own room go first."""
    rooms = ["tests/engine", "tests/manifests"]
    if module.startswith("agent.manifests"):
        rooms.reverse()
    command = [sys.executable, "-m", "pytest", "-p", "bench.mutants", "-x", "-q", "--no-header", "-m", "not servers"]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    if module:
        environment[mutants.VARIABLE] = f"{module}:{number}"
    try:
        done = subprocess.run(
            [*command, *rooms], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=_SECONDS
        )
    except subprocess.TimeoutExpired:
        return True, "the tests do not end"
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return done.returncode != 0, failed[0][:160] if failed else ""


if __name__ == "__main__":
    sys.exit(main())
