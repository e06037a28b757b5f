"""What a system call refused, in words: numbers are for programs."""

from __future__ import annotations

import errno
import os
import re
import socket
from pathlib import Path

import pytest

import agent
from agent.values import system


@pytest.mark.parametrize("number", sorted(errno.errorcode))
def test_no_number_is_shown(number: int):
    shown = system.cause(OSError(number, os.strerror(number)))
    assert shown
    assert str(number) not in shown


def test_kinds_that_people_meet(tmp_path: Path):
    (tmp_path / "file").touch()
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    met: dict[str, str] = {}
    for name in ("missing", ".", "file/below", "circle", "x" * 300, "a\0b"):
        with pytest.raises((OSError, ValueError)) as caught:
            (tmp_path / name).read_bytes()
        met[name[:8]] = system.cause(caught.value)
    assert met == {
        "missing": "no such file or folder",
        ".": "it is a folder",
        "file/bel": "a part of its path is not a folder",
        "circle": "it is a link, or links lead in a circle",
        "xxxxxxxx": "the name is too long",
        "a\0b": "not a name that a file can have",
    }
    with pytest.raises(socket.gaierror) as unknown:
        socket.getaddrinfo("host.invalid", 80)
    assert system.cause(unknown.value) == "the name is not known"


def test_no_error_has_a_number_of_the_system_among_its_facts():
    root = Path(agent.__file__).parent
    found = [path for path in root.rglob("*.py") if re.search(r"\berrno=|\.strerror|os\.strerror", path.read_text())]
    assert found == []
