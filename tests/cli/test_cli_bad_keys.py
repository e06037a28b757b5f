"""Keys that are not there, locked, wrong or kept by a server that never answers: every command says so, and leaves the file."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import processes
import pytest
import terminals
from refusals import PLAIN, Sealed, Witness, commands

from agent.adapters.keys import age, aws, remote, transit
from agent.values.reveal import reveal
from testbed import binaries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import Shell

NAME = "s.yaml"
_OPENING = [
    *("decrypt", "decrypt in place", "extract", "edit", "set", "unset", "rotate", "add a recipient", "updatekeys"),
    *("exec-env", "exec-file", "groups add", "resolve", "merge into it"),
]


@pytest.fixture(scope="module")
def sealed() -> Sealed:
    return Sealed()


@pytest.fixture
def witness(shell: Shell, sealed: Sealed) -> Witness:
    witness = Witness(shell, sealed)
    witness.beside(NAME)
    shell.write(NAME, sealed.files[NAME])
    return witness


def refused(witness: Witness, command: str) -> str:
    """The message of a command that has no key."""
    code = 1 if command in {"groups add", "merge into it"} else 128
    return witness.fails(*commands(NAME)[command], code=code).err


def _variable(name: str, value: str) -> Callable[[Shell], None]:
    return lambda shell: shell.env(name, value)


SOURCES: dict[str, tuple[str, Callable[[Shell], None]]] = {
    "nothing": ("no age identity is available", lambda _: None),
    "another user's": (
        "no matching private key: none of the age identities belongs to this recipient",
        lambda shell: shell.env("SOPS_AGE_KEY", str(reveal(age.generate()[1]))),
    ),
    "words": ("not an age identity", _variable("SOPS_AGE_KEY", "canary-of-text")),
    "half of one": ("an age identity that is damaged", lambda shell: shell.env("SOPS_AGE_KEY", shell.identity[:40])),
    "one with a slip": (
        "an age identity that is damaged",
        lambda shell: shell.env("SOPS_AGE_KEY", _slip(shell.identity)),
    ),
    "no text": ("", _variable("SOPS_AGE_KEY", "\udcff\udcfe")),
    "a file that is not there": (
        "the file of a private key cannot be read",
        _variable("SOPS_AGE_KEY_FILE", "none.txt"),
    ),
    "a folder": ("the file of a private key cannot be read", _variable("SOPS_AGE_KEY_FILE", ".")),
    "a link to itself": ("the file of a private key cannot be read", _variable("SOPS_AGE_KEY_FILE", "loop")),
    "a name that is too long": ("the file of a private key cannot be read", _variable("SOPS_AGE_KEY_FILE", "x" * 300)),
    "a file without end": ("larger than 16 MiB", _variable("SOPS_AGE_KEY_FILE", "/dev/zero")),
    "an empty file": ("/dev/null: there is no age identity in it", _variable("SOPS_AGE_KEY_FILE", "/dev/null")),
    "an encrypted file that is damaged": (
        "the passphrase-protected identity file is damaged",
        _variable("SOPS_AGE_KEY", "-----BEGIN AGE ENCRYPTED FILE-----\ncanary-of-text"),
    ),
    "an ssh key that is damaged": (
        "not an ssh private key",
        _variable("SOPS_AGE_KEY", "-----BEGIN OPENSSH PRIVATE KEY-----\ncanary\n-----END OPENSSH PRIVATE KEY-----"),
    ),
    "a recipient": ("an age recipient, which is public", _variable("SOPS_AGE_KEY", "age1" + "q" * 58)),
    "an ssh key's public half": (
        "the public half of an ssh key",
        _variable("SOPS_AGE_KEY", "ssh-ed25519 AAAA me@here"),
    ),
    "a PGP key": ("a PGP key", _variable("SOPS_AGE_KEY", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQEN\n")),
    "a certificate": ("a certificate", _variable("SOPS_AGE_KEY", "-----BEGIN CERTIFICATE-----\nMIIB\n")),
    "comments alone": ("SOPS_AGE_KEY: there is no age identity in it", _variable("SOPS_AGE_KEY", "# created: 2026\n")),
    "a command that fails": (
        "the command failed",
        _variable("SOPS_AGE_KEY_CMD", "sh -c 'echo canary-of-text; exit 1'"),
    ),
    "a command that is none": ("the command cannot be read", _variable("SOPS_AGE_KEY_CMD", "'")),
    "a command that says words": ("not an age identity", _variable("SOPS_AGE_KEY_CMD", "echo canary-of-text")),
    "a home that is too long": ("no age identity is available", _variable("XDG_CONFIG_HOME", "/" + "x" * 300)),
}


def _slip(identity: str) -> str:
    at = len(identity) // 2
    return identity[:at] + ("Q" if identity[at] != "Q" else "P") + identity[at + 1 :]


@pytest.mark.parametrize("command", _OPENING)
@pytest.mark.parametrize("source", SOURCES)
def test_a_key_that_is_none_opens_nothing(witness: Witness, source: str, command: str) -> None:
    reason, prepare = SOURCES[source]
    (witness.shell.folder / "loop").symlink_to("loop")
    witness.shell.env("SOPS_AGE_KEY", None)
    prepare(witness.shell)
    assert reason in refused(witness, command)


def for_key(data: bytes, kind: str, **fields: str) -> bytes:
    """The file as if its data key had been wrapped by another kind of key."""
    entry = json.dumps([{**fields, "created_at": "2026-01-01T00:00:00Z"}])
    changed = re.sub(r"(?s)    age:.*?(?=    lastmodified)", f"    {kind}: {entry}\n", data.decode())
    return changed.encode()


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes connections and says nothing."""
    # Loading them takes longer than these tests wait, and a thread that was given up would go on with it beside the next.
    for name in ("hvac", "requests", "botocore.session"):
        importlib.import_module(name)
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("command", _OPENING)
def test_a_vault_that_hangs_ends_in_time(
    witness: Witness, silent: str, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(remote, "DEADLINE_SECONDS", 0.1)
    monkeypatch.setattr(transit, "_READ_SECONDS", 0.2)
    witness.shell.env("VAULT_ADDR", silent)
    witness.shell.env("VAULT_TOKEN", "canary-of-text")
    path = {"engine_path": "transit", "key_name": "k", "enc": "vault:v1:abcd"}
    data = for_key(witness.sealed.files[NAME], "hc_vault", vault_address=silent, **path)
    for name in (NAME, "base", "theirs"):
        witness.shell.write(name, data)
    assert "the server does not answer in time" in refused(witness, command)


def test_a_kms_that_hangs_ends_in_time(witness: Witness, silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "DEADLINE_SECONDS", 0.5)
    monkeypatch.setattr(aws, "_READ_SECONDS", 1)
    monkeypatch.setattr(aws, "_ATTEMPTS", 1)
    for name, value in {
        "AWS_ENDPOINT_URL": silent,
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "canary-of-text",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }.items():
        witness.shell.env(name, value)
    arn = "arn:aws:kms:eu-central-1:000000000000:key/00000000-0000-0000-0000-000000000000"
    witness.shell.write(NAME, for_key(witness.sealed.files[NAME], "kms", arn=arn, enc="AQIC"))
    for command in ("decrypt", "set", "rotate"):
        assert "the server does not answer in time" in refused(witness, command)
    done = witness.fails("encrypt", "--kms", arn, "--filename-override", NAME, stdin=PLAIN[NAME], code={1, 128})
    assert "the server does not answer in time" in done.err


@pytest.fixture(scope="module")
def gnupg() -> Iterator[Path]:
    """A home whose key is under a passphrase, and whose agent has no pinentry. Its socket needs a short path."""
    home = Path(tempfile.mkdtemp())
    (home / "gpg-agent.conf").write_text("pinentry-program /no/such/pinentry\n")
    flags = ["--batch", "--pinentry-mode", "loopback", "--passphrase", "canary-of-text"]
    made = ["--quick-gen-key", "a@example.com", "rsa2048", "encr", "never"]
    subprocess.run(["gpg", "--homedir", home, *flags, *made], check=True, capture_output=True)
    yield home
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False, capture_output=True)
    shutil.rmtree(home, ignore_errors=True)  # the agent that ends removes its sockets itself


