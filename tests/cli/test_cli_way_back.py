"""What is encrypted comes back: values, keys, their order and comments. Where it would not, nothing is written, and something says why."""

from __future__ import annotations

import configparser
import json
from typing import TYPE_CHECKING, Any

import pytest

from agent.cli.files import layout

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Shell

MARKED = "keep:secret"


def encrypted(shell: Shell, name: str, text: str | bytes, *flags: str) -> str:
    shell.write(name, text)
    done = shell.agent("encrypt", "-i", "--age", shell.recipient, *flags, name)
    assert done.code == 0, done.err
    return (shell.folder / name).read_text()


def decrypted(shell: Shell, name: str) -> str:
    done = shell.agent("decrypt", name)
    assert done.code == 0, done.err
    # What the agent writes, sops opens.
    assert shell.sops("decrypt", name).code == 0
    return done.out.decode()


REFUSED = {
    "a comment behind a marker, above an item": (
        "in.yaml",
        "items:\n  # keep:secret\n  # for no reader\n  - real\n",
        "would not open again",
    ),
    "the same in a map of a list": (
        "in.yaml",
        "items:\n  - # keep:secret\n    a: 1\n  # keep:secret\n  # note\n  - b: 1\n",
        "would not open again",
    ),
    "a key twice": ("in.ini", "[s]\na = one\nb = 1\na = two\n", "appears twice"),
    "a backslash that swallows a key": (
        "in.ini",
        "[s]\npath = C:\\\\data\\\\\nuser = x\n",
        "joins it with the next line",
    ),
    "a backslash at the end of the file": ("in.ini", "[s]\npath = C:\\\\data\\\\", "joins it with the next line"),
    "text behind quotes": ("in.ini", "[s]\na = `x` lost\n", "stands behind"),
    "text behind lines in quotes": ("in.ini", '[s]\na = """x\ny""" lost\n', "stands behind"),
    "text behind a header": ("in.ini", "[s] lost\na = 1\n", "stands behind"),
    "comments alone": ("in.ini", "; nothing but this\n", "a comment would be lost"),
    "a large integer of JSON": ("in.json", '{"a": 12345678901234567890123}', "more digits"),
    "a large integer of YAML": ("in.yaml", "a: [12345678901234567890123]\n", "more digits"),
    "a long fraction": ("in.yaml", "a: 0.12345678901234567890\n", "more digits"),
    "half of a character": ("in.json", '{"a": "x\\ud800"}', "half of a character"),
    "bytes that are no text": ("in.json", b'{"a": "caf\xe9"}', "not UTF-8"),
}


@pytest.mark.parametrize(("name", "text", "cause"), REFUSED.values(), ids=REFUSED)
def test_what_would_not_come_back_is_refused(shell: Shell, name: str, text: str | bytes, cause: str) -> None:
    path = shell.write(name, text)
    before = path.read_bytes()
    flags = ["--encrypted-comment-regex", MARKED] if name == "in.yaml" and MARKED in str(text) else []
    done = shell.agent("encrypt", "-i", "--age", shell.recipient, *flags, name)
    assert done.code != 0
    assert cause in done.err
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "text",
    [
        "items:\n  # keep:secret\n  - real\n  - other # keep:secret\n",
        "# keep:secret\na: 1\nb: 2\n",
        "a:\n  # keep:secret\n  # a second one\n  b: x\n  c: y\n",
    ],
)
def test_other_files_whose_comments_choose_come_back(shell: Shell, text: str) -> None:
    encrypted(shell, "in.yaml", text, "--encrypted-comment-regex", MARKED)
    assert decrypted(shell, "in.yaml") == text


INI = """\
[s]
password = ab#cd;ef
color = #fff
quoted = "x # y"
single = 'p;q'
url = http://h/#part ; note
spaced = ; empty, with a note
clear_unencrypted = k#l
last = 1

; the end
# of the file
"""
VALUES = {
    "password": "ab#cd;ef",
    "color": "#fff",
    "quoted": "x # y",
    "single": "p;q",
    "url": "http://h/#part",
    "spaced": "",
    "clear_unencrypted": "k#l",
    "last": "1",
}


def test_marks_within_values_of_an_ini_file_are_theirs(shell: Shell) -> None:
    there = encrypted(shell, "in.ini", INI)
    assert "clear_unencrypted = `k#l`" in there
    assert " note" not in there  # with its space, which no ciphertext has
    back = decrypted(shell, "in.ini")
    for comment in ("; note", "; empty, with a note", "; the end", "# of the file"):
        assert f"{comment}\n" in back
    for source in (back, shell.sops("decrypt", "in.ini").out.decode()):
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_string(source)
        assert {key: value.strip("`") for key, value in parser["s"].items()} == VALUES


@pytest.mark.parametrize("end", ["[t]\n; alone\n", "; after\n", "\n\n; parted\n\n"])
def test_the_last_comments_of_an_ini_file_stay(shell: Shell, end: str) -> None:
    there = encrypted(shell, "in.ini", f"[s]\na = 1\n{end}")
    comment = next(line for line in end.splitlines() if line.startswith(";"))
    assert comment not in there
    assert f"{comment}\n" in decrypted(shell, "in.ini")


