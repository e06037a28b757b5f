"""Do the tests of the engine and of manifests notice a fault? `python -m bench.mutation`: seeded, resumable, a table of survivors.

A mutant is killed where a test fails, or where a test does not end. It meets the tests that come to its function, those first that come to
its line, in a process that is forked from one where all libraries are loaded already. The mutants that were tried are kept in a file, a
line each, so that a run goes on where one was stopped; another seed is another sample.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import multiprocessing
import os
import resource
import sys
import warnings
from dataclasses import asdict, dataclass
from multiprocessing.connection import wait
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, TypeVar, cast

from bench import mutants, reach

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

ROOT: Final = Path(__file__).parents[1]
FOLDERS: Final = ("agent/engine", "agent/desired", "agent/manifests")
_LEAST: Final = 0.85
"""Of the mutants that are killed, for the run to end with 0."""
_MEMORY: Final = 4 << 30
Key = tuple[str, str, str]
"""Module, name and text: a text that changed is another mutant."""
Task = TypeVar("Task")
Result = TypeVar("Result")
_FORK: Final = multiprocessing.get_context("fork")


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
    parser.add_argument("--again", action="store_true", help="try those that survived once more")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time (%(default)s)")
    given = parser.parse_args()
    state: Path = given.state or ROOT / f".mutation-{given.seed}.jsonl"
    known = {each.key: each for each in _read(state) if each.killed or not given.again}
    chosen = sample(everything(), given.seed, given.mutants)
    left = [each for each in chosen if each.key not in known]
    with TemporaryDirectory() as folder:
        # what all the processes import is compiled once, elsewhere than beside the sources
        sys.pycache_prefix, sys.dont_write_bytecode = folder, False
        for one in _tried(left, given.jobs):
            with state.open("a") as file:
                _ = file.write(json.dumps(asdict(one)) + "\n")
            known[one.key] = one
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


def _tried(left: list[Mutant], jobs: int) -> Iterator[Tried]:
    if not left:
        return
    ((_, reached),) = _beside(reach.measure, [ROOT], 1)
    if reached is None:
        sys.exit("the tests do not end without a fault")
    # some look at a clock, which runs faster where each line is noted
    ((_, broken),) = _beside(reach.first_failure, [dict.fromkeys(reached.failed, 60.0)], 1)
    if broken != "":
        sys.exit(f"without a fault the tests fail: {broken}")
    with warnings.catch_warnings(action="ignore"):
        for name in reached.libraries:
            _ = importlib.import_module(name)

    def first_failure(mutant: Mutant) -> str:
        tests = reached.who_notices(mutant.path, mutant.site)
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        mutants.plant(mutant.module, mutant.site.number)
        return reach.first_failure(tests)

    for mutant, failure in _beside(first_failure, left, jobs):
        by = "a test that does not end" if failure is None else failure
        yield Tried(*mutant.key, mutant.site.lines.start, bool(by), by)


def _beside(work: Callable[[Task], Result], tasks: Sequence[Task], jobs: int) -> Iterator[tuple[Task, Result | None]]:
    """The work in processes that are forked from this one, and what each came to: nothing where it died."""
    waiting = list(reversed(tasks))
    running: dict[Connection[Result, Result], tuple[Task, BaseProcess]] = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            receiver, sender = cast(
                "tuple[Connection[Result, Result], Connection[Result, Result]]", _FORK.Pipe(duplex=False)
            )
            task = waiting.pop()
            process = _FORK.Process(target=_quietly, args=(work, task, sender))
            process.start()
            sender.close()
            running[receiver] = (task, process)
        for receiver in running.keys() & set(wait(list(running))):
            task, process = running.pop(receiver)
            try:
                result = receiver.recv()
            except EOFError:
                result = None
            process.join()
            yield task, result


def _quietly(work: Callable[[Task], Result], task: Task, sender: Connection[Result, Result]) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        _ = os.dup2(nothing, number)
    sender.send(work(task))


if __name__ == "__main__":
    sys.exit(main())
