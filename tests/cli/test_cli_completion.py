"""What shells complete: commands, flags, values and files, without running the agent."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from agent.cli.registry import COMMANDS

if TYPE_CHECKING:
    from conftest import Shell

SHELLS = ("bash", "zsh", "fish")
LINES = [
    (["agent", "enc"], "encrypt"),
    (["agent", "stat"], "status"),
    (["agent", "status", "--all"], "--all-namespaces"),
    (["agent", "status", "-o", ""], "table json yaml"),
    (["agent", "audit", "ver"], "verify"),
    (["agent", "audit", "verify", "--anc"], "--anchor"),
    (["agent", "migrate", "sealed"], "sealed-secrets"),
    (["agent", "decrypt", "sec"], "secret.yaml"),
    (["agent", "completion", "f"], "fish"),
]


@pytest.mark.parametrize(("words", "expected"), LINES)
def test_bash_completes(shell: Shell, words: list[str], expected: str) -> None:
    shell.write("secret.yaml", "a: 1\n")
    script = shell.write("completion", shell.agent("completion", "bash").out)
    program = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _shtab_agent; echo "${COMPREPLY[@]}"'
    done = subprocess.run(
        ["bash", "--norc", "-c", program, "bash", script, *words],
        capture_output=True,
        text=True,
        check=True,
        cwd=shell.folder,
    )
    assert (done.stdout.strip(), done.stderr) == (expected, "")


@pytest.mark.parametrize("name", SHELLS)
def test_every_shell_knows_every_command_and_its_flags(shell: Shell, name: str) -> None:
    result = shell.agent("completion", name)
    assert (result.code, result.err) == (0, "")
    text = result.out.decode()
    for command in COMMANDS:
        assert command in text
    for flag in ("in-place", "watch", "confirm-prune", "operator-file"):
        assert flag in text
    assert "disable-version-check" not in text
    program = shutil.which(name)
    if program:
        script = shell.write("completion", result.out)
        assert subprocess.run([program, "-n", script], capture_output=True, check=False).stderr == b""


def test_an_unknown_shell_is_named(shell: Shell) -> None:
    result = shell.agent("completion", "bsh")
    assert result.code == 2
    assert "did you mean bash?" in result.err


def test_no_other_command_loads_what_makes_completion() -> None:
    script = "import sys; from agent.cli.main import main; main(['version']); sys.exit('shtab' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
