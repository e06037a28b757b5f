"""What a user wrote stays in its place, whatever command changes the file; `--sops-format` writes what sops writes."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Shell

FILES = {
    "s.yaml": "# top\n\na:   one      # why\nb:\n- x\n\n# between\n- y: 1\n'c': >-\n  folded\n  text\nd: 0x1F\n",
    "s.json": '{ "a": "one",\n  "b": ["x", {"y": 1}],\n\n  "c": 1.50 }\n',
    "s.env": "# top\n\na=one\n\nb=two words\n",
    "s.ini": "; top\n\n[m]\na=one\nb   =   two\n",
}
PATHS = {"s.ini": '["m"]["a"]'}


@pytest.fixture(params=FILES)
def name(shell: Shell, request: pytest.FixtureRequest) -> str:
    name: str = request.param
    shell.write(name, FILES[name])
    assert shell.agent("encrypt", "-i", "--age", shell.recipient, name).code == 0
    return name


def changed(before: str, after: str) -> list[str]:
    """The lines that are not the same, of both."""
    lines = difflib.ndiff(before.splitlines(), after.splitlines())
    own = re.compile(r'(?<![\w+/])(sops_)?(lastmodified|mac)"?\s*[:=]')  # as a key: a ciphertext may well hold "mac"
    return [line for line in lines if line[0] in "+-" and not own.search(line)]


def text(shell: Shell, name: str) -> str:
    return (shell.folder / name).read_text()


def test_encrypt_and_decrypt_give_the_file_back(shell: Shell, name: str) -> None:
    # How a value itself was quoted, folded or counted is not remembered of one that was encrypted.
    back = FILES[name].replace(">-\n  folded\n  text", ">-\n  folded text").replace("0x1F", "31").replace("1.50", "1.5")
    assert shell.agent("decrypt", name).out.decode() == back
    assert shell.agent("decrypt", "--sops-format", name).out == shell.sops("decrypt", name).out


def test_set_edit_and_rotate_touch_what_they_must(shell: Shell, name: str) -> None:
    before, plain = text(shell, name), shell.agent("decrypt", name).out.decode()
    assert shell.agent("set", name, PATHS.get(name, '["a"]'), '"alpha"').code == 0
    assert len(changed(before, text(shell, name))) == 2
    assert shell.agent("decrypt", name).out.decode() == plain.replace("one", "alpha")
    shell.env("EDITOR", "sed -i s/alpha/beta/")
    before = text(shell, name)
    assert shell.agent("edit", name).code == 0
    assert len(changed(before, text(shell, name))) == 2
    assert shell.agent("rotate", "-i", name).code == 0
    assert shell.agent("decrypt", name).out.decode() == plain.replace("one", "beta")
    assert len(text(shell, name).splitlines()) == len(before.splitlines())
    assert shell.sops("decrypt", name).code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["set", '["new"]', '{"k": "v"}'],
        ["set", '["b"]', '"short"'],
        ["unset", '["a"]'],
        ["unset", '["b"]'],
    ],
    ids=" ".join,
)
def test_with_the_flag_the_layout_is_that_of_sops(shell: Shell, arguments: list[str]) -> None:
    command, *rest = arguments
    for name in ("s.yaml", "s.json"):
        shell.write(name, FILES[name])
        made = shell.sops("encrypt", "--age", shell.recipient, name).out
        shell.write(name, made)
        shell.write(f"theirs-{name}", made)
        assert shell.agent(command, "--sops-format", name, *rest).code == 0
        assert shell.sops(command, f"theirs-{name}", *rest).code == 0
        ours, theirs = text(shell, name), text(shell, f"theirs-{name}")
        # Values that are new have ivs of their own.
        assert len(ours.splitlines()) == len(theirs.splitlines())
        fresh = {line[2:].strip().split(":")[0].strip('"') for line in changed(ours, theirs)}
        assert fresh <= {"new", "k", "b"}
        assert shell.agent("decrypt", "--sops-format", name).out == shell.sops("decrypt", f"theirs-{name}").out


def test_an_indent_is_a_layout_too(shell: Shell) -> None:
    shell.write("s.yaml", FILES["s.yaml"])
    assert shell.agent("encrypt", "-i", "--age", shell.recipient, "s.yaml").code == 0
    for flags in (
        ["--indent", "2", "decrypt", "s.yaml"],
        ["--indent", "3", "decrypt", "--output-type", "json", "s.yaml"],
    ):
        assert shell.agent(*flags).out == shell.sops(*flags).out


def test_a_file_of_another_type_has_the_layout_of_sops(shell: Shell) -> None:
    shell.write("s.yaml", FILES["s.yaml"])
    assert shell.agent("encrypt", "-i", "--age", shell.recipient, "s.yaml").code == 0
    flags = ["decrypt", "--output-type", "json", "s.yaml"]
    assert shell.agent(*flags).out == shell.sops(*flags).out


def test_what_is_saved_in_the_editor_is_the_layout(shell: Shell) -> None:
    shell.write("s.yaml", FILES["s.yaml"])
    assert shell.agent("encrypt", "-i", "--age", shell.recipient, "s.yaml").code == 0
    saved = "# mine\n\nz:   new\n\n\na:   one\n"
    script = shell.write("editor.sh", f"#!/bin/sh\ncat >\"$1\" <<'END'\n{saved}END\n")
    script.chmod(0o700)
    shell.env("EDITOR", str(script))
    assert shell.agent("edit", "s.yaml").code == 0
    assert shell.agent("decrypt", "s.yaml").out.decode() == saved
    assert shell.agent("edit", "s.yaml").code == 200


def test_an_alias_is_reported(shell: Shell) -> None:
    shell.write("s.yaml", "a: &x {k: canary}\nb: *x\n")
    result = shell.agent("encrypt", "-i", "--age", shell.recipient, "s.yaml")
    assert result.code == 0
    assert "s.yaml:2: " in result.err
    assert "canary" not in result.err + text(shell, "s.yaml")
    assert shell.sops("decrypt", "s.yaml").out == b"a:\n    k: canary\nb:\n    k: canary\n"
