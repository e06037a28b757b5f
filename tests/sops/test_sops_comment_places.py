"""Files as people comment them: with sops' own layout, what the agent writes is what sops writes, except for ciphertext."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sops_documents import assert_same, mac_of, masked, opened, ours

from agent.sops.format.selection import Selection

if TYPE_CHECKING:
    from conftest import Sops

FILES = sorted((Path(__file__).parent / "commented").iterdir())
SELECTIONS = [Selection(), Selection("encrypted_regex", "^(.*pass.*|.*secret.*|stringData|data|items|hosts)$")]


@pytest.mark.parametrize("selection", SELECTIONS, ids=["all", "encrypted_regex"])
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_comments_of_people_stand_where_sops_puts_them(sops: Sops, path: Path, selection: Selection) -> None:
    data = path.read_bytes()
    theirs = sops.encrypt(data, path.name, **{selection.selector: selection.pattern} if selection.pattern else {})
    made = ours(sops, data, path.name, selection)
    assert_same(masked(made), masked(theirs))
    text = sops.decrypt(theirs, path.name)
    found = opened(sops, theirs, path.name)
    assert b"ENC[" not in found
    assert_same(found, with_comments_of(found, text))
    assert_same(masked(sops.decrypt(made, path.name)), masked(text))
    assert mac_of(sops, made, path.name) == mac_of(sops, theirs, path.name)


def with_comments_of(found: bytes, text: bytes) -> bytes:
    """What sops wrote, with those comments that it could not open itself: it writes them where it does not look for them."""
    pairs = zip_longest(text.splitlines(keepends=True), found.splitlines(keepends=True), fillvalue=b"")
    return b"".join(mine if b"#ENC[" in theirs and mine.lstrip().startswith(b"#") else theirs for theirs, mine in pairs)
