"""Files as people comment them (tests/sops/commented): nothing of a comment is lost, and with sops' layout they are as sops has them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Shell

FILES = sorted((Path(__file__).parents[1] / "sops" / "commented").iterdir())
EDITOR = "#!/bin/sh\nsed -i -e '1i # new at the top' -e '$a # new at the end' \"$1\"\n"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_comments_stay_where_they_were_written(shell: Shell, path: Path) -> None:
    data = path.read_bytes()
    shell.write("s.yaml", data)
    assert shell.agent("encrypt", "-i", "--age", shell.recipient, "s.yaml").code == 0
    back = iter(shell.agent("decrypt", "s.yaml").out.splitlines())
    # An alias is written out with the comments of what it names, and a line of a block scalar that only looks like a comment gets another indentation.
    text = re.sub(rb"(?m)^( *).*\|\n(?:\1  .*\n)+", b"", data)
    for comment in re.findall(rb"(?m)^ *#.*", text):
        assert any(line.rstrip() == comment.rstrip() for line in back), comment


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_edited_file_in_the_layout_of_sops_is_that_of_sops(shell: Shell, path: Path) -> None:
    shell.write("plain.yaml", path.read_bytes())
    made = shell.sops("encrypt", "--age", shell.recipient, "plain.yaml").out
    for name in ("ours.yaml", "theirs.yaml"):
        shell.write(name, made)
    editor = shell.write("editor.sh", EDITOR)
    editor.chmod(0o700)
    shell.env("EDITOR", str(editor))
    for command, *rest in (["edit"], ["set", '["new"]', '{"a": "b"}']):
        assert shell.agent(command, "--sops-format", "ours.yaml", *rest).code == 0
        assert shell.sops(command, "theirs.yaml", *rest).code == 0
    text = shell.sops("decrypt", "theirs.yaml").out
    # Where sops writes a comment, it does not always look for it again.
    lost = b"\n" + re.escape(text).replace(b"\\\n", b"\n")
    lost = re.sub(rb"\n( |\\ )*\\#ENC\\\[[^\n]*", rb"\n *#[^\n]*", lost)
    assert re.fullmatch(lost, b"\n" + shell.agent("decrypt", "--sops-format", "ours.yaml").out)
