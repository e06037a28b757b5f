"""What tests say of one mutant, each time in a process of its own that is forked where the libraries, and mostly the tests, are loaded.

A fault in a function is planted into the function as it stands, so that neither the agent nor the tests are imported once more. A test that
fails with the fault, and without it too when it is asked right then, says nothing: the machine may be busy. What a test may take is counted in
time of a processor; it waits for ever where, for a minute, none of its threads ran or wanted to.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from bench import reach

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

    import pytest

    Plant = Callable[[], None]
    Say = Callable[["Failed | None"], None]
    Ask = Callable[["Tests", Plant, Say], None]

Task = TypeVar("Task")
Result = TypeVar("Result")
Tests = dict[str, float]
"""Those that are asked, in this order, and what each takes of a processor."""
_FORK: Final = multiprocessing.get_context("fork")
_MEMORY: Final = 4 << 30
_LONGER: Final = 5
"""So many times what it took, and ten seconds, is what a test may take of a processor."""
_IDLE: Final = 60.0


@dataclass(frozen=True, slots=True)
class Failed:
    """A test, or a file that cannot be imported; `ended` is False for a test that was ended from outside, or ended its process."""

    test: str
    ended: bool = True

    def __str__(self) -> str:
        return self.test if self.ended else f"{self.test} does not end"


class Asking:
    """Runs tests in this process, says which one is running, and stops at the first that fails."""

    def __init__(self, failures: reach.Failures, say: Say) -> None:
        self._failures = failures
        self._say = say

    def ask(self, items: Mapping[str, pytest.Item], tests: Tests) -> None:
        chosen = [items[name] for name in tests if name in items]
        for item, following in zip(chosen, [*chosen[1:], None][: len(chosen)], strict=True):
            self._say(Failed(item.nodeid, ended=False))
            seconds = time.process_time() + 10 + _LONGER * tests[item.nodeid]
            _, most = resource.getrlimit(resource.RLIMIT_CPU)
            resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), most))
            _ = item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self._failures.failed:
                break

    def conclude(self) -> None:
        self._say(Failed(self._failures.failed[0]) if self._failures.failed else None)


class _Chosen(reach.Failures):
    """Some tests of the files that are collected."""

    def __init__(self, tests: Tests, say: Say) -> None:
        super().__init__()
        self._tests = tests
        self.asking: Asking = Asking(self, say)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.asking.ask({item.nodeid: item for item in session.items}, self._tests)
        return True


def by_import(tests: Tests, plant: Plant, say: Say) -> None:
    """Plants before the agent is imported, and collects the files of these tests."""
    plant()
    plugin = _Chosen(tests, say)
    reach.run_pytest(["-x", *dict.fromkeys(name.partition("::")[0] for name in tests)], plugin)
    plugin.asking.conclude()


class Collected(reach.Failures):
    """All tests, collected once; `then` is called in place of running them."""

    def __init__(self, then: Callable[[], None]) -> None:
        super().__init__()
        self._then = then
        self._items: dict[str, pytest.Item] = {}

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self._items = {item.nodeid: item for item in session.items}
        self._then()
        return True

    def ask(self, tests: Tests, plant: Plant, say: Say) -> None:
        """In a process that was forked from this one."""
        reach.forget()
        plant()
        asking = Asking(self, say)
        asking.ask(self._items, tests)
        asking.conclude()


def killer(tests: Tests, plant: Plant, ask: Ask) -> str:
    """The first test that fails with the fault and not without it; empty where none does."""
    left = dict(tests)
    while left and (failed := _forked(ask, left, plant)):
        if _forked(ask, {failed.test: tests.get(failed.test, 60.0)}, _nothing) is None:
            return str(failed)
        names = list(left)
        left = {name: tests[name] for name in names[names.index(failed.test) + 1 :]} if failed.test in left else {}
    return ""


def fails(tests: Tests) -> str:
    """The first of these tests that fails as the agent is, three times, since the machine may be busy; empty where none does."""
    failed: Failed | None = None
    for _ in range(3 if tests else 0):
        failed = _forked(by_import, tests, _nothing)
        if failed is None:
            break
    return str(failed or "")


def _nothing() -> None:
    return


def _forked(ask: Ask, tests: Tests, plant: Plant) -> Failed | None:
    """What the last word of the process was."""
    receiver, sender = _pipe()
    process = _FORK.Process(target=_limited, args=(ask, tests, plant, sender))
    process.start()
    sender.close()
    said: Failed | None = None
    seen, since = (-1, False), time.monotonic()
    with receiver, suppress(EOFError):
        while True:
            if receiver.poll(min(5, _IDLE)):
                said = receiver.recv()
                since = time.monotonic()
                continue
            now = _progress(cast("int", process.pid))
            if now[1] or now != seen:
                seen, since = now, time.monotonic()
            elif time.monotonic() - since > _IDLE:
                process.kill()
    process.join()
    return said


def _limited(ask: Ask, tests: Tests, plant: Plant, sender: Connection[Any, Any]) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    ask(tests, plant, sender.send)
    sender.close()
    # what tests left open is not waited for
    os._exit(0)


def _progress(process: int) -> tuple[int, bool]:
    """Time of a processor that it took, in ticks, and whether one of its threads runs or waits for a processor."""
    ticks, wants = 0, False
    for thread in Path(f"/proc/{process}/task").iterdir():
        with suppress(OSError):
            fields = (thread / "stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
            wants |= fields[0] in {"R", "D"}
    return ticks, wants


def beside(work: Callable[[Task], Result], tasks: Sequence[Task], jobs: int) -> Iterator[tuple[Task, Result]]:
    """The work in processes that are forked from this one, and what each came to. Raises EOFError where one dies."""
    waiting = list(reversed(tasks))
    running: dict[Connection[Result, Result], tuple[Task, BaseProcess]] = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            receiver, sender = _pipe()
            task = waiting.pop()
            process = _FORK.Process(target=_quietly, args=(work, task, sender))
            process.start()
            sender.close()
            running[receiver] = (task, process)
        for receiver in running.keys() & set(wait(list(running))):
            task, process = running.pop(receiver)
            result = receiver.recv()
            receiver.close()
            process.join()
            yield task, result


def _pipe() -> tuple[Connection[Any, Any], Connection[Any, Any]]:
    return cast("tuple[Connection[Any, Any], Connection[Any, Any]]", _FORK.Pipe(duplex=False))


def _quietly(work: Callable[[Task], Result], task: Task, sender: Connection[Result, Result]) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        _ = os.dup2(nothing, number)
    sender.send(work(task))