def test_a_locked_gpg_agent_without_pinentry_is_said(witness: Witness, gnupg: Path) -> None:
    witness.shell.env("GNUPGHOME", str(gnupg))
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "GPG_TTY"):
        witness.shell.env(name, None)
    fingerprint = next(gnupg.glob("openpgp-revocs.d/*.rev")).stem
    witness.shell.write(".sops.yaml", json.dumps({"creation_rules": [{"pgp": fingerprint}]}))
    made = witness.run("encrypt", "--filename-override", NAME, stdin=PLAIN[NAME])
    assert made.code == 0
    for name in (NAME, "base", "theirs"):
        witness.shell.write(name, made.out)
    subprocess.run(["gpgconf", "--homedir", gnupg, "--kill", "gpg-agent"], check=True, capture_output=True)
    witness.shell.write(".sops.yaml", json.dumps({"creation_rules": [{"age": witness.sealed.recipient}]}))
    for command in _OPENING:
        assert "the key has a passphrase, and there is no way to ask for it" in refused(witness, command), command
    witness.shell.env("SOPS_GPG_EXEC", "/no/such/gpg")
    assert "gpg is not installed, or does not run" in refused(witness, "decrypt")


@pytest.fixture(scope="module")
def age_program() -> Path:
    """Found before a test moves HOME, where the built programs lie."""
    return binaries.path("age")


def test_a_wrong_passphrase_opens_nothing(age_program: Path, witness: Witness) -> None:
    identity = witness.shell.write("identity", f"{witness.sealed.identity}\n")
    words = [("Enter passphrase", "right horse"), ("Confirm passphrase", "right horse")]
    locked = witness.shell.folder / "keys.txt"
    code, shown = terminals.run([age_program, "-p", "-o", locked, identity], words, cwd=witness.shell.folder)
    assert code == 0, shown
    identity.unlink()
    witness.shell.env("SOPS_AGE_KEY", None)
    witness.shell.env("SOPS_AGE_KEY_FILE", str(locked))
    before = witness.listing()
    for command in ("decrypt in place", "set", "rotate"):
        arguments = [*processes.AGENT, *commands(NAME)[command]]
        code, shown = terminals.run(arguments, [("keys.txt:", "wrong canary-of-text")], cwd=witness.shell.folder)
        assert code == 128
        assert "the passphrase is wrong" in shown
        assert not witness.canaries.search_text(shown, "terminal")
        detached = subprocess.run(
            arguments,
            cwd=witness.shell.folder,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            check=False,
            start_new_session=True,
        )
        assert detached.returncode == 128
        assert b"there is no terminal to ask" in detached.stderr
    assert witness.listing() == before