NUMBERS = {
    "9007199254740993": "9007199254740993",
    "-9007199254740995": "-9007199254740995",
    "9223372036854775807": "9223372036854775807",
    "9007199254740992": "9007199254740992",
    "5": "5",
    "1.5": "1.5",
    '{"x": 9007199254740993}': '{"x": 9007199254740993}',
}


@pytest.mark.parametrize("number", NUMBERS)
def test_set_keeps_every_digit(shell: Shell, number: str) -> None:
    encrypted(shell, "in.json", '{"a": 1}\n')
    done = shell.agent("set", "in.json", '["b"]', number)
    assert done.code == 0, done.err
    assert json.loads(decrypted(shell, "in.json"))["b"] == json.loads(number)
    assert json.loads(shell.sops("decrypt", "in.json").out)["b"] == json.loads(number)


@pytest.mark.parametrize(
    "number",
    ["9223372036854775808", "-9223372036854775809", "0.12345678901234567890", '{"x": 12345678901234567890123}'],
)
def test_set_refuses_a_number_that_it_would_round(shell: Shell, number: str) -> None:
    before = encrypted(shell, "in.yaml", "a: 1\n")
    done = shell.agent("set", "in.yaml", '["b"]', number)
    assert (done.code, "more digits" in done.err) == (7, True)
    assert (shell.folder / "in.yaml").read_text() == before


@pytest.mark.parametrize(
    ("value", "kind", "cause"),
    [
        ('"\\"\\"\\"`\\n"', "ini", "cannot be written"),
        ('"one\\\\ntwo"', "dotenv", "open as another"),
        (".inf", "json", "cannot be written"),
    ],
)
def test_a_value_without_a_form_once_it_is_decrypted_is_refused(
    shell: Shell, value: str, kind: str, cause: str
) -> None:
    text = f"s:\n  a: {value}\n" if kind == "ini" else f"a: {value}\n"
    shell.write("in.yaml", text)
    done = shell.agent("encrypt", "--age", shell.recipient, "--output-type", kind, "in.yaml")
    assert done.code != 0
    assert done.out == b""
    assert cause in done.err


def test_documents_that_a_type_of_file_has_no_room_for_are_refused(shell: Shell) -> None:
    shell.write("in.yaml", "a: 1\n---\nb: 2\n")
    done = shell.agent("encrypt", "--age", shell.recipient, "--output-type", "json", "in.yaml")
    assert (done.code, done.out) == (23, b"")
    assert "room for one document" in done.err


def test_a_comment_that_sops_layout_loses_is_warned_of(shell: Shell) -> None:
    shell.write(
        "in.yaml", "base: &base # shared\n  # in base\n  a: 1\none:\n  # from base\n  <<: *base # merged\n  b: 2\n"
    )
    done = shell.agent("encrypt", "--sops-format", "--age", shell.recipient, "in.yaml")
    assert done.code == 0
    assert "a comment has no place in sops' layout" in done.err


OTHER = "age1rdzyzk99d4m2vpn2la3krl0646a3kdnuzutcjmu4se9hkepefphsseyy2z"
COMMANDS = {
    "encrypt": ["encrypt", "-i", "--age", "RECIPIENT", "plain.yaml"],
    "edit": ["edit", "in.yaml"],
    "set": ["set", "in.yaml", '["b"]', '"new"'],
    "unset": ["unset", "in.yaml", '["b"]'],
    "rotate": ["rotate", "-i", "in.yaml"],
    "updatekeys": ["updatekeys", "-y", "in.yaml"],
    "merge": ["merge-driver", "in.yaml", "ours.yaml", "theirs.yaml", "merged.yaml"],
}


def swapped(data: bytes) -> bytes:
    """One value in the place of another."""
    one, other = data.index(b"ENC["), data.index(b"ENC[", data.index(b"ENC[") + 1)
    length = data.index(b"]", one) + 1 - one
    return data[:one] + data[other : data.index(b"]", other) + 1] + data[one + length :]


def renamed(data: bytes) -> bytes:
    return data.replace(b"d: ENC", b"e: ENC")


def longer(data: bytes) -> bytes:
    return data + b"x: 1\n"


@pytest.mark.parametrize("fault", [swapped, renamed, longer])
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_opens_what_it_made_before_it_writes(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, command: str, fault: Callable[[bytes], bytes]
) -> None:
    there = encrypted(shell, "in.yaml", "a: one\nb: two\nd: three\n")
    for name, key in (("ours.yaml", "a"), ("theirs.yaml", "b")):
        shell.write(name, there)
        assert shell.agent("set", name, f'["{key}"]', '"other"').code == 0
    shell.write("plain.yaml", "a: one\nb: two\nd: three\n")
    shell.write(".sops.yaml", f"creation_rules:\n- age: {shell.recipient},{OTHER}\n")
    shell.env("EDITOR", "sed -i s/two/2/")
    arguments = [shell.recipient if each == "RECIPIENT" else each for each in COMMANDS[command]]
    before = {path.name: path.read_bytes() for path in shell.folder.iterdir()}
    written = layout.written

    def faulty(*arguments: Any, **options: Any) -> bytes:
        data = written(*arguments, **options)
        return fault(data) if b"mac:" in data else data

    monkeypatch.setattr(layout, "written", faulty)
    done = shell.agent(*arguments)
    assert done.code != 0
    assert {path.name: path.read_bytes() for path in shell.folder.iterdir()} == before
