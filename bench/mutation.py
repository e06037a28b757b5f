"""Do the tests of the engine and of manifests notice a fault? `python -m bench.mutation`: seeded, resumable, a table of survivors.

A mutant is killed where a test fails, or where a test does not end. It meets the tests that come to its function, those first that come to
its line. The mutants that were tried are kept in a file, a line each, so that a run goes on where one was stopped; another seed is another
sample.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import sys
import warnings
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from bench import mutants, reach, verdicts

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

ROOT: Final = Path(__file__).parents[1]
FOLDERS: Final = ("agent/engine", "agent/desired", "agent/manifests")
_LEAST: Final = 0.85
"""Of the mutants that are killed, for the run to end with 0."""
Key = tuple[str, str, str]
"""Module, name and text: a text that changed is another mutant."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A site, and where it is."""

    module: str
    path: Path
    site: mutants.Site

    @property
    def key(self) -> Key:
        return self.module, self.site.name, self.site.text


@dataclass(frozen=True, slots=True)
class Tried:
    """One mutant, as it is kept."""

    module: str
    name: str
    text: str
    line: int
    killed: bool
    by: str

    @property
    def key(self) -> Key:
        return self.module, self.name, self.text


def main() -> int:
    """Try a sample; 1 where too many survive."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=400, help="how many of all (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="which of all (%(default)s)")
    parser.add_argument("--state", type=Path, help="file of those that were tried (.mutation-SEED.jsonl)")
    parser.add_argument(
        "--again", action="store_true", help="try those that survived once more, with every test that can tell"
    )
    parser.add_argument(
        "--tests", nargs="+", default=reach.ROOMS, help="ask no other tests than of these files or folders"
    )
    parser.add_argument(
        "--without", nargs="+", default=[], help="leave out these tests, such as those that fail on a busy machine"
    )
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time (%(default)s)")
    given = parser.parse_args()
    state: Path = given.state or ROOT / f".mutation-{given.seed}.jsonl"
    known = {each.key: each for each in _read(state) if each.killed or not given.again}
    chosen = sample(everything(), given.seed, given.mutants)
    left = [each for each in chosen if each.key not in known]

    def keep(one: Tried) -> None:
        with state.open("a") as file:
            _ = file.write(json.dumps(asdict(one)) + "\n")
        known[one.key] = one

    with TemporaryDirectory() as folder:
        # what all the processes import is compiled once, elsewhere than beside the sources
        sys.pycache_prefix, sys.dont_write_bytecode = folder, False
        if left:
            without = [f"--deselect={test}" for test in given.without]
            _try(left, [*given.tests, *without], given.jobs, keep, everyone=given.again)
    tried = [known[each.key] for each in chosen]
    for one in tried:
        if not one.killed:
            print(f"survived: {one.module}:{one.line}: {one.name}: {one.text}")
    killed = sum(each.killed for each in tried)
    print(f"{killed} of {len(tried)} killed, {killed / max(1, len(tried)):.0%}")
    return 0 if killed >= _LEAST * len(tried) else 1


def everything() -> list[Mutant]:
    """Every mutant that there is."""
    return [
        Mutant(name, path, site)
        for name, path in mutants.modules(ROOT, FOLDERS)
        for site in mutants.sites(path.read_text())
    ]


def sample(of: list[Mutant], seed: int, count: int) -> list[Mutant]:
    """Some of them. A change of the code changes few of these, and more are the same ones and others."""

    def drawn(mutant: Mutant) -> bytes:
        return hashlib.sha256(f"{seed} {mutant.module} {mutant.site.name}".encode()).digest()

    return sorted(of, key=drawn)[:count]


def _read(state: Path) -> list[Tried]:
    lines = state.read_text().splitlines() if state.exists() else []
    return [Tried(**json.loads(line)) for line in lines]


def _try(left: list[Mutant], rooms: Sequence[str], jobs: int, keep: Callable[[Tried], None], *, everyone: bool) -> None:
    """Those in functions where all tests are collected; before them those that show only as their module is imported."""
    folders = [ROOT / folder for folder in FOLDERS]
    ((_, reached),) = verdicts.beside(lambda each: reach.measure(each, rooms), [folders], 1)
    # some look at a clock, which runs faster where each line is noted
    ((_, broken),) = verdicts.beside(verdicts.fails, [dict.fromkeys(reached.failed, 60.0)], 1)
    if broken:
        sys.exit(f"without a fault the tests fail: {broken}")
    with warnings.catch_warnings(action="ignore"):
        for name in reached.libraries:
            _ = importlib.import_module(name)

    def by_import(mutant: Mutant) -> str:
        tests = reached.who_notices(mutant.path, mutant.site, everyone=everyone)
        return verdicts.killer(tests, lambda: mutants.plant(mutant.module, mutant.site.number), verdicts.by_import)

    exchanged = {each.key: _exchange(each, reached, everyone=everyone) for each in left}
    for mutant, by in verdicts.beside(by_import, [each for each in left if exchanged[each.key] is None], jobs):
        keep(Tried(*mutant.key, mutant.site.lines.start, bool(by), by))

    def in_place(mutant: Mutant) -> str:
        tests = reached.who_notices(mutant.path, mutant.site, everyone=everyone)
        return verdicts.killer(tests, lambda: _plant(mutant, exchanged[mutant.key]), collected.ask)

    def each() -> None:
        for mutant, by in verdicts.beside(in_place, [each for each in left if exchanged[each.key]], jobs):
            keep(Tried(*mutant.key, mutant.site.lines.start, bool(by), by))

    collected = verdicts.Collected(each)
    with _silence():
        reach.run_pytest(rooms, collected)


def _exchange(mutant: Mutant, reached: reach.Reached, *, everyone: bool) -> mutants.Exchange | None:
    """What is called as modules are imported has left its result somewhere: with `everyone`, it is planted before that."""
    found = mutants.exchange(mutant.path, mutant.site.number)
    called = reached.imported.get(str(mutant.path), set[int]()) if everyone else set[int]()
    return None if found is None or called.intersection(found.lines) else found


def _plant(mutant: Mutant, exchange: mutants.Exchange | None) -> None:
    if exchange is None or mutant.module not in sys.modules:
        mutants.plant(mutant.module, mutant.site.number)
    else:
        exchange.make()


@contextmanager
def _silence() -> Generator[None]:
    """For what pytest prints."""
    kept = {number: os.dup(number) for number in (1, 2)}
    with Path(os.devnull).open("r+b", buffering=0) as nothing:
        for number in kept:
            _ = os.dup2(nothing.fileno(), number)
        try:
            yield
        finally:
            sys.stdout.flush()
            for number, copy in kept.items():
                _ = os.dup2(copy, number)
                os.close(copy)


if __name__ == "__main__":
    sys.exit(main())
