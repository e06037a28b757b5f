"""Files as people write them, generated, through every command that encrypts: what comes back is what went in, values and comments.

A command may refuse a file; then it leaves it as it was.
"""

from __future__ import annotations

import itertools
from random import Random
from typing import TYPE_CHECKING

import pytest

from agent.yaml.matching import comments_of, same_documents
from agent.yaml.read import yaml
from tests.yaml.messy_yaml import Messy

if TYPE_CHECKING:
    from conftest import Shell

    from agent.yaml.nodes import Mapping

OTHER = "age1rdzyzk99d4m2vpn2la3krl0646a3kdnuzutcjmu4se9hkepefphsseyy2z"
SELECTIONS = [
    "",
    "encrypted_regex: ^(data|k0)",
    "unencrypted_regex: ^k",
    "encrypted_comment_regex: c",
    "mac_only_encrypted: true",
]


def opened(shell: Shell, name: str) -> tuple[bytes, list[Mapping]]:
    done = shell.agent("decrypt", name)
    assert done.code == 0, done.err
    return done.out, yaml.parse(done.out, file=name, in_place=True)


def comments(documents: list[Mapping]) -> list[str]:
    # An empty one in a list has no ciphertext, and sops would make an item of it.
    return sorted(note.text for document in documents for note in comments_of(document) if note.text)


@pytest.mark.parametrize("selection", SELECTIONS, ids=lambda text: text.partition(":")[0] or "default")
def test_what_went_in_comes_back_from_every_command(shell: Shell, selection: str) -> None:
    encrypted = 0
    shell.env("EDITOR", "true")
    for seed in range(40):
        data = Messy(Random(seed)).file()
        shell.write(".sops.yaml", f"creation_rules:\n- age: {shell.recipient}\n  {selection}\n")
        shell.write("s.yaml", data)
        if shell.agent("encrypt", "-i", "s.yaml").code:
            assert (shell.folder / "s.yaml").read_bytes() == data
            continue
        encrypted += 1
        text, documents = opened(shell, "s.yaml")
        before = yaml.parse(data, file="s.yaml", in_place=True)
        assert comments(documents) == comments(before), data.decode()
        sealed = (shell.folder / "s.yaml").read_bytes()
        assert shell.agent("edit", "s.yaml").code == 200
        assert (shell.folder / "s.yaml").read_bytes() == sealed
        assert shell.agent("rotate", "-i", "s.yaml").code == 0
        assert opened(shell, "s.yaml")[0] == text, data.decode()
        shell.write(".sops.yaml", f"creation_rules:\n- age: {shell.recipient},{OTHER}\n  {selection}\n")
        assert shell.agent("updatekeys", "-y", "s.yaml").code == 0
        again, read = opened(shell, "s.yaml")
        assert again == text
        assert same_documents(read, documents)
    assert encrypted > 25


MARKS = (
    ["", "\n", "# x\n", "\n# x\n", "# x\n\n"],
    ["", "---\n"],
    ["", "\n", "# c\n", "# c\n\n", "\n# c\n\n", "# c\n\n# d\n"],
)
BODIES = ["a: b\n", "a:\n  - b # e\n"]
ENDS = ["", "# f\n", "---\n", "---\n---\nz: w\n", "# f\n---\n\n# g\n\nz: w\n"]


@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_comments_and_blank_lines_around_marks_come_back_byte_for_byte(shell: Shell, newline: str) -> None:
    for parts in itertools.product(*MARKS, BODIES, ENDS):
        text = "".join(parts).replace("\n", newline)
        shell.write("s.yaml", text)
        done = shell.agent("encrypt", "-i", "--age", shell.recipient, "s.yaml")
        assert done.code == 0, (text, done.err)
        assert shell.agent("decrypt", "s.yaml").out.decode() == text
