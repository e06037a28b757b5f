"""Fifty mebibytes of garbage: an exit code, a cause and a hint, in memory that stays within a few times the file.

Each case is a process of its own, as memory is counted for a process.
"""

from __future__ import annotations

import random
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Shell

_SIZE = 50 << 20
_MEASURED = """\
import sys
from agent.cli.main import main
code = main(sys.argv[1:])
with open("/proc/self/status") as status:
    print(next(line.split()[1] for line in status if line.startswith("VmHWM")), file=sys.stderr)
sys.exit(code)
"""


def of(text: bytes) -> bytes:
    return (text * (_SIZE // len(text) + 1))[:_SIZE]


GARBAGE: dict[str, Callable[[], bytes]] = {
    "words": lambda: of(b"lorem ipsum dolor sit amet\n"),
    "NULs": lambda: bytes(_SIZE),
    "random": lambda: random.Random(20261123).randbytes(_SIZE),
    "one line": lambda: of(b"x"),
    "lists": lambda: of(b"["),
    "dashes": lambda: of(b"- "),
    "keys": lambda: of(b"a: "),
    "objects": lambda: of(b'{"a":'),
    "comments": lambda: of(b"# canary\n"),
    "blank lines": lambda: of(b"\n"),
    "an open text": lambda: b'{"a": "' + of(rb"\""),
    "numbers": lambda: b'{"a": [' + of(b"1,"),
    "metadata": lambda: b"a: 1\nsops:\n    lastmodified: " + of(b"2"),
}
CASES = [
    *(
        ("decrypt", "yaml", garbage)
        for garbage in ("words", "NULs", "random", "one line", "lists", "dashes", "keys", "comments", "metadata")
    ),
    *(("decrypt", "json", garbage) for garbage in ("random", "objects", "an open text", "numbers")),
    *(("encrypt", "yaml", garbage) for garbage in ("blank lines", "comments")),
    *(("encrypt", "json", garbage) for garbage in ("an open text", "blank lines")),
    *(("encrypt", "env", garbage) for garbage in ("words", "random", "comments")),
    *(("encrypt", "ini", garbage) for garbage in ("words", "comments")),
    ("set", "yaml", "blank lines"),
    ("set", "json", "numbers"),
    ("verify", "yaml", "comments"),
    ("verify", "txt", "random"),
]


@dataclass
class Made:
    """The garbage of one kind, on the disk once for all that read it."""

    folder: Path

    def path(self, garbage: str) -> Path:
        path = self.folder / garbage.replace(" ", "-")
        if not path.exists():
            path.write_bytes(GARBAGE[garbage]())
        return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("garbage"))


def measured(*arguments: str) -> tuple[subprocess.CompletedProcess[bytes], int]:
    """What a process of its own ends with, and the MiB that it had at its largest."""
    # A new interpreter, or its peak would begin with ours.
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=120,
    )
    errors, _, peak = done.stderr.rstrip().rpartition(b"\n")
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout, errors), int(peak) >> 10


@pytest.mark.parametrize(("command", "suffix", "garbage"), CASES)
def test_garbage_of_fifty_mebibytes_is_refused(
    shell: Shell, made: Made, command: str, suffix: str, garbage: str
) -> None:
    path = shell.folder / f"big.{suffix}"
    path.symlink_to(made.path(garbage))
    before = path.stat()
    flags = {"encrypt": ["--age", shell.recipient]}.get(command, [])
    more = ['["a"]', "1"] if command == "set" else []
    done, peak = measured(command, *flags, str(path), *more)
    assert done.returncode in {1, 2}, done.stderr
    assert b"hint: " in done.stderr
    assert len(done.stderr) + len(done.stdout) < 1000
    assert b"internal error" not in done.stderr
    assert b"canary" not in done.stderr + done.stdout
    assert peak < 800
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns, after.st_size) == (before.st_ino, before.st_mtime_ns, before.st_size)
    assert [each.name for each in shell.folder.iterdir()] == [path.name]


def test_more_than_is_taken_is_refused_and_said(shell: Shell) -> None:
    path = shell.folder / "big.yaml"
    with path.open("wb") as stream:
        stream.truncate(65 << 20)
    for command, code in (("decrypt", 1), ("encrypt", 2)):
        flags = ["--age", shell.recipient] if command == "encrypt" else []
        done, peak = measured(command, *flags, str(path))
        assert done.returncode == code
        assert b"larger than the limit" in done.stderr
        assert b"hint: split the file" in done.stderr
        assert peak < 300
