"""`agent keygen` makes what age-keygen makes."""

from __future__ import annotations

import re
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest

from testbed import binaries

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Shell

FORM = re.compile(r"# created: \S+Z\n# public key: (age1\S+)\nAGE-SECRET-KEY-1\S+\n")


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


def test_what_is_no_key_file(shell: Shell) -> None:
    shell.write("key.txt", "canary\n")
    result = shell.agent("keygen", "-y", "key.txt")
    assert result.code == 2
    assert "canary" not in result.err
    assert result.err.startswith("agent: key.txt:1: ")
