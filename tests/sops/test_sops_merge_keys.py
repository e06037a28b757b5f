"""The metadata of two sides becomes one: who can open the merged file, under which data key."""

from __future__ import annotations

import pytest

from agent.gitmerge import keys as merge_keys
from agent.gitmerge.keys import Side
from agent.sops.format.groups import WrappedDataKey
from agent.sops.format.keys import AgeKey, name_of
from agent.sops.format.metadata import Metadata
from agent.sops.format.selection import Selection
from agent.values.dataclass import replace
from agent.values.errors import MergeError
from agent.values.secret import Secret

KEYS = {name: Secret(name.encode() * 32, name) for name in "KLM"}


def side(
    recipients: str, key: str = "K", *, threshold: int = 0, pattern: str = "_unencrypted", version: str = "3.13.3"
) -> Side:
    """Recipients by letter, groups between blanks."""
    groups = tuple(tuple(AgeKey(letter, f"{key}{letter}") for letter in group) for group in recipients.split())
    return Side(Metadata(WrappedDataKey(groups, threshold), Selection(pattern=pattern), version=version), KEYS[key])


CASES: dict[str, tuple[Side | None, Side, Side, str, str | None]] = {
    "unchanged": (side("ab"), side("ab"), side("ab"), "ab", "K"),
    "added on both sides": (side("a"), side("ab"), side("ac"), "abc", "K"),
    "removed by an update of keys": (side("ab"), side("a"), side("ab"), "a", None),
    "removed by theirs": (side("ab"), side("ab"), side("a"), "a", None),
    "removed by a rotation": (side("ab"), side("a", "L"), side("ab"), "a", None),
    "removed by a rotation, added by theirs": (side("ab"), side("a", "L"), side("abc"), "ac", None),
    "rotated by theirs": (side("ab"), side("ab"), side("ab", "L"), "ab", None),
    "rotated by theirs, removed by ours": (side("ab"), side("a"), side("ab", "L"), "a", None),
    "rotated before both": (side("ab"), side("ab", "L"), side("ab", "L"), "ab", "L"),
    "rotated by both": (side("ab"), side("ab", "L"), side("ab", "M"), "ab", None),
    "rotated by both, removed by theirs": (side("ab"), side("ab", "L"), side("a", "M"), "a", None),
    "no ancestor": (None, side("ab", "K"), side("ac", "L"), "abc", None),
    "groups": (side("ab cd"), side("abe cd"), side("ab c"), "abe c", None),
    "more groups on one side": (side("a b"), side("a b"), side("a b c", "L"), "a b c", None),
}


@pytest.mark.parametrize("case", CASES)
def test_recipients_and_data_key(case: str) -> None:
    base, ours, theirs, recipients, key = CASES[case]
    merged = merge_keys.merge(base, ours, theirs, file="s.yaml")
    assert " ".join("".join(map(name_of, group)) for group in merged.recipients.groups) == recipients
    assert (merged.data_key is None) if key is None else (merged.data_key == KEYS[key])
    if merged.before is not None:
        assert {entry.enc[0] for entry in merged.before.keys} == {key}


APART = {
    "groups": (side("a b"), side("a b c"), side("ad b")),
    "threshold": (side("a b c"), side("a b c", threshold=2), side("a b c d", threshold=2)),
    "selection": (side("a"), side("a", pattern="_x"), side("a", pattern="_y")),
    "no recipient": (side("ab"), side("a"), side("b")),
    "no ancestor": (None, side("a b"), side("a")),
}


@pytest.mark.parametrize("case", APART)
def test_what_cannot_be_joined(case: str) -> None:
    with pytest.raises(MergeError, match=r"s\.yaml"):
        merge_keys.merge(*APART[case], file="s.yaml")


def test_selection_and_version() -> None:
    merged = merge_keys.merge(side("a"), side("a", version="3.99.0"), side("a", pattern="_x"), file="s.yaml")
    assert merged.selection.pattern == "_x"
    assert merged.version == "3.99.0"
    other = side("a")
    strict = Side(replace(other.metadata, selection=Selection(mac_only_encrypted=True)), other.data_key)
    assert merge_keys.merge(other, strict, other, file="s.yaml").selection.mac_only_encrypted
