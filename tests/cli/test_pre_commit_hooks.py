"""The hooks of .pre-commit-hooks.yaml, run by pre-commit on what is staged in a repository of Git."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import processes
import pytest
import yaml
from repositories import Repository, repository

from agent.adapters.keys import age

if TYPE_CHECKING:
    from conftest import Shell

__all__ = ["repository"]

HOOKS = Path(__file__).parents[2] / ".pre-commit-hooks.yaml"
NAMES = {hook["id"]: hook["name"] for hook in yaml.safe_load(HOOKS.read_text())}
PLAINTEXT = "password: hunter2\n"


@pytest.fixture
def hooked(shell: Shell, repository: Repository, tmp_path: Path) -> Repository:
    """A repository whose commits run every hook. `agent` is that of this checkout: nothing is installed from a network."""
    source = tmp_path / "hooks"
    source.mkdir()
    shutil.copy(HOOKS, source)
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "hooks"]):
        repository.git("-C", str(source), *arguments)
    revision = repository.git("-C", str(source), "rev-parse", "HEAD").out.strip()
    hooks = [{"id": name, "language": "system"} for name in NAMES]
    used = {"repos": [{"repo": str(source), "rev": revision, "hooks": hooks}]}
    shell.write(".pre-commit-config.yaml", yaml.safe_dump(used))
    shell.write(".sops.yaml", f"creation_rules:\n- path_regex: ^secrets/\n  age: {shell.recipient}\n")
    program = tmp_path / "programs" / "agent"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.join(processes.AGENT)} "$@"\n')
    program.chmod(0o755)
    shell.env("PATH", f"{program.parent}:{os.environ['PATH']}")
    shell.env("PRE_COMMIT_HOME", str(tmp_path / "pre-commit"))
    shell.env("SOPS_AGE_KEY", None)
    subprocess.run([Path(sys.executable).with_name("pre-commit"), "install"], cwd=shell.folder, check=True)
    repository.encrypt("secrets/db.yaml", PLAINTEXT)
    repository.commit()
    return repository


def test_encrypted_files_are_committed_without_a_key(hooked: Repository) -> None:
    hooked.encrypt("secrets/second.yaml", PLAINTEXT)
    hooked.shell.write("README.md", "no secret\n")
    hooked.git("add", "-A")
    committed = hooked.git("commit", "-m", "second").out
    assert [committed.count(f"{name}{'.' * (73 - len(name))}Passed") for name in NAMES.values()] == [1, 1], committed
    assert hooked.git("status", "--porcelain").out == ""


def plaintext(hooked: Repository) -> None:
    hooked.shell.write("secrets/second.yaml", PLAINTEXT)


def a_plaintext_value(hooked: Repository) -> None:
    hooked.shell.write("secrets/db.yaml", "user: hunter2\n" + hooked.read("secrets/db.yaml"))


def another_recipient(hooked: Repository) -> None:
    hooked.encrypt("secrets/db.yaml", PLAINTEXT, age.generate()[0])


def damage(hooked: Repository) -> None:
    hooked.shell.write("secrets/db.yaml", hooked.read("secrets/db.yaml").replace("mac:", "nac:"))


@pytest.mark.parametrize(
    ("change", "failing", "shown"),
    [
        (plaintext, "signet-encrypt-check", "secrets/second.yaml  would be encrypted"),
        (a_plaintext_value, "signet-verify", "secrets/db.yaml"),
        (another_recipient, "signet-verify", "secrets/db.yaml"),
        (damage, "signet-verify", "secrets/db.yaml"),
    ],
)
def test_a_commit_is_refused(hooked: Repository, change, failing: str, shown: str) -> None:
    change(hooked)
    hooked.git("add", "-A")
    before = hooked.git("rev-parse", "HEAD").out
    refused = hooked.git("commit", "-m", "change", code=1).out
    name = NAMES[failing]
    assert f"{name}{'.' * (73 - len(name))}Failed" in refused, refused
    assert shown in refused
    assert "hunter2" not in refused
    assert hooked.git("rev-parse", "HEAD").out == before


def test_what_is_not_staged_does_not_count(hooked: Repository) -> None:
    hooked.encrypt("secrets/second.yaml", PLAINTEXT)
    hooked.git("add", "-A")
    a_plaintext_value(hooked)
    hooked.git("commit", "-m", "second")
    assert "user: hunter2" in hooked.read("secrets/db.yaml")
