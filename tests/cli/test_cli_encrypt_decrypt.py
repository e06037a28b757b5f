"""`agent encrypt` and `agent decrypt` in place of sops: flags, files, exit codes."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Shell

SECRET = """\
apiVersion: v1
kind: Secret
metadata:
    name: db
stringData:
    password: canary-hunter2
    list:
        - one
        - 2
"""
REGEX = ("--encrypted-regex", "^(data|stringData)$")


def test_sops_reads_what_is_encrypted_and_the_other_way_round(shell: Shell) -> None:
    shell.write("s.yaml", SECRET)
    assert shell.agent("encrypt", "-i", "--age", shell.recipient, *REGEX, "s.yaml").code == 0
    text = (shell.folder / "s.yaml").read_text()
    assert "name: db" in text
    assert "canary" not in text
    assert shell.sops("decrypt", "s.yaml").out.decode() == SECRET
    assert shell.agent("decrypt", "s.yaml").out.decode() == SECRET
    shell.write("t.yaml", SECRET)
    assert shell.sops("encrypt", "-i", "--age", shell.recipient, "t.yaml").code == 0
    assert shell.agent("decrypt", "-i", "t.yaml").code == 0
    assert (shell.folder / "t.yaml").read_text() == SECRET


def test_types_by_flag_and_from_one_to_the_other(shell: Shell) -> None:
    shell.write("s.txt", SECRET)
    made = shell.agent("encrypt", "--age", shell.recipient, "--input-type", "yaml", "--output-type", "json", "s.txt")
    assert json.loads(made.out)["sops"]["version"] == "3.13.3"
    shell.write("s.json", made.out)
    printed = shell.agent("decrypt", "--output-type", "yaml", "s.json")
    assert printed.out == shell.sops("decrypt", "--output-type", "yaml", "s.json").out
    assert printed.out.decode() == SECRET


def test_standard_input_and_output_files(shell: Shell) -> None:
    made = shell.agent("encrypt", "--age", shell.recipient, "--filename-override", "x/s.yaml", stdin=SECRET.encode())
    assert made.code == 0
    assert shell.agent("decrypt", "--output", "plain.yaml", stdin=made.out).out == b""
    assert (shell.folder / "plain.yaml").read_text() == SECRET


@pytest.mark.parametrize(
    "path", ['["stringData"]["password"]', '["stringData"]["list"]', "['stringData']", '["stringData"]["list"][1]']
)
def test_one_value_can_be_extracted(shell: Shell, path: str) -> None:
    shell.write("s.yaml", SECRET)
    shell.agent("encrypt", "-i", "--age", shell.recipient, "s.yaml")
    ours, theirs = (
        shell.agent("decrypt", "--extract", path, "s.yaml"),
        shell.sops("decrypt", "--extract", path, "s.yaml"),
    )
    assert (ours.code, ours.out) == (0, theirs.out)


def test_the_rules_of_the_next_sops_yaml_upwards(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.write(
        ".sops.yaml",
        f"creation_rules:\n  - path_regex: ^prod/s\n    age: {shell.recipient}\n    encrypted_suffix: word\nstores: {{yaml: {{indent: 2}}}}\n",
    )
    shell.write("prod/s.yaml", SECRET)
    monkeypatch.chdir(shell.folder / "prod")
    made = shell.agent("encrypt", "s.yaml")
    assert made.code == 0
    assert b"\n  name: db\n" in shell.agent("encrypt", "--sops-format", "s.yaml").out
    assert b"password: ENC[" in made.out
    assert b"encrypted_suffix: word" in made.out
    assert shell.agent("encrypt", "--filename-override", "other.yaml", stdin=b"a: 1\n").code == 1
    # Keys by flag replace the rule's; its selector stays.
    assert b"encrypted_suffix: word" in shell.agent("encrypt", "--age", shell.recipient, "s.yaml").out
    shell.env("SOPS_AGE_RECIPIENTS", "age1nonsense")
    assert shell.agent("encrypt", "s.yaml").code == 1
    shell.env("SOPS_CONFIG", str(shell.write("elsewhere.yaml", "creation_rules: []\n")))
    assert shell.agent("encrypt", "--age", shell.recipient, "s.yaml").code == 1
    shell.env("SOPS_CONFIG", str(shell.write("elsewhere.yaml", "creation_rules:\n")))
    assert shell.agent("encrypt", "--age", shell.recipient, "s.yaml").code == 0


def test_the_wrong_name_of_the_rules_is_noticed(shell: Shell) -> None:
    shell.write(".sops.yml", "creation_rules: []\n")
    assert "must be called .sops.yaml" in shell.agent("encrypt", "--filename-override", "s.yaml", stdin=b"a: 1\n").err


def test_a_file_is_replaced_at_once_and_keeps_its_mode(shell: Shell) -> None:
    path = shell.write("s.yaml", SECRET)
    path.chmod(0o640)
    (shell.folder / "link.yaml").symlink_to("s.yaml")
    assert shell.agent("encrypt", "-i", "--age", shell.recipient, "link.yaml").code == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert (shell.folder / "link.yaml").is_symlink()
    assert sorted(each.name for each in shell.folder.iterdir()) == ["link.yaml", "s.yaml"]


def test_keys_are_found_where_sops_finds_them(shell: Shell) -> None:
    shell.write("s.yaml", SECRET)
    shell.agent("encrypt", "-i", "--age", shell.recipient, "s.yaml")
    shell.env("SOPS_AGE_KEY", None)
    assert shell.agent("decrypt", "s.yaml").code == 128
    home = shell.folder.parent / "home"
    key = shell.write(str(home / "key.txt"), f"# my key\n{shell.identity}\n")
    shell.env("SOPS_AGE_KEY_FILE", str(key))
    assert shell.agent("decrypt", "s.yaml").code == 0
    shell.env("SOPS_AGE_KEY_FILE", None)
    script = shell.write("cmd.sh", f'#!/bin/sh\n[ "$SOPS_AGE_RECIPIENT" = {shell.recipient} ] && cat {key}\n')
    script.chmod(0o700)
    shell.env("SOPS_AGE_KEY_CMD", str(script))
    assert shell.agent("decrypt", "s.yaml").code == 0
    shell.env("SOPS_AGE_KEY_CMD", "/no/such/command")
    assert "SOPS_AGE_KEY_CMD: the command does not start" in shell.agent("decrypt", "s.yaml").err
    shell.env("SOPS_AGE_KEY_CMD", None)
    shell.write(str(home / ".config/sops/age/keys.txt"), shell.identity)
    assert shell.agent("decrypt", "s.yaml").code == 0


EXITS: list[tuple[int, tuple[str, ...]]] = [
    (1, ("encrypt", "--age", "RECIPIENT,", "plain.yaml")),
    (1, ("encrypt", "--azure-kv", "https://vault", "plain.yaml")),
    (6, ("encrypt", "--kms", "arn:aws:kms:x", "--encryption-context", "x", "plain.yaml")),
    (1, ("decrypt", "--no-such-flag")),
    (2, ("encrypt", "--age", "RECIPIENT", "broken.yaml")),
    (2, ("encrypt", "--age", "RECIPIENT", "folder.yaml")),
    (2, ("encrypt", "--age", "RECIPIENT", "list.yaml")),
    (2, ("encrypt", "--age", "RECIPIENT", "plain.env")),
    (1, ("encrypt", "--age", "RECIPIENT", "--encrypted-regex", "(", "plain.yaml")),
    (3, ("decrypt", "--output", "no/such/folder/out", "secret.yaml")),
    (8, ("encrypt", "--age", "RECIPIENT", "-i", "--output", "x", "plain.yaml")),
    (8, ("encrypt", "--age", "RECIPIENT")),
    (8, ("decrypt", "-i")),
    (8, ("encrypt", "--age", "RECIPIENT", "--encrypted-regex", "a", "--encrypted-suffix", "b", "plain.yaml")),
    (23, ("encrypt", "--age", "RECIPIENT", "keys.yaml")),
    (25, ("decrypt", "moved.yaml")),
    (51, ("decrypt", "changed.yaml")),
    (91, ("decrypt", "--extract", "a.b", "secret.yaml")),
    (1, ("decrypt", "--extract", '["none"]', "secret.yaml")),
    (92, ("encrypt", "--age", "RECIPIENT", "empty.yaml")),
    (100, ("decrypt", "none.yaml")),
    (100, ("edit",)),
    (1, ("encrypt", "plain.yaml")),
    (112, ("decrypt", "--decryption-order", "age,age", "secret.yaml")),
    (128, ("decrypt", "foreign.yaml")),
    (203, ("encrypt", "--age", "RECIPIENT", "secret.yaml")),
]


@pytest.mark.parametrize(("code", "arguments"), EXITS, ids=[f"{code} {' '.join(each)}" for code, each in EXITS])
def test_every_error_has_its_exit_code_and_no_plaintext(shell: Shell, code: int, arguments: tuple[str, ...]) -> None:
    shell.write("plain.yaml", "a: canary\n")
    shell.write("plain.env", "canary without an equals sign\n")
    shell.write("broken.yaml", "canary: [canary\n")
    shell.write("list.yaml", "- canary\n")
    shell.write("keys.yaml", "1: canary\n")
    shell.write("empty.yaml", "")
    (shell.folder / "folder.yaml").mkdir()
    secret = shell.agent(
        "encrypt", "--age", shell.recipient, *REGEX, "--filename-override", "s.yaml", stdin=SECRET.encode()
    )
    text = secret.out.decode()
    shell.write("secret.yaml", text)
    shell.write("changed.yaml", text.replace("name: db", "name: canary"))
    shell.write("moved.yaml", text.replace("password:", "passphrase:"))
    foreign = shell.agent("keygen", "-o", "foreign.txt").err.split()[-1]
    shell.write("foreign.yaml", shell.agent("encrypt", "--age", foreign, "plain.yaml").out)
    result = shell.agent(*(shell.recipient if each == "RECIPIENT" else each for each in arguments))
    assert result.code == code, result.err
    assert result.out == b""
    assert result.err.startswith("agent")
    assert "canary" not in result.err
    assert "Traceback" not in result.err
    assert "internal error" not in result.err


def test_an_altered_file_can_be_looked_at_when_asked_for(shell: Shell) -> None:
    shell.write(
        "s.yaml",
        shell.agent(
            "encrypt", "--age", shell.recipient, *REGEX, "--filename-override", "s.yaml", stdin=SECRET.encode()
        ).out,
    )
    path = shell.folder / "s.yaml"
    path.write_text(path.read_text().replace("name: db", "name: other"))
    assert shell.agent("decrypt", "s.yaml").code == 51
    assert b"name: other" in shell.agent("decrypt", "--ignore-mac", "s.yaml").out


def test_hostile_text_of_a_file_moves_no_cursor(shell: Shell) -> None:
    text = shell.agent(
        "encrypt", "--age", shell.recipient, "--filename-override", "s.yaml", stdin=b"a: 1\n"
    ).out.decode()
    shell.write("s.yaml", text.replace(shell.recipient, '"age1\\e[2J\\u202e"'))
    shell.env("SOPS_AGE_KEY", None)
    result = shell.agent("decrypt", "s.yaml")
    assert result.code == 128
    assert "\x1b" not in result.err
    assert "\u202e" not in result.err
