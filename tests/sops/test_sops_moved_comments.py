"""Encrypted comments that stand behind a list, or in another map than they were written in, as sops writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sops_documents import opened, ours

from agent.sops.format.selection import Selection

if TYPE_CHECKING:
    from conftest import Sops

FILE = b"a:\n  b:\n    - c: 1\n      d: two\n  # of a\n  e: 3\nf: 4\n"


def moved(text: bytes, line: bytes, *, below: bytes, column: int) -> bytes:
    """The encrypted comment of a file below another line."""
    lines = text.splitlines(keepends=True)
    (comment,) = [each for each in lines if each.lstrip().startswith(line)]
    lines.remove(comment)
    (at,) = [number for number, each in enumerate(lines) if each.strip().startswith(below)]
    return b"".join([*lines[: at + 1], b" " * column + comment.lstrip(), *lines[at + 1 :]])


@pytest.mark.parametrize(("below", "column"), [(b"d:", 14), (b"d:", 8), (b"d:", 0), (b"e:", 4), (b"f:", 0)], ids=str)
def test_a_comment_opens_in_and_behind_its_map(sops: Sops, below: bytes, column: int) -> None:
    made = moved(ours(sops, FILE, "moved.yaml", Selection()), b"#ENC[", below=below, column=column)
    # Behind what is no part of its map it belongs to none.
    assert (b"# of a" in opened(sops, made, "moved.yaml")) is (below != b"f:")


def test_a_value_that_is_called_a_comment_does_not_open(sops: Sops) -> None:
    made = ours(sops, FILE, "moved.yaml", Selection())
    (value,) = [each.partition(b": ")[2] for each in made.splitlines() if each.strip().startswith(b"d: ")]
    forged = made.replace(b"  e:", b"  #" + value.replace(b"type:str", b"type:comment") + b"\n    e:", 1)
    assert forged != made
    text = opened(sops, forged, "moved.yaml")
    assert text.count(b"two") == 1
    assert b"#ENC[" in text
