"""Globs over any path: no pattern is an error, none takes long, and what has no wildcard means itself."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from agent.adapters.git.globs import Globs

SEGMENT = st.text(st.characters(exclude_characters="/", codec="utf-8"), min_size=1, max_size=8)
PATH = st.lists(SEGMENT, min_size=1, max_size=5).map("/".join)


@given(PATH, PATH)
def test_a_path_without_wildcards_matches_itself_alone(path: str, other: str) -> None:
    if not set(path) & set("*?"):
        assert Globs([path]).match(path)
        assert Globs([path]).match(other) == (other == path)


@given(PATH)
def test_two_stars_match_everything_and_one_star_a_segment(path: str) -> None:
    steps = path.split("/")
    assert Globs(["**"]).match(path)
    assert Globs(["/".join("*" for _ in steps)]).match(path)
    assert Globs(["*"]).match(path) == (len(steps) == 1)
    assert Globs(["**/*"]).match(path)
    if not set(steps[-1]) & set("*?"):
        assert Globs([f"**/{steps[-1]}"]).match(path)


@given(st.lists(st.text(max_size=20), max_size=5), PATH)
def test_any_pattern_is_taken(patterns: list[str], path: str) -> None:
    assert Globs(patterns).match(path) in {True, False}


def test_a_hostile_pattern_takes_no_time() -> None:
    started = time.monotonic()
    assert not Globs(["*a" * 200 + "b"] * 64).match("a" * 4000)
    assert time.monotonic() - started < 5
