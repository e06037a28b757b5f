"""The user's age identities are found where sops finds them; sops and the command open what the other made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from agent.adapters.keys import age
from agent.cli.keys.age_sources import UserAgeKeys
from agent.sops.format.keys import AgeRecipient, short_name_of
from agent.values.reveal import reveal
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from conftest import Shell

PLAIN = b"a: hunter2\n"


def ssh_key(key: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey, *, passphrase: str = "") -> tuple[str, str]:
    lock = serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, lock)
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return public.decode(), private.decode()


def age_key(*, hybrid: bool = False) -> tuple[str, str]:
    recipient, identity = age.generate(hybrid=hybrid)
    return recipient, str(reveal(identity))


def home(shell: Shell) -> Path:
    return shell.folder.parent / "home"


def script(shell: Shell, name: str, text: str) -> str:
    path = shell.write(name, f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)
    return str(path)


def in_variable(shell: Shell, text: str) -> None:
    shell.env("SOPS_AGE_KEY", text)


def in_file(shell: Shell, text: str) -> None:
    shell.env("SOPS_AGE_KEY_FILE", str(shell.write("../keys.txt", f"# a comment\n{text}\n")))


def by_command(shell: Shell, text: str) -> None:
    shell.write("../keys.txt", text)
    shell.env(
        "SOPS_AGE_KEY_CMD", script(shell, "../keys", f'test -n "$SOPS_AGE_RECIPIENT" && cat {shell.folder}/../keys.txt')
    )


def in_home(shell: Shell, text: str) -> None:
    shell.write(str(home(shell) / ".config/sops/age/keys.txt"), text)


def in_xdg(shell: Shell, text: str) -> None:
    shell.env("XDG_CONFIG_HOME", str(shell.folder.parent / "config"))
    shell.write("../config/sops/age/keys.txt", text)


def in_ssh_file(shell: Shell, text: str) -> None:
    shell.env("SOPS_AGE_SSH_PRIVATE_KEY_FILE", str(shell.write("../ssh key", text)))


def by_ssh_command(shell: Shell, text: str) -> None:
    shell.write("../id", text)
    shell.env("SOPS_AGE_SSH_PRIVATE_KEY_CMD", f"cat '{shell.folder}/../id'")


def as_id_ed25519(shell: Shell, text: str) -> None:
    shell.write(str(home(shell) / ".ssh/id_ed25519"), text)


def as_id_rsa(shell: Shell, text: str) -> None:
    shell.write(str(home(shell) / ".ssh/id_rsa"), text)


@pytest.fixture(scope="module")
def keys() -> Mapping[str, tuple[str, str]]:
    return {
        "x25519": age_key(),
        "hybrid": age_key(hybrid=True),
        "ed25519": ssh_key(ed25519.Ed25519PrivateKey.generate()),
        "rsa": ssh_key(rsa.generate_private_key(65537, 2048)),
    }


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        *(("x25519", place) for place in (in_variable, in_file, by_command, in_home, in_xdg)),
        *(("hybrid", place) for place in (in_variable, in_file)),
        *(("ed25519", place) for place in (in_ssh_file, by_ssh_command, as_id_ed25519)),
        *(("rsa", place) for place in (in_ssh_file, as_id_rsa)),
    ],
)
def test_an_identity_of_each_kind_in_each_place(
    shell: Shell, keys: Mapping[str, tuple[str, str]], kind: str, place: Callable[[Shell, str], None]
) -> None:
    recipient, identity = keys[kind]
    shell.env("SOPS_AGE_KEY", None)
    shell.write("ours.yaml", PLAIN)
    shell.write("theirs.yaml", PLAIN)
    shell.env("SOPS_AGE_RECIPIENTS", recipient)
    assert shell.agent("encrypt", "-i", "ours.yaml").code == 0
    assert shell.sops("encrypt", "-i", "theirs.yaml").code == 0
    none = shell.agent("decrypt", "theirs.yaml")
    assert none.code == 128
    assert f"age {short_name_of(AgeRecipient(recipient))}: no age identity is available (set SOPS_AGE_" in none.err
    place(shell, identity)
    assert shell.sops("decrypt", "ours.yaml").out == PLAIN
    assert shell.agent("decrypt", "ours.yaml").out == PLAIN
    assert shell.agent("decrypt", "theirs.yaml").out == PLAIN


def test_recipients_of_all_kinds_in_one_file(shell: Shell, keys: Mapping[str, tuple[str, str]]) -> None:
    shell.env("SOPS_AGE_KEY", None)
    shell.env("SOPS_AGE_RECIPIENTS", ",".join(recipient for recipient, _ in keys.values()))
    shell.write("s.yaml", PLAIN)
    assert shell.agent("encrypt", "-i", "s.yaml").code == 0
    for kind in ("x25519", "hybrid"):
        shell.env("SOPS_AGE_KEY", keys[kind][1])
        assert (shell.sops("decrypt", "s.yaml").out, shell.agent("decrypt", "s.yaml").out) == (PLAIN, PLAIN)
    shell.env("SOPS_AGE_KEY", None)
    as_id_rsa(shell, keys["rsa"][1])
    assert (shell.sops("decrypt", "s.yaml").out, shell.agent("decrypt", "s.yaml").out) == (PLAIN, PLAIN)


@pytest.mark.parametrize(
    "recipient", ["nonsense", "age1xyz", "ssh-ed25519 AAAA", "age1tag1xyz", "age1nosuchplugin1qwerty"]
)
def test_what_is_no_recipient_has_the_exit_code_of_sops(shell: Shell, recipient: str) -> None:
    shell.write("s.yaml", PLAIN)
    assert (
        shell.agent("encrypt", "--age", recipient, "s.yaml").code
        == shell.sops("encrypt", "-a", recipient, "s.yaml").code
    )


def test_what_could_not_be_read_is_reported(shell: Shell, keys: Mapping[str, tuple[str, str]]) -> None:
    recipient, _ = keys["x25519"]
    made = shell.agent("encrypt", "--age", recipient, "--filename-override", "s.yaml", stdin=PLAIN)
    shell.write("s.yaml", made.out)
    shell.env("SOPS_AGE_KEY_FILE", "/no/such/file")
    in_home(shell, "canary\n")
    shell.env("SOPS_AGE_KEY_CMD", "false")
    result = shell.agent("decrypt", "s.yaml")
    assert result.code == 128
    assert (
        "no matching private key: none of the age identities belongs to this recipient (unused /no/such/file: the file"
        in result.err
    )
    assert "keys.txt:1: not an age identity; SOPS_AGE_KEY_CMD: the command failed (exit 1))" in result.err
    assert "canary" not in result.err


def test_a_command_is_run_once_for_a_recipient(shell: Shell, keys: Mapping[str, tuple[str, str]]) -> None:
    shell.env("SOPS_AGE_KEY", None)
    shell.write("keys.txt", keys["x25519"][1])
    shell.env("SOPS_AGE_KEY_CMD", script(shell, "keys", "echo $SOPS_AGE_RECIPIENT >> runs; cat keys.txt"))
    masters, data_key = UserAgeKeys(), Secret(b"x" * 32, "data key")
    wrapped = [masters.wrap(AgeRecipient(keys["x25519"][0]), data_key, created_at="") for _ in range(3)]
    assert [masters.unwrap(each) for each in wrapped] == [data_key] * 3
    assert (shell.folder / "runs").read_text() == f"{keys['x25519'][0]}\n"
