"""A user's shell script gives the same with `sops` as with `agent` in its place, unchanged.

Its files have the layout that sops gives them, so that the two print the same bytes; a file of another layout keeps it with `agent`.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import processes

from agent.adapters.keys import age
from agent.values.reveal import reveal

if TYPE_CHECKING:
    import pytest
    from conftest import Shell

SCRIPT = Path(__file__).parent / "scripts" / "deploy.sh"


def run(shell: Shell, name: str, command: str) -> tuple[int, str]:
    """What the script prints where `sops` is this command."""
    programs, work = shell.folder / f"{name}-programs", shell.folder / name
    programs.mkdir()
    work.mkdir()
    program = programs / "sops"
    program.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    program.chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", str(SCRIPT)],
        cwd=work,
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "SOPS_DISABLE_VERSION_CHECK": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=300,
    )
    return done.returncode, done.stdout.decode() + ("" if done.returncode == 0 else done.stderr.decode())


def test_a_script_runs_unchanged(shell: Shell, sops_program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    second, identity = age.generate()
    keys = shell.write("keys.txt", f"{shell.identity}\n{reveal(identity)}\n")
    shell.env("SOPS_AGE_KEY", None)
    shell.env("SOPS_AGE_KEY_FILE", str(keys))
    monkeypatch.setenv("RECIPIENT", shell.recipient)
    monkeypatch.setenv("SECOND", second)
    theirs = run(shell, "theirs", shlex.quote(str(sops_program)))
    ours = run(shell, "ours", shlex.join(processes.AGENT))
    assert theirs[0] == 0, theirs[1]
    assert ours[1].splitlines() == theirs[1].splitlines()
    assert ours == theirs
