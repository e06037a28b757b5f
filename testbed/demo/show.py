"""What the audience sees: a numbered step a line, whether it was verified, and how long it took."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from testbed.cluster import KubectlError
from testbed.processes import ProcessError
from testbed.repository import GitError
from testbed.requests import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

_INDENT = "        "
_GREEN, _RED, _DIM, _BOLD = "32", "31", "2", "1"
_FAILURES = (ProcessError, RequestError, GitError, KubectlError, OSError, subprocess.SubprocessError)


class UnmetError(AssertionError):
    """A step did not show what it should: what was expected, and what was seen."""

    def __init__(self, expected: str, seen: object) -> None:
        super().__init__(f"expected {expected}, saw {seen}")
        self.expected: str = expected
        self.seen: str = str(seen)


class StepFailedError(RuntimeError):
    """A step failed and was reported; the steps after it build on it."""


def expect(condition: object, expected: str, seen: object) -> None:
    """Raises UnmetError unless `condition` is truthy."""
    if not condition:
        raise UnmetError(expected, seen)


@dataclass(slots=True)
class Step:
    """A step that is under way. `saw` adds a line below it; `time` replaces the time that is shown, in seconds."""

    title: str
    lines: list[str] = field(default_factory=list[str])
    time: float | None = None

    def saw(self, line: str) -> None:
        self.lines.append(line)


class Show:
    """Prints steps to standard output: with colour and a line that moves on a terminal, plainly elsewhere. Safe from several threads.

    `tail` gives the end of the agent's log, which is shown with a step that failed.
    """

    def __init__(self) -> None:
        self.tail: Callable[[], str] = str
        self.steps: int = 0
        self.verified: int = 0
        self._terminal: bool = sys.stdout.isatty()
        self._lock: threading.Lock = threading.Lock()
        self._moving: str = ""
        self._current: str = ""
        self._begin: float = 0.0
        self._ticking: bool = False

    def heading(self, text: str) -> None:
        self._print(f"\n{self._styled(text, _BOLD)}")

    def line(self, text: str = "") -> None:
        self._print(text)

    def paragraph(self, text: str) -> None:
        self._print(textwrap.fill(text, _width()) if self._terminal else text)

    def moving(self, text: str) -> None:
        """What goes on in the background: the last line of a terminal, redrawn. Nothing elsewhere."""
        with self._lock:
            self._moving = text
            self._redraw()

    @contextlib.contextmanager
    def step(self, title: str) -> Generator[Step]:
        """Run and time one step. Raises StepFailedError where it fails, having said why."""
        step = Step(title)
        self.steps += 1
        begin = time.monotonic()
        with self._lock:
            self._current, self._begin = f"{self.steps:>4}  …  {title}", begin
            self._redraw()
        self._tick()
        try:
            yield step
        except UnmetError as error:
            self._failed(step, begin, f"expected: {error.expected}", f"seen: {error.seen}")
        except _FAILURES as error:
            self._failed(step, begin, *f"{type(error).__name__}: {error}".splitlines())
        else:
            self.verified += 1
            self._finished(step, begin, good=True)
            return
        raise StepFailedError(title)

    def interrupted(self, text: str) -> None:
        """The step that is under way ends here."""
        with self._lock:
            self._current = self._moving = ""
        self._print(f"\n{text}")

    def summary(self) -> str:
        return f"{self.steps} steps, {self.verified} verified"

    def _failed(self, step: Step, begin: float, *why: str) -> None:
        self._finished(step, begin, good=False)
        for line in why:
            self._print(_INDENT + line)
        if log := self.tail():
            self._print(f"{_INDENT}the end of the agent's log:\n" + textwrap.indent(log, _INDENT + "  "))

    def _finished(self, step: Step, begin: float, *, good: bool) -> None:
        seconds = time.monotonic() - begin if step.time is None else step.time
        took = f"{seconds * 1000:.0f} ms" if seconds < 0.995 else f"{seconds:.1f} s"
        if self._terminal:
            mark = self._styled("✓", _GREEN) if good else self._styled("✗", _RED)
        else:
            mark = "ok" if good else "FAILED"
        with self._lock:
            self._current = ""
        # In a pipe a step stays one line.
        width = _width() - len(_INDENT) - 9 if self._terminal else max(85, len(step.title) + 1)
        first, *more = textwrap.wrap(step.title, width)
        self._print(f"{self.steps:>4}  {mark}  {first:<{width}}{took:>8}")
        for part in more:
            self._print(f"{_INDENT} {part}")
        for line in step.lines:
            for part in textwrap.wrap(line, _width() - len(_INDENT), subsequent_indent="  ", break_on_hyphens=False):
                self._print(_INDENT + self._styled(part, _DIM))

    def _print(self, text: str) -> None:
        with self._lock:
            if self._terminal:
                _ = sys.stdout.write("\r\x1b[K")
            _ = sys.stdout.write(text + "\n")
            self._redraw()

    def _tick(self) -> None:
        """Let a terminal show that a long step goes on."""
        if self._terminal and not self._ticking:
            self._ticking = True
            threading.Thread(target=self._redraw_each_second, daemon=True).start()

    def _redraw_each_second(self) -> None:
        while True:
            time.sleep(1)
            with self._lock:
                self._redraw()

    def _redraw(self) -> None:
        if self._terminal:
            columns = shutil.get_terminal_size().columns - 1
            took = f"  {time.monotonic() - self._begin:.0f} s" if self._current else ""
            moving = f"  [{self._moving}]" if self._moving else ""
            left = max(0, columns - len(took) - len(moving))
            shown = (self._current if len(self._current) <= left else self._current[: left - 1] + "…") + took + moving
            _ = sys.stdout.write("\r\x1b[K" + self._styled(shown[:columns], _DIM))
        _ = sys.stdout.flush()

    def _styled(self, text: str, style: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if self._terminal and text else text


def _width() -> int:
    return max(40, min(shutil.get_terminal_size((132, 24)).columns, 132) - 1)
