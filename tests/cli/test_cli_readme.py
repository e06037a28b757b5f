"""What README says of the commands on secrets, run as it stands there."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import processes
from repositories import Repository, repository

if TYPE_CHECKING:
    from conftest import Shell

__all__ = ["repository"]

README = Path(__file__).parents[2] / "README.md"


def test_the_commands_of_the_readme_do_what_it_says(shell: Shell, repository: Repository, tmp_path: Path) -> None:
    section = README.read_text().split("## In place of sops\n")[1].split("\n## ")[0]
    script = section.split("```sh\n")[1].split("```")[0]
    program = tmp_path / "programs" / "agent"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.join(processes.AGENT)} "$@"\n')
    program.chmod(0o755)
    shell.env("SOPS_AGE_KEY", None)
    assert shell.agent("git-setup", "--remove").code == 0
    for name, value in {"user.name": "t", "user.email": "t@example.org"}.items():
        repository.git("config", name, value)
    done = subprocess.run(
        ["/bin/sh", "-ec", script],
        cwd=repository.folder,
        env={**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr.decode()
    printed = done.stdout.decode()
    assert "password: fp:" in printed
    assert printed.endswith("new")
    assert "hunter2" not in printed
    assert repository.holds("hunter2") == []
    shell.env("SOPS_AGE_KEY_FILE", str(tmp_path / "home/key.txt"))
    assert repository.opened("secrets/db.yaml") == "user: shop\n# of staging\npassword: new\n"
