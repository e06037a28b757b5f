"""Passphrases are asked for at the terminal, and never where there is none."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import terminals
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from testbed import binaries

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Shell

PLAIN = b"a: hunter2\n"
PASSPHRASE = "canary passphrase"
AGENT = (sys.executable, "-m", "agent.cli.main")


@pytest.fixture(scope="module")
def age_program() -> Path:
    return binaries.path("age")


@pytest.fixture
def locked(shell: Shell, age_program: Path) -> str:
    """The name of a file that the shell's identity opens, which lies under a passphrase, as age made it, where sops looks."""
    shell.env("SOPS_AGE_KEY", None)
    shell.write("plain.txt", f"# mine\n{shell.identity}\n")
    (shell.folder.parent / "home/.config/sops/age").mkdir(parents=True)
    keys = shell.folder.parent / "home/.config/sops/age/keys.txt"
    code, shown = terminals.run(
        [age_program, "-p", "-o", keys, "plain.txt"],
        [("Enter passphrase", PASSPHRASE), ("Confirm passphrase", PASSPHRASE)],
        cwd=shell.folder,
    )
    assert code == 0, shown
    made = shell.agent("encrypt", "--age", shell.recipient, "--filename-override", "s.yaml", stdin=PLAIN)
    shell.write("s.yaml", made.out)
    return "s.yaml"


def test_an_identity_file_of_age_under_a_passphrase(shell: Shell, locked: str) -> None:
    code, shown = terminals.run([*AGENT, "decrypt", locked], [("keys.txt:", PASSPHRASE)], cwd=shell.folder)
    assert (code, shown.splitlines()[-1]) == (0, "a: hunter2")
    assert PASSPHRASE not in shown
    code, shown = terminals.run([*AGENT, "decrypt", locked], [("keys.txt:", "wrong canary")], cwd=shell.folder)
    assert code == 128
    assert "the passphrase is wrong (source " in shown
    assert "canary" not in shown


def test_the_user_is_asked_though_standard_input_is_a_pipe(shell: Shell, locked: str) -> None:
    command = f"{AGENT[0]} -m {AGENT[2]} decrypt --filename-override s.yaml < {locked} > out.yaml"
    code, shown = terminals.run(["/bin/sh", "-c", command], [("keys.txt:", PASSPHRASE)], cwd=shell.folder)
    assert code == 0, shown
    assert (shell.folder / "out.yaml").read_bytes() == PLAIN


def test_without_a_terminal_there_is_no_prompt(shell: Shell, locked: str) -> None:
    done = subprocess.run(
        [*AGENT, "decrypt", locked],
        cwd=shell.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        start_new_session=True,
    )
    assert done.returncode == 128
    assert b"a passphrase is needed, and there is no terminal to ask for it (source " in done.stderr


def test_an_ssh_key_under_a_passphrase(shell: Shell) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    lock = serialization.BestAvailableEncryption(PASSPHRASE.encode())
    text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, lock)
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
    shell.env("SOPS_AGE_KEY", None)
    shell.write(str(shell.folder.parent / "home/.ssh/id_ed25519"), text)
    shell.write("s.yaml", PLAIN)
    assert shell.sops("encrypt", "-i", "--age", public, "s.yaml").code == 0
    code, shown = terminals.run([*AGENT, "decrypt", "s.yaml"], [("id_ed25519:", PASSPHRASE)], cwd=shell.folder)
    assert (code, shown.splitlines()[-1]) == (0, "a: hunter2")
    code, shown = terminals.run([*AGENT, "decrypt", "s.yaml"], [("id_ed25519:", "")], cwd=shell.folder)
    assert code == 128
    assert "no passphrase was given" in shown


def test_an_interruption_ends_the_question(shell: Shell, locked: str) -> None:
    code, shown = terminals.run([*AGENT, "decrypt", locked], [("keys.txt:", "\x03")], cwd=shell.folder)
    assert code == 130
    assert "Traceback" not in shown


def test_an_end_of_input_is_no_passphrase(shell: Shell, locked: str) -> None:
    code, shown = terminals.run([*AGENT, "decrypt", locked], [("keys.txt:", "\x04")], cwd=shell.folder)
    assert code == 128
    assert "Traceback" not in shown
