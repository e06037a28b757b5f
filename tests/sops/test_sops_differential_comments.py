"""Comments everywhere, in hundreds of documents to a file: sops and the agent open each other's, with equal values and MACs.

They stand where sops puts them, wherever they were before; tests/sops/commented has what people do. But sops loses some, a second
foot of one entry and many in flow collections, and the agent none: documents of which sops loses one are left out, and none of these
has a comment within a flow collection. An encrypted comment of a list may be lost by sops when it reads its own file again.
"""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import strategies as st
from sops_documents import assert_agreement, assert_same, drawn, mac_of, masked, opened, ours

from agent.sops.files import decrypt
from agent.sops.format.groups import unwrap_data_key
from agent.sops.format.selection import Selection
from agent.sops.stores import named
from agent.values.dataclass import replace
from agent.yaml.matching import comments_of

if TYPE_CHECKING:
    from conftest import Sops

SCALARS = ["1", "x", "'q'", '"d"', "true", "null", "2024-01-01", "a b", "1.5", '"# no"', "a#b"]
SELECTIONS = [
    Selection(),
    Selection("encrypted_comment_regex", "mark"),
    Selection("unencrypted_comment_regex", "^ mark"),
    Selection("encrypted_regex", "^k[13]$"),
    Selection("unencrypted_regex", "^k[13]$"),
]


class Writer:
    """Writes one document. `messy`: comments and blank lines anywhere; else each on its own line, or behind a value, in its place."""

    def __init__(self, seed: int, *, messy: bool, lists: bool = True) -> None:
        self._random = random.Random(seed)
        self._messy = messy
        self._lists = lists
        self._lines: list[str] = []
        self._comments = 0
        self._text: int | None = None  # where the lines of a block scalar stand, as long as it goes on

    def document(self) -> str:
        self._mapping(0, 0)
        if self._messy:
            self._between(0)
        return "\n".join(self._lines) + "\n"

    def _comment(self) -> str:
        self._comments += 1
        return f"# {self._random.choice(['mark', 'note'])} {self._comments}"

    def _between(self, indent: int) -> None:
        choice = self._random
        while choice.random() < 0.3:
            if self._messy and choice.random() < 0.35:
                self._lines.append("")
            else:
                at = (
                    choice.choice([0, indent + 2, max(indent - 2, 0)])
                    if self._messy and choice.random() < 0.3
                    else indent
                )
                if self._text is not None:
                    at = min(at, self._text - 1)  # further to the right it would be text
                    self._text = None
                self._lines.append(" " * at + self._comment())

    def _behind(self) -> str:
        return f" {self._comment()}" if self._random.random() < 0.25 else ""

    def _value(self, indent: int, depth: int, before: str) -> bool:
        self._text = None
        kind = self._random.random()
        if kind < 0.55 or depth > 3:
            self._lines.append(f"{before} {self._random.choice(SCALARS)}{self._behind()}")
        elif kind < 0.65:
            self._lines += [
                f"{before} |{self._behind()}",
                " " * (indent + 2) + "text # no comment",
                " " * (indent + 2) + "more",
            ]
            self._text = indent + 2
        elif kind < 0.7:
            self._lines.append(f"{before} {self._random.choice(['[]', '{}', '[1, x]', '{a: 1}'])}")
        else:
            return False
        return True

    def _mapping(self, indent: int, depth: int, dash: str = "") -> None:
        for number in range(self._random.randint(1, 4)):
            first = bool(dash) and not number
            if not first:
                self._between(indent)
            key = f"{dash if first else ' ' * indent}k{number}:"
            if not self._value(indent, depth, key):
                self._lines.append(key + self._behind())
                nested = [self._mapping, self._sequence] if self._lists else [self._mapping]
                make = self._random.choice(nested)
                bare = self._messy and make == self._sequence and self._random.random() < 0.5
                make(indent if bare else indent + 2, depth + 1)

    def _sequence(self, indent: int, depth: int) -> None:
        for _ in range(self._random.randint(1, 3)):
            self._between(indent)
            if not self._value(indent, depth, " " * indent + "-"):
                self._mapping(indent + 2, depth + 1, " " * indent + "- ")


def documents(count: int, *, messy: bool, lists: bool = True) -> bytes:
    """Many documents as entries of one, so that none meets the end of another."""
    found: list[str] = []
    for number, seed in enumerate(drawn(st.integers(0, 2**32), count)):
        text = Writer(seed, messy=messy, lists=lists).document()
        found.append(f"d{number}:\n" + re.sub(r"(?m)^(?=.)", "  ", text))
    return "".join(found).encode()


