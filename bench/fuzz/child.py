"""The process that parses, with limits on memory and time. What it does stands in memory that its parent can read."""

from __future__ import annotations

import gc
import mmap
import os
import random
import resource
import signal
import struct
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

from agent.values.errors import AgentError
from bench.fuzz.checks import CHECKS, Broken
from bench.fuzz.inputs import LARGEST, Input, make

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import FrameType, TracebackType

    from bench.fuzz.checks import Check
    from bench.fuzz.seeds import Seed

MEMORY: Final = 200 * 1024 * 1024
"""Bytes that one input may take above what the process needs anyhow."""

_UNIT: Final = 128 * 1024
_HEAD: Final = struct.Struct("<QQQ16s16s")
_TEXT: Final = 512
FOUND: Final = 3
"""The exit code of a process that left a finding."""


class _HangError(BaseException):
    """No Exception: nothing that is tested may take it for its own."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What went wrong with which input: `kind` is crash, law, hang or memory, `where` a place in the code or a law."""

    number: int
    kind: str
    target: str
    check: str
    where: str
    data: bytes


class Progress:
    """A page that both processes see: the number of inputs begun, the steps made, and the input itself."""

    def __init__(self) -> None:
        self._map = mmap.mmap(-1, _HEAD.size + _TEXT + LARGEST)

    def begin(self, number: int, steps: int, check: str, made: Input) -> None:
        _HEAD.pack_into(self._map, 0, number, steps, len(made.data), made.target.encode(), check.encode())
        self._map[_HEAD.size + _TEXT : _HEAD.size + _TEXT + len(made.data)] = made.data

    def step(self, steps: int, check: str) -> None:
        number, _, size, target, _ = _HEAD.unpack_from(self._map)
        _HEAD.pack_into(self._map, 0, number, steps, size, target, check.encode())

    def report(self, kind: str, where: str) -> None:
        text = f"{kind}\n{where}".encode()[:_TEXT]
        self._map[_HEAD.size : _HEAD.size + _TEXT] = text.ljust(_TEXT, b"\0")

    @property
    def steps(self) -> int:
        return _HEAD.unpack_from(self._map)[1]

    @property
    def number(self) -> int:
        return _HEAD.unpack_from(self._map)[0]

    def finding(self, kind: str = "", where: str = "") -> Finding:
        """What the child reported, or what its parent saw."""
        number, _, size, target, check = _HEAD.unpack_from(self._map)
        if not kind:
            kind, _, where = self._map[_HEAD.size : _HEAD.size + _TEXT].rstrip(b"\0").decode().partition("\n")
        data = self._map[_HEAD.size + _TEXT : _HEAD.size + _TEXT + size]
        return Finding(number, kind, target.rstrip(b"\0").decode(), check.rstrip(b"\0").decode(), where, data)


def seconds(size: int) -> float:
    """CPU time that parsing may take: two seconds, and in proportion where the input is larger than 128 KiB.

    Many aliases take half of it on a quiet machine; cores that are shared take longer for the same.
    """
    return 2 * max(1.0, size / _UNIT)


def run(
    progress: Progress, seeds: Mapping[str, Sequence[Seed]], seed: int, numbers: range, *, given: Input | None = None
) -> NoReturn:
    """Go through the inputs of these numbers, or the one that is `given`, and exit: with FOUND at the first finding."""
    base = _peak()
    _limit_memory()
    signal.signal(signal.SIGPROF, _late)
    gc.freeze()
    steps = progress.steps
    for number in numbers:
        made = given or _made(progress, seeds, seed, number)
        for check in CHECKS[made.target]:
            if len(made.data) > check.largest or (given is None and made.chance.random() >= check.share):
                continue
            steps += 1
            progress.begin(number, steps, check.name, made)
            _step(progress, check, made, base)
    os._exit(0)


def _made(progress: Progress, seeds: Mapping[str, Sequence[Seed]], seed: int, number: int) -> Input:
    progress.begin(number, progress.steps, "make", Input("none", b"", random.Random()))
    try:
        return make(seeds, seed, number)
    except Exception as error:  # noqa: BLE001  # trees are written, which is tested too
        _found(progress, "crash", f"{type(error).__name__} at {_place(error.__traceback__)}")


def _step(progress: Progress, check: Check, made: Input, base: int) -> None:
    try:
        signal.setitimer(signal.ITIMER_PROF, check.cost * seconds(len(made.data)))
        try:
            check.run(made.data, made.chance)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    except AgentError:
        pass
    except Broken as error:
        _found(progress, "law", str(error))
    except _HangError as error:
        _found(progress, "hang", _place(error.__traceback__))
    except MemoryError as error:
        _found(progress, "memory", _place(error.__traceback__))
    except Exception as error:  # noqa: BLE001  # any unexpected error is a finding
        _found(progress, "crash", f"{type(error).__name__} at {_place(error.__traceback__)}")
    if _peak() > base + MEMORY:
        _found(progress, "memory", f"{(_peak() - base) >> 20} MiB")


def _late(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    raise _HangError


def _found(progress: Progress, kind: str, where: str) -> NoReturn:
    progress.report(kind, where)
    os._exit(FOUND)


def _place(traceback: TracebackType | None) -> str:
    """The innermost place in our code."""
    place = "?"
    while traceback is not None:
        file, name = traceback.tb_frame.f_code.co_filename, traceback.tb_frame.f_code.co_name
        for room in ("agent", "bench"):
            if f"/{room}/" in file and name != _late.__name__:
                place = f"{room}/{file.rpartition(f'/{room}/')[2]}:{traceback.tb_lineno} {name}"
        traceback = traceback.tb_next
    return place


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _limit_memory() -> None:
    """A limit well above what is judged by: who runs into it fails at once and does not take the machine's memory."""
    with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123
        pages = int(statm.read().split()[0])
    size = pages * resource.getpagesize() + 3 * MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
