"""Which tests come to which lines, measured once, so that each mutant meets only those that can notice it."""

from __future__ import annotations

import inspect
import os
import sys
import threading
import time
import types
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import Phase, settings

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from pathlib import Path

    from _typeshed import TraceFunction

    from bench.mutants import Site

ROOMS: Final = ("tests/engine", "tests/manifests")
_OPTIONS: Final = (
    *("-q", "--no-header", "-p", "no:cacheprovider", "-m", "not servers", "--hypothesis-profile", "mutants"),
    *("-o", "tmp_path_retention_policy=none"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),  # what is warm was not rewritten
)
_CALLS: Final = 10
_STEPS: Final = 1000
"""As many calls of a function by one test are looked at, and steps of each: else a loop takes minutes."""
_ALL_CALLS: Final = 300_000
"""So many calls of anything, and the rest of a test is not looked at."""
_ENOUGH: Final = 60.0
"""Seconds, while lines are noted, of the tests that one mutant meets, if there is no end of them."""


@dataclass(frozen=True, slots=True)
class Test:
    """What one takes of a processor, and the lines of each file that it comes to."""

    seconds: float
    lines: dict[str, set[int]]


@dataclass(slots=True)
class Reached:
    """What a run of all tests showed."""

    tests: dict[str, Test] = field(default_factory=dict[str, Test])
    failed: list[str] = field(default_factory=list[str])
    libraries: list[str] = field(default_factory=list[str])
    """Modules that are not ours, which take most of the time that imports take."""
    imported: dict[str, set[int]] = field(default_factory=dict[str, set[int]])
    """Of each file, lines of the functions that were called before the first test, as modules were imported."""

    def who_notices(self, path: Path, site: Site, *, everyone: bool) -> dict[str, float]:
        """Tests that can tell and what they take, those first that come to the very line, and the quickest of them first.

        What is in no function counts for all that come to its module. Without `everyone`, as many as do not take too long.
        """
        found: list[tuple[bool, float, str]] = []
        for name, test in self.tests.items():
            lines = test.lines.get(str(path), set[int]())
            if lines.intersection(site.function) if site.function else lines:
                found.append((lines.isdisjoint(site.lines), test.seconds, name))
        chosen: dict[str, float] = {}
        for _, seconds, name in sorted(found):
            if chosen and not everyone and sum(chosen.values()) + seconds > _ENOUGH:
                break
            chosen[name] = seconds
        return chosen


class Failures:
    """What failed, tests and files that cannot be imported. Tests have no limits of their own: this machine may do other things."""

    def __init__(self) -> None:
        self.failed: list[str] = []

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        item.own_markers = [each for each in item.own_markers if each.name != "timeout"]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)


class _Measuring(Failures):
    """Notes which lines of some folders each test comes to."""

    def __init__(self, folders: Sequence[Path]) -> None:
        super().__init__()
        self.tests: dict[str, Test] = {}
        self.imported: dict[str, set[int]] = {}
        self._folders = tuple(f"{folder}{os.sep}" for folder in folders)
        self._lines: dict[str, set[int]] = {}
        self._calls = Counter[types.CodeType]()
        self._left = 0

    @pytest.hookimpl(wrapper=True)
    def pytest_collection(self) -> Generator[None, object, object]:
        sys.setprofile(self._returned)
        try:
            return (yield)
        finally:
            sys.setprofile(None)

    def _returned(self, frame: types.FrameType, event: str, arg: object) -> None:
        del arg
        code = frame.f_code
        if event == "return" and code.co_filename.startswith(self._folders) and code.co_flags & inspect.CO_OPTIMIZED:
            self.imported.setdefault(code.co_filename, set()).add(frame.f_lineno)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        forget()
        self._lines = {}
        self._calls.clear()
        self._left = _ALL_CALLS
        started = time.process_time()
        with self._tracing():
            yield
        self.tests[item.nodeid] = Test(time.process_time() - started, self._lines)

    @contextmanager
    def _tracing(self) -> Generator[None]:
        threading.settrace(self._enter)
        sys.settrace(self._enter)
        try:
            yield
        finally:
            sys.settrace(None)
            threading.settrace(None)

    def _enter(self, frame: types.FrameType, event: str, arg: object) -> TraceFunction | None:
        del event, arg
        code = frame.f_code
        self._left -= 1
        if not self._left:
            sys.settrace(None)
        self._calls[code] += 1
        if self._calls[code] > _CALLS or not code.co_filename.startswith(self._folders):
            return None
        lines = self._lines.setdefault(code.co_filename, set())
        left = _STEPS

        def line(frame: types.FrameType, event: str, arg: object) -> TraceFunction:
            del event, arg
            nonlocal left
            left -= 1
            frame.f_trace_lines = left > 0
            lines.add(frame.f_lineno)
            return line

        return line(frame, "call", None)


def measure(folders: Sequence[Path], tests: Sequence[str]) -> Reached:
    """Run the tests, which are pytest's arguments. To be called in a process of its own: what the tests import stays."""
    plugin = _Measuring(folders)
    run_pytest(tests, plugin)
    installed = [
        name for name, module in sys.modules.items() if "/site-packages/" in (getattr(module, "__file__", "") or "")
    ]
    return Reached(plugin.tests, plugin.failed, installed, plugin.imported)


def run_pytest(arguments: Sequence[str], plugin: object) -> None:
    settings.register_profile(
        "mutants",
        deadline=None,
        derandomize=True,
        database=None,
        max_examples=30,
        phases=[Phase.explicit, Phase.generate],
    )
    _ = pytest.main([*_OPTIONS, *arguments], plugins=[plugin])


def forget() -> None:
    """What a test left in a cache would keep the next from the lines behind it."""
    for name, module in list(sys.modules.items()):
        for value in vars(module).values() if name.startswith("agent.") else ():
            if hasattr(value, "cache_clear"):
                value.cache_clear()