@pytest.mark.parametrize("only_encrypted", [False, True], ids=["mac", "mac_only_encrypted"])
@pytest.mark.parametrize("selection", SELECTIONS, ids=[each.selector for each in SELECTIONS])
def test_comments_in_their_places_stand_where_sops_has_them(
    sops: Sops, selection: Selection, only_encrypted: bool
) -> None:
    # What an encrypted comment of a list selects, sops 3.13.3 cannot verify (getsops/sops#2243).
    data = documents(250, messy=False, lists=selection.selector != "encrypted_comment_regex")
    assert_agreement(sops, data, "tidy.yaml", replace(selection, mac_only_encrypted=only_encrypted))


@pytest.mark.parametrize("selection", [SELECTIONS[0], SELECTIONS[3]], ids=["all", "encrypted_regex"])
def test_comments_anywhere_leave_values_and_mac_as_they_are(sops: Sops, selection: Selection) -> None:
    data = documents(500, messy=True)
    rule = {selection.selector: selection.pattern}
    theirs = sops.encrypt(data, "messy.yaml", **rule)
    made = ours(sops, data, "messy.yaml", selection)
    values = uncommented(sops.decrypt(theirs, "messy.yaml"))
    assert_same(uncommented(opened(sops, theirs, "messy.yaml")), values)
    assert_same(uncommented(sops.decrypt(made, "messy.yaml")), values)
    assert_same(uncommented(opened(sops, made, "messy.yaml")), values)
    assert mac_of(sops, made, "messy.yaml") == mac_of(sops, theirs, "messy.yaml")


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_comments_anywhere_stand_where_sops_puts_them(sops: Sops, newline: bytes) -> None:
    data = documents(400, messy=True).replace(b"\n", newline)
    nothing = Selection("encrypted_regex", "^nothing$")
    theirs = sops.encrypt(data, "messy.yaml", encrypted_regex=nothing.pattern)
    made = ours(sops, data, "messy.yaml", nothing)
    kept = 0
    for before, one, other in zip(entries(data), entries(masked(made)), entries(masked(theirs)), strict=True):
        if sorted(comments(before)) == sorted(comments(other)):
            assert_same(one, other)
            kept += 1
    assert kept > 350


def test_comments_around_the_marks_of_documents_stand_where_sops_puts_them(sops: Sops) -> None:
    kept = 0
    for seeds in drawn(st.lists(st.integers(0, 2**32), min_size=2, max_size=3), 40):
        texts = [Writer(seed, messy=True).document() for seed in seeds]
        data = "".join(
            f"{text}---{end}" for text, end in zip(texts, ("\n", " # mark 0\n", "\n"), strict=False)
        ).encode()
        theirs, made = sops.encrypt(data, "messy.yaml"), ours(sops, data, "messy.yaml", Selection())
        if masked(theirs).count(b"ENC[comment]") == len(comments(data)):
            assert_same(masked(made), masked(theirs))
            kept += 1
    assert kept > 25


def test_no_comment_is_lost(sops: Sops) -> None:
    for seed in drawn(st.integers(0, 2**32), 300):
        data = Writer(seed, messy=True).document().encode()
        file = decrypt.read(ours(sops, data, "messy.yaml", Selection()), file="messy.yaml", store=named("yaml"))
        plain = decrypt.decrypt(file, unwrap_data_key(file.metadata.data_key, sops.keys, file="messy.yaml"))
        found = b"".join(f"#{each.text}\n".encode() for one in plain.documents for each in comments_of(one))
        assert sorted(comments(found)) == sorted(comments(data)), data.decode()


def comments(text: bytes) -> list[bytes]:
    return re.findall(rb"# (?:mark|note) \d+", text)


def entries(data: bytes) -> list[bytes]:
    return re.split(rb"(?m)^(?=d\d+:)", data.partition(b"sops:")[0])


def uncommented(text: bytes) -> bytes:
    """Without comments, and the lines that were nothing else; encrypted ones in lists, which are items, included."""
    bare = re.sub(rb"(?m)[ \t]*#(?: (?:mark|note) \d+|ENC\[\S+\])$", b"", text)
    return b"\n".join(line for line in bare.split(b"\n") if line.strip())
