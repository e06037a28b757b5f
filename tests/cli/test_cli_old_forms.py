"""Command lines as sops took them before it had commands, and in Go's spellings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Shell


@pytest.fixture(autouse=True)
def files(shell: Shell) -> None:
    shell.write(
        "s.yaml",
        shell.agent(
            "encrypt", "--age", shell.recipient, "--filename-override", "s.yaml", stdin=b"a: one\nb:\n    - 1\n"
        ).out,
    )
    shell.write("plain.yaml", "c: 1\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["-d", "s.yaml"],
        ["--decrypt", "s.yaml"],
        ["-decrypt", "s.yaml"],
        ["--d", "s.yaml"],
        ["-d=true", "s.yaml"],
        ["-d", "--extract", '["b"][0]', "s.yaml"],
        ["-extract", '["a"]', "-d", "s.yaml"],
        ["-d", "-output-type=json", "s.yaml"],
        ["-d", "--in-place=false", "s.yaml"],
        ["--verbose", "--disable-version-check", "-d", "--", "s.yaml"],
        ["--enable-local-keyservice", "decrypt", "s.yaml"],
        ["decrypt", "--enable-local-keyservice=true", "-extract", '["a"]', "s.yaml"],
        ["--indent", "3", "-d", "--output-type", "json", "s.yaml"],
        ["-d", "s.yaml", "plain.yaml"],
    ],
    ids=" ".join,
)
def test_a_file_is_decrypted_as_by_sops(shell: Shell, arguments: list[str]) -> None:
    theirs, ours = shell.sops(*arguments), shell.agent(*arguments)
    assert (ours.code, ours.out) == (theirs.code, theirs.out), ours.err


def test_encrypt_rotate_set_and_edit(shell: Shell) -> None:
    made = shell.agent("-e", "-age", shell.recipient, "--encrypted-regex", "^x", "plain.yaml")
    assert b"c: 1\n" in made.out
    assert shell.agent("--encrypt", "--in-place", "-a", shell.recipient, "plain.yaml").code == 0
    assert shell.sops("-d", "plain.yaml").out == b"c: 1\n"
    before = (shell.folder / "s.yaml").read_bytes()
    assert shell.agent("-r", "s.yaml").out != before
    assert (shell.folder / "s.yaml").read_bytes() == before
    assert shell.agent("-i", "-r", "s.yaml").code == 0
    assert shell.agent("--set", '["a"] "two ] \\" three"', "s.yaml").code == 0
    assert shell.agent("-set", '["n"]["m"] -5', "-i", "s.yaml").code == 0
    assert shell.sops("-d", "s.yaml").out == b'a: two ] " three\nb:\n    - 1\n"n":\n    m: -5\n'
    shell.env("EDITOR", "sed -i s/three/four/")
    assert shell.agent("s.yaml").code == 0
    assert shell.agent("-s", "./s.yaml").code == 200
    assert shell.agent("-a", shell.recipient, "new.yaml").code == 200
    shell.env("EDITOR", "sed -i s/example_key/mine/")
    assert shell.agent("-a", shell.recipient, "new.yaml").code == 0
    assert b"mine: " in shell.sops("-d", "new.yaml").out


def test_of_several_forms_the_last_counts(shell: Shell) -> None:
    result = shell.agent("-e", "-d", "s.yaml")
    assert result.out.startswith(b"a: one")
    assert "only --decrypt is done" in result.err


def test_flags_before_a_command(shell: Shell) -> None:
    shell.write("rules.yaml", f"creation_rules:\n  - age: {shell.recipient}\n    encrypted_regex: none\n")
    made = shell.agent("--config", "rules.yaml", "--mac-only-encrypted", "encrypt", "plain.yaml")
    assert b"c: 1\n" in made.out
    assert b"mac_only_encrypted: true" in made.out
    assert shell.agent("--config=rules.yaml", "filestatus", "s.yaml").code == 0
    result = shell.agent("--age", shell.recipient, "encrypt", "plain.yaml")
    assert result.code == 1
    assert "put it after it" in result.err


def test_flags_behind_the_file_and_values_that_look_like_flags(shell: Shell) -> None:
    assert shell.agent("decrypt", "s.yaml", "--extract", '["a"]').out == b"one"
    assert shell.agent("-d", "s.yaml", "--extract", '["a"]').out == b"one"
    assert shell.agent("set", "s.yaml", '["a"]', "-.5e-3").code == 7
    assert shell.agent("set", "s.yaml", '["a"]', "-0.5e-3", "--idempotent").code == 0
    assert shell.agent("decrypt", "--extract", '["a"]', "s.yaml").out.strip() == b"-0.0005"
    assert shell.agent("decrypt", "--output", "-odd.yaml", "s.yaml").code == 0
    assert (shell.folder / "-odd.yaml").exists()


@pytest.mark.parametrize("flag", ["--in-place=perhaps", "-nonsense", "--nonsense"])
def test_what_is_no_flag(shell: Shell, flag: str) -> None:
    for arguments in (["decrypt", flag, "s.yaml"], [flag, "s.yaml"] if "=" not in flag else ["-d", flag, "s.yaml"]):
        result = shell.agent(*arguments)
        assert (result.code, result.out) == (1, b"")
        assert "hint: agent" in result.err


def test_what_is_not_supported_is_said(shell: Shell) -> None:
    for command in ("publish", "keyservice"):
        result = shell.agent(command, "s.yaml")
        assert result.code == 1
        assert "the agent does not" in result.err
    assert "the keys of this machine are used" in shell.agent("decrypt", "--keyservice", "tcp://x", "s.yaml").err
    off = shell.agent("decrypt", "--enable-local-keyservice=false", "s.yaml")
    assert (off.code, off.out) == (128, b"")


@pytest.mark.parametrize("name", ["s.yaml", "plain.yaml"])
def test_the_status_of_a_file(shell: Shell, name: str) -> None:
    ours, theirs = shell.agent("filestatus", name), shell.sops("filestatus", name)
    assert (ours.code, ours.out) == (theirs.code, theirs.out)
    assert json.loads(ours.out) == {"encrypted": name == "s.yaml"}


def test_a_misspelt_command_is_no_file(shell: Shell) -> None:
    result = shell.agent("decypt", "s.yaml")
    assert result.code == 1
    assert "no command 'decypt'" in result.err
