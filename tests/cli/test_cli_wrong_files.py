"""Files that are not what they seem: the error says what they are, rather than what they fail as."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Shell

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22e\nsize 12345\n"


@pytest.mark.parametrize("name", ["s.yaml", "s.json", "s.env", "s.ini", "s.bin"])
@pytest.mark.parametrize("command", [["encrypt", "--age", "RECIPIENT"], ["decrypt"], ["verify", "--offline"]])
def test_a_pointer_of_git_lfs_is_called_one(shell: Shell, name: str, command: list[str]) -> None:
    shell.write(name, POINTER)
    words = [shell.recipient if word == "RECIPIENT" else word for word in command]
    done = shell.agent(*words, name)
    assert done.code != 0
    assert "a pointer of Git LFS" in done.err + done.out.decode()
    assert "git lfs pull" in done.err


@pytest.mark.parametrize("name", ["s.json", "s.env", "s.ini"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_file_in_utf16_is_called_one(shell: Shell, name: str, encoding: str) -> None:
    text = {"s.json": '{"a": "b"}', "s.env": "A=b\n", "s.ini": "[s]\na = b\n"}[name]
    shell.write(name, text.encode(encoding))
    done = shell.agent("encrypt", "--age", shell.recipient, name)
    assert (done.code, "is in UTF-16" in done.err) == (2, True)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_yaml_in_utf16_without_a_mark_is_called_so(shell: Shell, encoding: str) -> None:
    shell.write("s.yaml", "a: b\n".encode(encoding))
    done = shell.agent("encrypt", "--age", shell.recipient, "s.yaml")
    assert (done.code, "is in UTF-16" in done.err) == (2, True)


@pytest.mark.parametrize(
    ("text", "line"), [("a:\n\tb: 1\n", 2), ("\ta: 1\n", 1), ("é: 1\nb:\n  c: x\n\td: 1\n", 4), ("a:\n- x\n\t- y\n", 3)]
)
def test_a_tab_that_indents_is_called_one(shell: Shell, text: str, line: int) -> None:
    shell.write("s.yaml", text)
    done = shell.agent("encrypt", "--age", shell.recipient, "s.yaml")
    assert done.code == 2
    assert f"s.yaml:{line}:" in done.err
    assert "a tab cannot indent" in done.err


def test_a_blank_line_with_a_carriage_return_is_called_one(shell: Shell) -> None:
    shell.write("s.env", b"A=1\r\n\r\nB=2\r\n")
    done = shell.agent("encrypt", "--age", shell.recipient, "s.env")
    assert done.code == 2
    assert "s.env:2: the lines end with CRLF" in done.err


def test_values_that_end_with_a_carriage_return_are_warned_of(shell: Shell) -> None:
    shell.write("s.env", b"A=1\r\nB=2\r\n")
    done = shell.agent("encrypt", "--age", shell.recipient, "s.env")
    assert (done.code, "CRLF" in done.err) == (0, True)
    shell.write("s.env", b"\xef\xbb\xbfA=1\n")
    done = shell.agent("encrypt", "--age", shell.recipient, "s.env")
    assert (done.code, "byte order mark" in done.err) == (0, True)
    shell.write("s.env", b"A=1\n")
    assert shell.agent("encrypt", "--age", shell.recipient, "s.env").err == ""


KEYS = {"utf-16": "UTF-16", "utf-16-le": "UTF-16", "utf-8-sig": "byte order mark", "": "Git LFS"}


@pytest.mark.parametrize("encoding", KEYS)
@pytest.mark.parametrize("given", ["SOPS_AGE_KEY_FILE", "--sealing-key"])
def test_a_key_file_says_what_it_is(shell: Shell, encoding: str, given: str) -> None:
    cause = KEYS[encoding]
    key = shell.write("key.txt", f"# a key\n{shell.identity}\n".encode(encoding) if encoding else POINTER)
    if given == "--sealing-key":
        done = shell.agent("migrate", "sealed-secrets", "-i", given, str(key), ".")
    else:
        shell.write("s.yaml", "a: 1\n")
        assert shell.agent("encrypt", "-i", "--age", shell.recipient, "s.yaml").code == 0
        shell.env("SOPS_AGE_KEY", None)
        shell.env(given, str(key))
        done = shell.agent("decrypt", "s.yaml")
    assert done.code != 0
    assert cause in done.err
    assert "key.txt" in done.err
    assert shell.identity not in done.err


DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template:
    spec:
      containers:
      - name: a
        env: [{name: ON, value: x}]
"""


def test_a_name_that_yaml_takes_for_true_is_called_so(shell: Shell) -> None:
    shell.write("d.yaml", DEPLOYMENT)
    done = shell.agent("render", "-n", "shop", ".")
    assert done.code == 1
    assert "containers[0].env[0]: a merge key is true or false, not text" in done.err
    assert "quote it" in done.err


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("Secret", "stringData", "x"),
        ("Secret", "data", "eHh4"),
        ("ConfigMap", "data", "x"),
        ("ConfigMap", "binaryData", "eHh4"),
    ],
)
def test_more_than_a_mebibyte_is_called_so(shell: Shell, kind: str, field: str, value: str) -> None:
    per = len(value) if value == "x" else 3
    for count, code in ((1024 * 1024 // per, 0), (1024 * 1024 // per + 4, 1)):
        head = f"apiVersion: v1\nkind: {kind}\nmetadata: {{name: big}}\n{field}:\n"
        shell.write("s.yaml", f"{head}  a: {value * (count - count // 2)}\n  b: {value * (count // 2)}\n")
        done = shell.agent("render", "-n", "shop", ".")
        assert (done.code, "larger than 1 MiB" in done.err) == (code, code == 1), done.err
