"""Encrypted and decrypted, a file is what it was, byte for byte: styles that a ciphertext cannot have are seen in its text."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Shell

KEPT = {
    "a comment behind a list item": "hosts:\n  - one # first\n  - two   # second\n",
    "comments around list items": "l:\n  - a\n\n  # b\n\n  - b # c\n  - |  # d\n    x\n  - {e: f}\n  # tail\n",
    "a comment above an item, indented further": "paths:\n  - a\n      # about b\n  - b\n",
    "a comment above the first item": "ports:\n    # the port\n  - port: 80\n    name: web\n",
    "a list at its key's column": "ports:\n# the port\n- port: 80 # in\n- port: 81\n  # next\n- x # out\n",
    "a comment behind an empty list": "users: []  # add users\nroles: [] # none\nmap: {}  # none\n",
    "a comment behind a list in flow style": "args: [--one, --two]  # both\nnested:\n  - [a, b] # c\n  - []  # d\n",
    "flow style": "flow: [ __name__, plain, 'one', \"two\", a b, 10.0.0.1, --x=1, 5, true, null ]\nmap: {a: b, 'c': 'd', e: {f: g}}\n",
    "flow style with colons": "addresses: [10.0.0.1, fd00::]\nmap: {net: fd00::, other: 'fe80::'}\n",
    "what is beyond the first plane": "title: 🎫 ticket\nquoted: \"🎫 \\\"x\\\"\"\nsingle: '🎫 it''s'\n",
    "a block scalar of one line": "a: |-\n  up == 0\nb: >-\n  up == 0\nc: |\n  up == 0\nd: >\n  up == 0\n",
    "block scalars indented otherwise": "m:\n  k: v\nwide: |\n    four spaces\n    more\nl:\n  - |\n      deep\n      er\n",
    "block scalars in a flat file": "a: |\n  two\n  lines\nb: |-\n  two\n  lines\n",
    "block scalars with an indicator": "a: |2\n   x\n  y\nb: |2-\n   x\nc: |1+\n  x\n\nd: v\n",
    "blank lines at either end": "a: |\n\n  x\n\nb: |+\n  x\n\n\nc: |-\n\n  x\n\n  z\n",
    "blanks at the ends of lines": "a: |\n  x  \n  z \nb: v\n",
    "folded paragraphs": "a: >\n  one\n\n  two\nb: >-\n  one\n\n\n  two\n",
    "a comment behind a header": "a: | # note\n  x\nb: >-  # note\n  x\n",
    "no line break at the end": "a: x\nb: z",
    "line breaks of Windows": "a: |\r\n    x\r\n    y\r\nl:\r\n  - a # c\r\n  - b\r\nf: [a, 'b']\r\n",
    "several documents": 'a: |-\n  x\nl: []  # c\n---\na: [b, "c"]\nl:\n    # d\n  - e\n',
    "documents with nothing in them": "# licence\n---\n---\n# one\n---\na: x\n---\n---\n\n---\nb: z\n---\n",
    "documents with nothing in them, of Windows": "a: x\r\n---\r\n---\r\nb: z\r\n---\r\n# c\r\n---\r\n",
    "several documents, the first without a map": "a: x\n---\nb: |\n  y\n  z\nc:\n  d: |\n    y\n    z\n  e:\n    - |\n      y\n      z\n",
    "a comment below the first mark": "# licence\n---\n# about\n\na: x\n# last\n---\n# next\n\nb: z\n",
    "a comment below the first mark, behind a blank line": "\n---\n# about\n# both\n\na:\n  - x\n",
    "an empty map alone": "{}\n",
    "a comment behind the dash of nothing": "l:\n  -  # c\n  - x\n",
}


OTHER = "age1rdzyzk99d4m2vpn2la3krl0646a3kdnuzutcjmu4se9hkepefphsseyy2z"


def sealed(shell: Shell, text: str, name: str = "s.yaml") -> bytes:
    shell.write(name, text.encode())
    made = shell.agent("encrypt", "--age", shell.recipient, name)
    assert made.code == 0, made.err
    assert "rewritten" not in made.err
    return made.out


@pytest.mark.parametrize("text", KEPT.values(), ids=KEPT)
def test_the_way_back_gives_the_same_bytes(shell: Shell, text: str) -> None:
    encrypted = sealed(shell, text)
    shell.write("s.yaml", encrypted)
    back = shell.agent("decrypt", "s.yaml")
    assert back.code == 0
    assert back.out.decode() == text


@pytest.mark.parametrize("text", KEPT.values(), ids=KEPT)
def test_sops_reads_the_same_values(shell: Shell, text: str) -> None:
    shell.write("s.yaml", sealed(shell, text))
    theirs = shell.sops("decrypt", "--output-type", "json", "s.yaml")
    assert theirs.code == 0, theirs.err
    shell.write("p.yaml", text.encode())
    again = shell.sops("encrypt", "--age", shell.recipient, "p.yaml")
    shell.write("p.yaml", again.out)
    assert json.loads(theirs.out) == json.loads(shell.sops("decrypt", "--output-type", "json", "p.yaml").out)


@pytest.mark.parametrize("text", KEPT.values(), ids=KEPT)
def test_a_changed_key_leaves_the_styles(shell: Shell, text: str) -> None:
    shell.write("s.yaml", sealed(shell, text))
    assert shell.agent("rotate", "-i", "s.yaml").code == 0
    assert shell.agent("decrypt", "s.yaml").out.decode() == text


@pytest.mark.parametrize("text", KEPT.values(), ids=KEPT)
def test_other_recipients_leave_the_text(shell: Shell, text: str) -> None:
    before = sealed(shell, text)
    shell.write("s.yaml", before)
    shell.write(".sops.yaml", f"creation_rules:\n- age: {shell.recipient},{OTHER}\n")
    assert shell.agent("updatekeys", "-y", "s.yaml").code == 0
    after = (shell.folder / "s.yaml").read_bytes()
    assert without_metadata(after) == without_metadata(before) != after
    assert shell.agent("decrypt", "s.yaml").out.decode() == text


def without_metadata(data: bytes) -> bytes:
    return re.sub(rb"(?m)^sops:\r?\n(?: .*\n)+", b"", data)


def test_numbers_of_json_are_written_as_in_json(shell: Shell) -> None:
    text = '{"le": 1e-9, "cpu": [0.5, 1e+21, 123456789.5]}\n'
    shell.write("s.json", sealed(shell, text, "s.json"))
    assert shell.agent("decrypt", "s.json").out.decode() == text


def test_a_block_scalar_that_the_file_cuts_off_is_warned_of(shell: Shell) -> None:
    text = "a: x\np: |\n  text"
    shell.write("s.yaml", text.encode())
    made = shell.agent("encrypt", "--age", shell.recipient, "s.yaml")
    assert re.search("warning: s.yaml: its last value is a block scalar without a line break at its end", made.err)
    for ended in (text + "\n", "a: |\n  x\np: text", "p: |-\n  text"):
        shell.write("s.yaml", ended.encode())
        assert "line break" not in shell.agent("encrypt", "--age", shell.recipient, "s.yaml").err
