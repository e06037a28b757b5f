"""A folder of files with known values, encrypted for a known key, and everything that a command might leave something in."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.adapters.keys import age
from agent.adapters.keys.age import AgeKeys
from agent.sops.files import decrypt
from agent.sops.format.groups import unwrap_data_key
from agent.sops.stores import named
from agent.values.reveal import reveal
from agent.values.secret import Secret
from testbed.canary import Canaries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Result, Shell

VALUE = 'pa"ss\\wörd/+& <x>-7f3a'
PLAIN = {
    "value": VALUE,
    "number": "8675309867",
    "a line": "line two 9c3b5f1e",
    "an item": "item-a1b2c3d4",
    "deep": "deep-e5f6a7b8",
    "a comment": "comment-c0ffee-77",
}
YAML = f"""\
# {PLAIN["a comment"]}
password: {json.dumps(VALUE, ensure_ascii=False)}
number: {PLAIN["number"]}
text: |
    line one
    {PLAIN["a line"]}
list:
    - {PLAIN["an item"]}   # {PLAIN["a comment"]}
    - {{deep: {PLAIN["deep"]}}}
clear_unencrypted: readable
"""
TEXTS = {
    "s.yaml": YAML,
    "s.json": json.dumps({"password": VALUE, "number": int(PLAIN["number"]), "list": [PLAIN["an item"]]}),
    "s.env": f"# {PLAIN['a comment']}\npassword={VALUE}\nnumber={PLAIN['number']}\n",
    "s.ini": f"; {PLAIN['a comment']}\n[s]\npassword = `{VALUE}`\nnumber = {PLAIN['number']}\n",
    "s.bin": VALUE + PLAIN["a line"],
}
GIVEN_KEY = "AGE-SECRET-KEY-1CANARYCANARYCANARYCANARYCANARYCANARYCANARYCANARYCANAR"


class House:
    """A folder of encrypted files, a home, a folder for temporary files and one in memory, all searched after each command."""

    def __init__(self, shell: Shell, root: Path, memory: Path) -> None:
        self.shell = shell
        self.folder = shell.folder
        self.memory = memory
        self.given = root / "given"
        self.log = root / "children"
        self._searched = [self.folder, root / "home", root / "tmp", memory, self.log]
        for made in (self.given, root / "tmp", self.log):
            made.mkdir()
        shell.env("TMPDIR", str(root / "tmp"))
        shell.env("XDG_RUNTIME_DIR", str(memory))
        self.recipient, identity = age.generate()
        self.stranger = str(reveal(identity))
        for name, text in TEXTS.items():
            self.give(name, text)
            made = shell.agent(
                "encrypt", "--age", shell.recipient, "--filename-override", name, stdin=text.encode("utf-8")
            )
            assert made.code == 0, made.err
            shell.write(name, made.out)
        metadata = decrypt.read((self.folder / "s.yaml").read_bytes(), file="s.yaml", store=named("yaml")).metadata
        keys = AgeKeys.parse(Secret(shell.identity, "key"), source="key")
        data_key = reveal(unwrap_data_key(metadata.data_key, keys, file="s.yaml"))
        assert isinstance(data_key, bytes)
        self.keys = {"identity": shell.identity, "stranger": self.stranger, "bad key": GIVEN_KEY, "data key": data_key}
        self.canaries = Canaries({**PLAIN, **self.keys})

    def give(self, name: str, text: str) -> str:
        """A file of the user's own, in the clear, that is not searched."""
        path = self.given / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return str(path)

    def change(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    def script(self, name: str, text: str) -> str:
        """A program that notes what it was called with, and who called it."""
        path = self.given / name
        path.write_text(f'#!/bin/sh\ncat /proc/$$/cmdline /proc/$PPID/cmdline >>"{self.log}/{name}"\n{text}\n')
        path.chmod(0o700)
        return str(path)

    def run(self, *arguments: str, asked: bool = False, stdin: bytes = b"") -> Result:
        """A command; with `asked`, plaintext is what it is to print."""
        done = self.shell.agent(*arguments, stdin=stdin)
        found = self.canaries.search_text(done.err, "standard error")
        printed = self.canaries.search_text(done.out, "standard output")
        found += [each for each in printed if not (asked and each.label in PLAIN)]
        assert not [str(each) for each in [*found, *self.left()]]
        assert "Traceback" not in done.err
        assert "internal error" not in done.err
        return done

    def left(self) -> list[object]:
        assert not list(self.memory.iterdir())
        return [*self.canaries.search_files(*self._searched)]


@pytest.fixture
def house(shell: Shell, tmp_path: Path) -> Iterator[House]:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
        yield House(shell, tmp_path, Path(memory))
