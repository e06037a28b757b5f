"""What holds whenever a command of the sops family refuses its input, and the command lines and files that it is tried with."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.adapters.keys import age
from agent.adapters.keys.age import AgeKeys
from agent.sops import stores
from agent.sops.files import decrypt
from agent.sops.format.cipher import plain_bytes
from agent.sops.format.groups import unwrap_data_key
from agent.sops.format.selection import Selected, Selection
from agent.sops.format.walk import rewrite
from agent.values.reveal import reveal
from agent.values.secret import Secret
from testbed.canary import Canaries

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from conftest import Result, Shell

    from agent.sops.format.walk import Place, Scalar
    from agent.yaml.nodes import Comment

CODES = {1, 2, 3, 4, 5, 7, 8, 21, 23, 24, 25, 49, 51, 61, 91, 92, 100, 111, 112, 128, 200, 201, 203}
"""What sops ends with, of a command that failed."""

OTHER = age.generate()[0]
"""The recipient of another user."""

PLAIN = {
    "s.yaml": b"# note: canary-in-a-comment\na: canary-of-text\nn: 987654321012\nl:\n    - true\n    - canary-of-an-item\n"
    b"e: ''\nz: null\nm:\n    x_unencrypted: clear\n",
    "s.json": b'{"a": "canary-of-text", "n": 987654321012, "l": [true, "canary-of-an-item"], "e": "", "z": null,'
    b' "m": {"x_unencrypted": "clear"}}\n',
    "s.env": b"# note: canary-in-a-comment\nA=canary-of-text\nN=987654321012\nE=\nX_unencrypted=clear\n",
    "s.ini": b"; note: canary-in-a-comment\n[s]\na = canary-of-text\nn = 987654321012\ne =\nx_unencrypted = clear\n",
    "s.txt": b"canary-of-text \x00\xff 987654321012\n",
}
"""A file of each type. What is in them and not under the MAC: comments, keys of clear values, nulls and empty text."""

PLACES = {"s.yaml": '["n"]', "s.json": '["n"]', "s.env": '["N"]', "s.ini": '["s"]["n"]', "s.txt": '["data"]'}
"""Where `set` and `unset` change a file."""

_VALUES = {
    "comment": "canary-in-a-comment",
    "text": "canary-of-text",
    "item": "canary-of-an-item",
    "number": "987654321012",
}
_EDITOR = "sed -i s/canary-of/chosen-of/g"


def commands(file: str) -> dict[str, list[str]]:
    """Every command that opens one encrypted file."""
    place = PLACES.get(file, '["a"]')
    return {
        "decrypt": ["decrypt", file],
        "decrypt in place": ["decrypt", "-i", file],
        "decrypt to a file": ["decrypt", "--output", "new", file],
        "extract": ["decrypt", "--extract", place, file],
        "edit": ["edit", file],
        "set": ["set", file, place, '"new"'],
        "unset": ["unset", file, place],
        "rotate": ["rotate", "-i", file],
        "add a recipient": ["rotate", "-i", "--add-age", OTHER, file],
        "updatekeys": ["updatekeys", "-y", file],
        "groups add": ["groups", "add", "-i", "--age", OTHER, "-f", file],
        "groups delete": ["groups", "delete", "-i", "-f", file, "0"],
        "exec-env": ["exec-env", file, "true"],
        "exec-file": ["exec-file", file, "true"],
        "textconv": ["textconv", file],
        "fingerprints": ["textconv", "--fingerprints", file],
        "filestatus": ["filestatus", file],
        "verify": ["verify", file],
        "report": ["verify", "-o", "json", file],
        "merge into it": ["merge-driver", "base", file, "theirs", file],
        "merge it": ["merge-driver", "base", "theirs", file, file],
        "resolve": ["resolve", file],
        "a tree": ["decrypt", "-i", "."],
        "a tree's keys": ["rotate", "-i", "."],
        "encrypt": ["encrypt", file],
        "encrypt in place": ["encrypt", "-i", file],
    }


SPEAKING = {"updatekeys", "verify", "textconv", "a tree", "a tree's keys"}
"""What prints a report, or the file as it is, whatever becomes of it."""


@dataclass
class Sealed:
    """A file of each type, encrypted once for a key that a module shares."""

    recipient: str = ""
    identity: str = ""
    files: dict[str, bytes] = field(default_factory=dict[str, bytes])

    def make(self, shell: Shell) -> None:
        """With the key of the first shell that comes."""
        if not self.files:
            self.recipient, self.identity = shell.recipient, shell.identity
            for name, data in PLAIN.items():
                made = shell.agent("encrypt", "--age", self.recipient, "--filename-override", name, stdin=data)
                assert made.code == 0, made.err
                self.files[name] = made.out

    def data_key(self, name: str) -> bytes:
        keys = AgeKeys.parse(Secret(self.identity, "test"), source="test")
        found = reveal(unwrap_data_key(self._read(name).metadata.data_key, keys, file=name))
        assert isinstance(found, bytes)
        return found

    def _read(self, name: str) -> decrypt.EncryptedFile:
        return decrypt.read(self.files[name], file=name, store=stores.of(name))


class Witness:
    """Runs commands, and vouches for what holds of each that fails."""

    def __init__(self, shell: Shell, sealed: Sealed) -> None:
        sealed.make(shell)
        shell.recipient = sealed.recipient
        shell.env("SOPS_AGE_KEY", sealed.identity)
        shell.env("EDITOR", _EDITOR)
        shell.write(".sops.yaml", json.dumps({"creation_rules": [{"age": f"{sealed.recipient},{OTHER}"}]}))
        self.shell = shell
        self.sealed = sealed
        self.canaries = Canaries(
            {**_VALUES, "identity": sealed.identity, **{name: sealed.data_key(name) for name in sealed.files}}
        )

    def beside(self, name: str) -> None:
        """What the merge driver is called with besides a file."""
        self.shell.write("base", self.sealed.files[name])
        self.shell.write("theirs", self.sealed.files[name])

    def run(self, *arguments: str, stdin: bytes = b"") -> Result:
        """Whatever it ends with; what must hold of a failure is checked."""
        # Of what came by standard input, there is nothing that could be written.
        before = [] if stdin else self.listing()
        done = self.shell.agent(*arguments, stdin=stdin)
        context = (arguments, done.code, done.err[:2000])
        assert not self.canaries.search_text(done.err, "stderr"), arguments
        assert "internal error" not in done.err, context
        assert "Traceback" not in done.err, context
        if done.code:
            self._failed(arguments, done, before)
        return done

    def fails(self, *arguments: str, code: int | Collection[int], stdin: bytes = b"") -> Result:
        done = self.run(*arguments, stdin=stdin)
        codes = {code} if isinstance(code, int) else set(code)
        assert done.code in codes, (arguments, done.code, done.err[:2000])
        return done

    def _failed(self, arguments: tuple[str, ...], done: Result, before: list[tuple[str, tuple[int, ...]]]) -> None:
        context = (arguments, done.code, done.err[:2000])
        assert done.code in CODES, context
        assert not before or self.listing() == before, context
        assert not self.canaries.search_text(done.out, "stdout"), arguments
        if "json" in arguments and done.out:
            [file] = json.loads(done.out)["files"]
            assert all(each["message"] and each["hint"] for each in file["errors"]), done.out
            assert file["errors"], done.out
            return
        assert done.out == b"" or arguments[0] in {"verify", "updatekeys"} or "." in arguments, context
        errors = [line for line in done.err.splitlines() if line.startswith("agent: ") and ": warning: " not in line]
        hints = [line for line in done.err.splitlines() if line.startswith("hint: ")]
        reported = done.out and (arguments[0] == "verify" or "." in arguments)
        assert len(errors) == (0 if reported else 1), context
        assert hints, context

    def listing(self) -> list[tuple[str, tuple[int, ...]]]:
        """Every name in the folder, and what would differ of a file that was written, were it with the same bytes."""
        return list(_listing(self.shell.folder, ""))


def _listing(folder: Path, above: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            found = entry.stat(follow_symlinks=False)
            written = found.st_mtime_ns if entry.is_file(follow_symlinks=False) else 0
            yield above + entry.name, (found.st_ino, found.st_size, written, found.st_mode)
            if entry.is_dir(follow_symlinks=False):
                yield from _listing(folder / entry.name, f"{above}{entry.name}/")


def covered(data: bytes, name: str) -> list[tuple[str, bytes]]:
    """What is under a file's MAC, in order: each encrypted value with its place, each clear one without."""
    found: list[tuple[str, bytes]] = []
    documents = stores.of(name).parse_plain(data, file=name)
    for document in documents:
        rewrite(document, Selected(Selection()), _Collector(found), file=name)
    return found


@dataclass(frozen=True, slots=True)
class _Collector:
    found: list[tuple[str, bytes]]

    def value(self, value: Scalar, place: Place) -> Scalar:
        if value != "":
            self.found.append((place.aad if place.encrypted else "", plain_bytes(value)))
        return value

    def comment(self, comment: Comment, place: Place) -> Comment:
        del place
        return comment
