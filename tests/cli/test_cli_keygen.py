"""`agent keygen` makes what age-keygen makes."""

from __future__ import annotations

import re
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from testbed import binaries

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Shell

FORM = re.compile(r"# created: \S+Z\n# public key: (age1\S+)\nAGE-SECRET-KEY-1\S+\n")
HYBRID = re.compile(r"# created: \S+Z\n# public key: (age1pq1\S+)\nAGE-SECRET-KEY-PQ-1\S+\n")


@pytest.fixture(scope="module")
def age_keygen() -> Path:
    return binaries.path("age-keygen")


def test_a_key_to_standard_output(shell: Shell) -> None:
    result = shell.agent("keygen")
    found = FORM.fullmatch(result.out.decode())
    assert found
    assert result.err == f"Public key: {found[1]}\n"


def test_a_key_in_a_file_that_only_its_owner_reads_and_nothing_overwrites(age_keygen: Path, shell: Shell) -> None:
    result = shell.agent("keygen", "-o", "key.txt")
    path = shell.folder / "key.txt"
    found = FORM.fullmatch(path.read_text())
    assert found
    assert result.out == b""
    assert result.err == f"Public key: {found[1]}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    again = shell.agent("keygen", "-o", "key.txt")
    assert again.code == 3
    assert "AGE-SECRET" not in again.err
    assert path.read_bytes() == before
    theirs = subprocess.run([age_keygen, "-y", path], check=True, capture_output=True).stdout
    assert shell.agent("keygen", "-y", "key.txt").out == theirs == f"{found[1]}\n".encode()


def test_a_hybrid_key(age_keygen: Path, shell: Shell) -> None:
    for number, flag in enumerate(("-pq", "--pq")):
        result = shell.agent("keygen", flag, "-o", f"key{number}.txt")
        assert result.code == 0
        path = shell.folder / f"key{number}.txt"
        found = HYBRID.fullmatch(path.read_text())
        assert found
        theirs = subprocess.run([age_keygen, "-y", path], check=True, capture_output=True).stdout
        assert shell.agent("keygen", "-y", path.name).out == theirs == f"{found[1]}\n".encode()


def test_recipients_of_what_age_made_from_a_file_or_standard_input_to_a_file(age_keygen: Path, shell: Shell) -> None:
    text = b"".join(
        subprocess.run([age_keygen, *flags], check=True, capture_output=True).stdout for flags in ([], ["-pq"])
    )
    path = shell.write("key.txt", text)
    theirs = subprocess.run([age_keygen, "-y", path], check=True, capture_output=True).stdout
    assert theirs.count(b"\n") == 2
    assert shell.agent("keygen", "-y", "key.txt").out == theirs
    assert shell.agent("keygen", "-y", stdin=text).out == shell.agent("keygen", "-y", "-", stdin=text).out == theirs
    assert shell.agent("keygen", "-y", "-o", "recipients.txt", "key.txt").out == b""
    assert (shell.folder / "recipients.txt").read_bytes() == theirs
    again = shell.agent("keygen", "-y", "-o", "recipients.txt", "key.txt")
    assert again.code == 3


@pytest.mark.parametrize(("mode", "warned"), [(0o644, True), (0o600, False)])
def test_a_file_that_everybody_reads_is_warned_of(shell: Shell, mode: int, warned: bool) -> None:
    path = shell.write("key.txt", "")
    path.chmod(mode)
    with path.open("wb") as stream:
        done = subprocess.run(
            [sys.executable, "-m", "agent.cli.main", "keygen"], check=True, stdout=stream, stderr=subprocess.PIPE
        )
    assert (b"all users can read" in done.stderr) == warned
    assert FORM.fullmatch(path.read_text())


@pytest.mark.parametrize("arguments", [("key.txt",), ("-y", "-pq", "key.txt")])
def test_flags_that_exclude_one_another(shell: Shell, arguments: tuple[str, ...]) -> None:
    assert shell.agent("keygen", *arguments).code == 8


def test_a_file_without_an_identity(shell: Shell) -> None:
    shell.write("key.txt", "# nothing\n")
    result = shell.agent("keygen", "-y", "key.txt")
    expected = "agent: key.txt: no age identity in this file\nhint: agent keygen -o makes a file with one\n"
    assert (result.code, result.err) == (2, expected)


def test_what_is_no_key_file(shell: Shell) -> None:
    shell.write("key.txt", "canary\n")
    result = shell.agent("keygen", "-y", "key.txt")
    assert result.code == 2
    assert "canary" not in result.err
    assert result.err.startswith("agent: key.txt:1: ")
