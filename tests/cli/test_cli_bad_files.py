"""What is no file, or none that can be written, and standard streams that are closed, full or no text: an exit code, a cause and a hint."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING

import processes
import pytest
from refusals import PLAIN, Sealed, Witness, commands

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conftest import Shell

_LONG = "x" * 300 + ".yaml"


@pytest.fixture(scope="module")
def sealed() -> Sealed:
    return Sealed()


@pytest.fixture
def witness(shell: Shell, sealed: Sealed) -> Witness:
    witness = Witness(shell, sealed)
    shell.write("s.yaml", sealed.files["s.yaml"])
    witness.beside("s.yaml")
    (shell.folder / "folder.yaml").mkdir()
    (shell.folder / "loop.yaml").symlink_to("pool.yaml")
    (shell.folder / "pool.yaml").symlink_to("loop.yaml")
    (shell.folder / "dangling.yaml").symlink_to("nowhere.yaml")
    return witness


def by_file(*, without: Iterable[str] = ()) -> list[str]:
    return [name for name in commands("s.yaml") if name not in {"a tree", "a tree's keys", *without}]


@pytest.mark.parametrize("command", by_file())
@pytest.mark.parametrize("file", ["loop.yaml", "dangling.yaml", "none.yaml", "s.yaml/in-a-file.yaml", _LONG, ""])
def test_what_cannot_be_opened_is_said(witness: Witness, command: str, file: str) -> None:
    # A file that is not there is made by edit, and what cannot be made of it then not be written.
    code = {1, 2, 3, 49, 100}
    if command == "edit":
        witness.shell.env("EDITOR", "sed -i s/Welcome/changed/")
    arguments = commands(file)[command]
    if command == "edit" and file in {"dangling.yaml", "none.yaml"}:
        assert witness.run(*arguments).code == 0
        return
    witness.fails(*arguments, code=code)


@pytest.mark.parametrize(
    "command",
    by_file(
        without=["verify", "report", "decrypt in place", "encrypt in place", "rotate", "add a recipient", "updatekeys"]
    ),
)
def test_a_folder_is_no_file(witness: Witness, command: str) -> None:
    witness.fails(*commands("folder.yaml")[command], code={1, 2})


@pytest.mark.parametrize(
    "target", ["folder.yaml", "loop.yaml", "s.yaml/in-a-file", "no/such/folder", "/dev/full", "x" * 300]
)
@pytest.mark.parametrize("command", ["decrypt", "rotate", "encrypt"])
def test_an_output_that_cannot_be_written_leaves_all_as_it_was(witness: Witness, command: str, target: str) -> None:
    name = "plain.yaml" if command == "encrypt" else "s.yaml"
    witness.shell.write("plain.yaml", PLAIN["s.yaml"])
    witness.fails(command, "--output", target, name, code=3)


def test_a_folder_that_goes_away_while_its_file_is_edited(witness: Witness) -> None:
    path = witness.shell.write("gone/s.yaml", witness.sealed.files["s.yaml"])
    script = witness.shell.write("editor", f"#!/bin/sh\nsed -i s/canary-of/chosen-of/ \"$1\"; rm -r '{path.parent}'\n")
    script.chmod(0o700)
    witness.shell.env("EDITOR", str(script))
    done = witness.shell.agent("edit", "gone/s.yaml")
    assert done.code == 3
    assert "agent: gone/s.yaml: the file cannot be written (cause no such file or folder)\nhint: " in done.err
    assert not path.parent.exists()


@pytest.mark.parametrize("data", [PLAIN["s.yaml"], b"canary-of-text: [", b""])
def test_a_pipe_is_read_to_its_end(witness: Witness, data: bytes) -> None:
    """As a file is: `decrypt <(…)` hands one over."""
    pipe = witness.shell.folder / "pipe.yaml"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=[data])
    writer.start()
    done = witness.run("encrypt", "pipe.yaml")
    writer.join()
    assert done.code == (0 if data.endswith(b"\n") else 2 if data else 92)


@pytest.mark.parametrize("command", ["decrypt", "extract", "filestatus", "verify", "report", "textconv"])
def test_a_full_standard_output_is_an_error(witness: Witness, command: str) -> None:
    with Path("/dev/full").open("wb") as full:
        done = _run(commands("s.yaml")[command], stdout=full)
    assert done.returncode == 1
    assert done.stderr.decode().splitlines()[-2:] == [
        "agent: standard output cannot be written",
        "hint: is there room where it goes?",
    ]


def test_a_full_standard_error_changes_no_exit_code(witness: Witness) -> None:
    for arguments, code in ((["decrypt", "none.yaml"], 100), (["decrypt", "s.yaml"], 0), (["nonsense"], 1)):
        with Path("/dev/full").open("wb") as full:
            assert _run(arguments, stderr=full).returncode == code
    witness.run("decrypt", "s.yaml")


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_a_stream_that_is_closed_is_taken_for_none(witness: Witness, closed: int) -> None:
    """Nothing that is opened later may stand in its place: it would be read, or written to, as the stream."""
    before = witness.listing()
    command = [
        *processes.AGENT,
        "exec-env",
        "s.env",
        "echo out; echo err >&2; cat; led=$(readlink /proc/$$/fd/%d); echo $led >&%d",
    ]
    command[-1] %= (closed, 2 if closed == 1 else 1)
    witness.shell.write("s.env", witness.sealed.files["s.env"])
    code = f"import os, sys; os.close({closed}); os.execv(sys.argv[1], sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", code, *command], capture_output=True, input=b"typed", check=False, timeout=60
    )
    assert done.returncode == 0
    shown = done.stdout + done.stderr
    assert b"/dev/null" in shown
    assert (b"typed" in shown, b"out" in shown, b"err" in shown) == (
        closed not in {0, 1},
        closed != 1,
        closed != 2,
    )
    (witness.shell.folder / "s.env").unlink()
    assert witness.listing() == before


def test_an_answer_that_is_no_text_is_none(witness: Witness) -> None:
    done = witness.fails("updatekeys", "s.yaml", stdin=b"\xff\n", code=1)
    assert "no answer to the question" in done.err


def _run(
    arguments: list[str], *, stdout: IO[bytes] | int = subprocess.PIPE, stderr: IO[bytes] | int = subprocess.PIPE
) -> subprocess.CompletedProcess[bytes]:
    command = [*processes.AGENT, *arguments]
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, check=False, timeout=60)
