"""`agent verify`: what it finds with a key and without, its exit codes, and that it shows and changes nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Result, Shell

PLAIN = "a: canary\nb_unencrypted: two\nc: 3\n"


def sealed(shell: Shell, text: str = PLAIN) -> bytes:
    shell.write("made.yaml", text)
    made = shell.sops("encrypt", "--age", shell.recipient, "made.yaml")
    assert made.code == 0, made.err
    (shell.folder / "made.yaml").unlink()
    return made.out


def report(result: Result) -> dict[str, Any]:
    return {line["file"]: line for line in json.loads(result.out)["files"]}


def test_a_sound_file_with_a_key_and_without(shell: Shell) -> None:
    data = sealed(shell)
    path = shell.write("s.yaml", data)
    line = report(shell.agent("verify", "-o", "json", "s.yaml"))["s.yaml"]
    assert (line["result"], line["mac"], line["errors"]) == ("sound", "verified", [])
    assert [(each["reason"], each["fields"]) for each in line["warnings"]] == [("ClearValues", "b_unencrypted")]
    assert line["opened_by"] == [f"age {shell.recipient}"]
    offline = report(shell.agent("verify", "--offline", "-o", "json", "s.yaml"))["s.yaml"]
    assert (offline["mac"], offline["opened_by"]) == ("not verified", [])
    assert offline["recipients"] == [[f"age {shell.recipient}"]]
    shell.env("SOPS_AGE_KEY", None)
    without = shell.agent("verify", "s.yaml")
    assert without.code == 0
    assert "not verified" in without.out.decode()
    required = shell.agent("verify", "--require-mac", "s.yaml")
    assert required.code == 128
    assert "no key opens the data key" in required.out.decode()
    assert path.read_bytes() == data


def test_no_key_is_asked_offline(shell: Shell) -> None:
    shell.write("s.yaml", sealed(shell))
    script = shell.write("cmd.sh", f"#!/bin/sh\ntouch {shell.folder}/asked\n")
    script.chmod(0o700)
    shell.env("SOPS_AGE_KEY_CMD", str(script))
    assert shell.agent("verify", "--no-key", "s.yaml").code == 0
    assert not (shell.folder / "asked").exists()


CASES = [
    ("altered", 51, "the file was altered after it was encrypted"),
    ("no mac", 51, "the file has no MAC"),
    ("plaintext", 1, "value is not encrypted, though the file's rule says so"),
    ("swapped", 25, "value does not open with the file's data key"),
    ("stripped", 1, "an encrypted value in a file without sops metadata"),
    ("cut off", 1, "a field of the file's metadata is malformed"),
    ("broken", 2, "the top level of a SOPS file is a map"),
    ("plain", 1, "the file has no sops metadata"),
    ("none", 100, "no such file"),
]


@pytest.mark.parametrize(("kind", "code", "message"), CASES, ids=[kind for kind, _, _ in CASES])
def test_every_finding_has_its_exit_code_and_shows_no_value(shell: Shell, kind: str, code: int, message: str) -> None:
    text = sealed(shell).decode()
    lines = text.splitlines()
    a = next(line for line in lines if line.startswith("a:"))
    c = next(line for line in lines if line.startswith("c:"))
    damaged = {
        "altered": text.replace("b_unencrypted: two", "b_unencrypted: canary"),
        "no mac": "\n".join(line for line in lines if not line.strip().startswith("mac:")),
        "plaintext": text.replace(a, "a: canary"),
        "swapped": text.replace(a, "a" + c[1:]).replace(c, "c" + a[1:]),
        "stripped": text[: text.index("sops:")],
        "cut off": text[: text.index("recipient:")],
        "broken": "[" + text,
        "plain": PLAIN,
    }
    if kind in damaged:
        shell.write("s.yaml", damaged[kind])
    table, programs = shell.agent("verify", "s.yaml"), shell.agent("verify", "-o", "json", "s.yaml")
    assert table.code == programs.code == code
    assert json.loads(programs.out)["exit_code"] == code
    assert message in table.out.decode()
    assert message in programs.out.decode()
    assert "canary" not in table.out.decode() + table.err + programs.out.decode() + programs.err
    if kind in {"plaintext", "stripped", "no mac", "plain", "none"}:
        assert shell.agent("verify", "--offline", "s.yaml").code == code


def test_a_tree_is_verified_file_by_file_and_the_first_unsound_one_decides(shell: Shell) -> None:
    data = sealed(shell)
    shell.write("t/1.yaml", data)
    shell.write("t/2.yaml", data.replace(b"b_unencrypted: two", b"b_unencrypted: 2"))
    shell.write("t/3.yaml", data[: data.index(b"sops:")])
    shell.write("t/plain.yaml", PLAIN)
    shell.write("t/notes.md", b"`" + data[3:80] + b"`")
    shell.write("t/template.yaml", b"{{ if x }}\n" + data[: data.index(b"sops:")])
    result = shell.agent("verify", "-o", "json", "t")
    assert {name: line["result"] for name, line in report(result).items()} == {
        "t/1.yaml": "sound",
        "t/2.yaml": "unsound",
        "t/3.yaml": "unsound",
    }
    assert result.code == 51
    assert shell.agent("verify", "t/plain.yaml").code == 1
    assert shell.agent("verify").code == 100


def test_recipients_that_are_not_the_rules_any_more(shell: Shell) -> None:
    shell.write("s.yaml", sealed(shell))
    rules = shell.write(".sops.yaml", f"creation_rules:\n  - age: {shell.recipient}\n")
    assert shell.agent("verify", "s.yaml").code == 0
    other = shell.agent("keygen", "-o", "other.txt").err.split()[-1]
    rules.write_text(f"creation_rules:\n  - path_regex: s.yaml\n    age: {other}\n")
    result = shell.agent("verify", "-o", "json", "s.yaml")
    assert result.code == 1
    [error] = report(result)["s.yaml"]["errors"]
    assert (error["missing"], error["extra"]) == (f"age {other}", f"age {shell.recipient}")
    assert "agent updatekeys" in error["hint"]
    rules.write_text(f"creation_rules:\n  - path_regex: elsewhere\n    age: {other}\n")
    unruled = shell.agent("verify", "s.yaml")
    assert unruled.code == 0
    assert "no creation rule matches" in unruled.err


@pytest.mark.parametrize(
    ("name", "text"),
    [("s.json", '{"a": "canary"}'), ("s.env", "a=canary\n"), ("s.ini", "[x]\na = canary\n"), ("blob", "canary")],
)
def test_files_of_every_type(shell: Shell, name: str, text: str) -> None:
    shell.write(name, text)
    assert shell.sops("encrypt", "-i", "--age", shell.recipient, name).code == 0
    line = report(shell.agent("verify", "-o", "json", "."))[name]
    assert (line["result"], line["mac"]) == ("sound", "verified")
    data = (shell.folder / name).read_bytes()
    value = next(part for part in data.decode().replace('"', " ").split() if "ENC[" in part)
    shell.write(name, data.replace(value.encode(), value.replace("data:", "data:AAAA").encode()))
    assert shell.agent("verify", "--offline", name).code == 0
    assert shell.agent("verify", name).code in {25, 51}


def test_a_file_of_key_groups_names_whom_it_takes(shell: Shell) -> None:
    keys = [shell.agent("keygen", "-o", f"{name}.txt").err.split()[-1] for name in "ab"]
    groups = "".join(f"      - age: [{key}]\n" for key in (shell.recipient, *keys))
    shell.write(".sops.yaml", f"creation_rules:\n  - shamir_threshold: 2\n    key_groups:\n{groups}")
    shell.write("s.yaml", PLAIN)
    assert shell.sops("encrypt", "-i", "s.yaml").code == 0
    line = report(shell.agent("verify", "-o", "json", "s.yaml"))["s.yaml"]
    assert (line["mac"], line["errors"]) == ("not verified", [])
    assert "too few key groups" in line["mac_cause"]["message"]
    shell.env("SOPS_AGE_KEY_FILE", str(shell.folder / "a.txt"))
    line = report(shell.agent("verify", "-o", "json", "s.yaml"))["s.yaml"]
    assert line["mac"] == "verified"
    assert line["opened_by"] == [f"age {shell.recipient}", f"age {keys[0]}"]
    shell.write(".sops.yaml", f"creation_rules:\n  - shamir_threshold: 3\n    key_groups:\n{groups}")
    changed = report(shell.agent("verify", "-o", "json", "s.yaml"))["s.yaml"]
    assert [error["groups"] for error in changed["errors"]] == ["differ"]
