"""What people do by mistake with Secrets and Git: chosen for them, refused, or warned of."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Result, Shell

SECRET = """\
apiVersion: v1
kind: Secret
metadata:
  name: db
  labels: {app: shop}
stringData:
  password: canary
"""
OTHER = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: shop}\n"
LAST = '  annotations: {kubectl.kubernetes.io/last-applied-configuration: \'{"stringData":{"password":"canary"}}\'}\n'


def encrypt(shell: Shell, text: str, *arguments: str, name: str = "s.yaml") -> Result:
    return shell.agent(
        "encrypt", "--age", shell.recipient, *arguments, "--filename-override", name, stdin=text.encode()
    )


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (SECRET, "s.yaml"),
        (f"{SECRET}---\n{SECRET}", "s.yaml"),
        ('{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "data": {"a": "canary"}}', "s.json"),
        ("apiVersion: v1\nkind: List\nitems:\n  - {apiVersion: v1, kind: Secret, data: {a: canary}}\n", "s.yaml"),
    ],
)
def test_of_a_secret_only_its_values_are_encrypted(shell: Shell, text: str, name: str) -> None:
    made = encrypt(shell, text, name=name)
    assert made.code == 0, made.err
    assert b"canary" not in made.out
    assert b"Secret" in made.out
    assert b"^(data|stringData)$" in made.out
    assert "only data and stringData are encrypted" in made.err
    shell.write(name, made.out)
    assert b"canary" in shell.sops("decrypt", name).out


@pytest.mark.parametrize(
    ("flags", "clear"),
    [
        (("--encrypted-regex", "^password$"), b"name: db"),
        (("--unencrypted-suffix", "_unencrypted"), b""),
        (("--unencrypted-regex", "^(apiVersion|kind)$"), b"kind: Secret"),
    ],
)
def test_a_selection_by_flag_or_rule_wins(shell: Shell, flags: tuple[str, str], clear: bytes) -> None:
    made = encrypt(shell, SECRET, *flags)
    assert made.code == 0
    assert clear in made.out
    assert b"data|stringData" not in made.out
    assert made.err == ""
    flag, pattern = flags
    shell.write(".sops.yaml", f"creation_rules:\n  - {flag.removeprefix('--').replace('-', '_')}: {pattern}\n")
    if pattern != "_unencrypted":
        assert b"data|stringData" not in encrypt(shell, SECRET).out


@pytest.mark.parametrize("text", [f"{SECRET}---\n{OTHER}", f"{SECRET}---\na: 1\n"])
def test_a_file_of_more_than_secrets_is_encrypted_whole(shell: Shell, text: str) -> None:
    made = encrypt(shell, text)
    assert made.code == 0
    assert b"kind: Secret" not in made.out
    assert "more than Kubernetes Secrets" in made.err


def test_the_mac_alone_may_be_chosen(shell: Shell) -> None:
    made = encrypt(shell, SECRET, "--mac-only-encrypted")
    assert b"^(data|stringData)$" in made.out
    shell.write("s.yaml", made.out.replace(b"name: db", b"name: other"))
    assert shell.sops("decrypt", "s.yaml").code == 0


def test_a_copy_that_kubectl_left_is_refused(shell: Shell) -> None:
    text = SECRET.replace("stringData:\n", f"{LAST}stringData:\n")
    refused = encrypt(shell, text)
    assert (refused.code, refused.out) == (1, b"")
    assert "last-applied-configuration" in refused.err
    assert "canary" not in refused.err
    assert encrypt(shell, text, "--unencrypted-regex", "^(kind|name)$").err == ""
    asked = encrypt(shell, text, "--encrypted-regex", "^stringData$")
    assert asked.code == 0
    assert "last-applied-configuration of the Secret holds its values in the clear" in asked.err


def test_encrypted_values_without_their_entry_are_not_encrypted_again(shell: Shell) -> None:
    data = encrypt(shell, "a: canary\nb: 1\n").out
    cut = data[: data.index(b"sops:")]
    path = shell.write("s.yaml", cut)
    refused = shell.agent("encrypt", "-i", "--age", shell.recipient, "s.yaml")
    assert refused.code == 203
    assert "s.yaml:1" in refused.err
    assert path.read_bytes() == cut
    assert encrypt(shell, "a: see ENC[AES256_GCM, in the docs\n").code == 0
    binary = encrypt(shell, "canary", name="blob").out
    shell.write("blob", binary)
    assert shell.agent("encrypt", "-i", "--age", shell.recipient, "blob").code == 203


def test_a_selection_that_meets_nothing_is_warned_of(shell: Shell) -> None:
    assert "nothing of s.yaml is encrypted" in encrypt(shell, SECRET, "--encrypted-regex", "^passwrod$").err
    two = encrypt(shell, f"{SECRET}---\n{SECRET}", "--encrypted-suffix", "_secret")
    assert "nothing of s.yaml is encrypted: encrypted_suffix _secret leaves all of it clear" in two.err
    assert encrypt(shell, SECRET, "--encrypted-regex", "^password$").err == ""


def test_plaintext_that_git_may_take_is_warned_of(shell: Shell) -> None:
    shell.write("s.yaml", SECRET)
    made = ("encrypt", "--age", shell.recipient, "--output", "s.enc.yaml", "s.yaml")
    assert "in the clear" not in shell.agent(*made).err
    subprocess.run(["git", "init", "-q"], cwd=shell.folder, check=True)
    assert "s.yaml is in the clear, and Git does not ignore it" in shell.agent(*made).err
    shown = shell.agent("decrypt", "--output", "plain.yaml", "s.enc.yaml")
    assert (shown.code, "plain.yaml is in the clear" in shown.err) == (0, True)
    shell.write(".gitignore", "s.yaml\nplain.yaml\n")
    assert "in the clear" not in shell.agent(*made).err
    assert "in the clear" not in shell.agent("decrypt", "--output", "plain.yaml", "s.enc.yaml").err
    subprocess.run(["git", "add", "-f", "s.yaml"], cwd=shell.folder, check=True)
    assert "s.yaml is in the clear" in shell.agent(*made).err


def test_recipients_that_are_not_the_rules_are_warned_of_where_the_file_is_changed(shell: Shell) -> None:
    shell.write("s.yaml", encrypt(shell, "a: canary\n").out)
    shell.write("editor.sh", '#!/bin/sh\nsed -i s/canary/other/ "$1"\n').chmod(0o700)
    shell.env("SOPS_EDITOR", str(shell.folder / "editor.sh"))
    commands = [("edit", "s.yaml"), ("set", "s.yaml", '["a"]', '"b"'), ("rotate", "-i", "s.yaml")]
    for rules, warned in [
        (f"creation_rules:\n  - age: {shell.recipient}\n", False),
        ("creation_rules:\n  - path_regex: elsewhere\n    age: age1x\n", False),
        ("creation_rules:\n  - pgp: '85D77543B3D624B63CEA9E6DBC17301B491B3F21'\n", True),
    ]:
        shell.write(".sops.yaml", rules)
        assert shell.agent("set", "s.yaml", '["a"]', '"canary"').code == 0
        for command in commands:
            done = shell.agent(*command)
            assert done.code == 0, done.err
            assert ("the recipients of s.yaml are not those of .sops.yaml (missing pgp 85D7" in done.err) is warned
            assert b"recipients" not in done.out
            assert "canary" not in done.err
        assert shell.agent("decrypt", "s.yaml").err == ""
