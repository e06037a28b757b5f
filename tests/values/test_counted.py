"""Counts agree with their nouns and verbs, and lists say how many they leave out."""

from __future__ import annotations

import pytest

from agent.values.text import counted, few


@pytest.mark.parametrize(
    ("number", "words", "text"),
    [
        (0, ("object",), "0 objects"),
        (1, ("object",), "1 object"),
        (2, ("more object",), "2 more objects"),
        (1, ("object", "differs"), "1 object differs"),
        (2, ("object", "differs"), "2 objects differ"),
        (1, ("field", "was"), "1 field was"),
        (3, ("line", "is"), "3 lines are"),
    ],
)
def test_a_count(number: int, words: tuple[str, ...], text: str) -> None:
    assert counted(number, *words) == text


@pytest.mark.parametrize(
    ("texts", "text"),
    [("", ""), ("a", "a"), ("abc", "a, b, c"), ("abcd", "a, b, c and 1 more"), ("abcdefg", "a, b, c and 4 more")],
)
def test_a_few(texts: str, text: str) -> None:
    assert few(list(texts)) == text


def test_a_long_name_is_cut() -> None:
    assert len(few(["x" * 1000] * 4)) < 600
