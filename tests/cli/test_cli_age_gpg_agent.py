"""A passphrase that gpg-agent keeps is asked for once, by sops or by the command; a wrong one is forgotten."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import terminals

from testbed import binaries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Shell

PLAIN = b"a: hunter2\n"
PASSPHRASE = "canary passphrase%"
PINENTRY = """\
#!/bin/sh
folder=$(dirname "$0")
echo OK
while read -r word rest; do
    case "$word" in
        SETDESC) echo "$rest" >> "$folder/asked" ;;
        GETPIN) if [ -s "$folder/answer" ]; then echo "D $(cat "$folder/answer")"; else echo "ERR 83886179 cancelled"; continue; fi ;;
        BYE) echo OK; exit ;;
    esac
    echo OK
done
"""


@pytest.fixture(scope="module")
def age_program() -> Path:
    return binaries.path("age")


@pytest.fixture
def gpg_home() -> Iterator[Path]:
    """A running agent, with a short path: its sockets have to fit into 108 bytes."""
    home = Path(tempfile.mkdtemp(prefix="gpg-", dir="/tmp"))
    (home / "pinentry").write_text(PINENTRY)
    (home / "pinentry").chmod(0o700)
    (home / "gpg-agent.conf").write_text(f"pinentry-program {home / 'pinentry'}\n")
    # It would hold a pipe open for as long as it runs.
    quiet = subprocess.DEVNULL
    subprocess.run(["gpg-agent", "--homedir", home, "--daemon"], check=True, stdout=quiet, stderr=quiet)
    yield home
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "gpg-agent"], check=True, capture_output=True)
    shutil.rmtree(home, ignore_errors=True)  # the agent that ends removes its sockets itself


@pytest.fixture
def locked(shell: Shell, age_program: Path, gpg_home: Path) -> str:
    shell.env("SOPS_AGE_KEY", None)
    shell.write("plain.txt", f"{shell.identity}\n")
    code, shown = terminals.run(
        [age_program, "-a", "-p", "-o", "keys.txt", "plain.txt"],
        [("Enter passphrase", PASSPHRASE), ("Confirm passphrase", PASSPHRASE)],
        cwd=shell.folder,
    )
    assert code == 0, shown
    shell.env("SOPS_AGE_KEY_FILE", str(shell.folder / "keys.txt"))
    shell.env("GPG_AGENT_INFO", f"{gpg_home / 'S.gpg-agent'}:0:1")
    made = shell.agent("encrypt", "--age", shell.recipient, "--filename-override", "s.yaml", stdin=PLAIN)
    shell.write("s.yaml", made.out)
    return "s.yaml"


def asked(gpg_home: Path) -> int:
    path = gpg_home / "asked"
    return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.mark.parametrize("first", ["sops", "agent"])
def test_a_passphrase_given_to_either_is_known_to_both(shell: Shell, gpg_home: Path, locked: str, first: str) -> None:
    (gpg_home / "answer").write_text(PASSPHRASE.replace("%", "%25"))
    programs = {"sops": shell.sops, "agent": shell.agent}
    assert programs.pop(first)("decrypt", locked).out == PLAIN
    assert asked(gpg_home) == 1
    [second] = programs.values()
    assert second("decrypt", locked).out == PLAIN
    assert asked(gpg_home) == 1


def test_a_wrong_passphrase_is_forgotten(shell: Shell, gpg_home: Path, locked: str) -> None:
    (gpg_home / "answer").write_text("wrong canary")
    refused = shell.agent("decrypt", locked)
    assert refused.code == 128
    assert "the passphrase is wrong (source " in refused.err
    assert "canary" not in refused.err
    (gpg_home / "answer").write_text(PASSPHRASE.replace("%", "%25"))
    assert shell.agent("decrypt", locked).out == PLAIN
    assert asked(gpg_home) == 2


def test_who_declines_is_not_asked_at_the_terminal_too(shell: Shell, gpg_home: Path, locked: str) -> None:
    refused = shell.agent("decrypt", locked)
    assert refused.code == 128
    assert "the question for the passphrase was declined" in refused.err
    assert asked(gpg_home) == 1


def test_where_the_agent_has_gone_the_terminal_is_asked(shell: Shell, gpg_home: Path, locked: str) -> None:
    shell.env("GPG_AGENT_INFO", str(gpg_home / "nothing"))
    command = (sys.executable, "-m", "agent.cli.main", "decrypt", locked)
    code, shown = terminals.run(command, [("keys.txt:", PASSPHRASE)], cwd=shell.folder)
    assert (code, shown.splitlines()[-1]) == (0, "a: hunter2")
