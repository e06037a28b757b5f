"""Globs over any path: no pattern is an error, none takes long, and what has no wildcard means itself."""

from __future__ import annotations

import cost
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.manifests.globs import Globs
from agent.values.errors import SourceError

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


@pytest.mark.parametrize("count", [4, 64])
@pytest.mark.parametrize("shape", ["*a", "**/", "*?", "?", "a*b", "**/*a/"])
def test_a_hostile_list_is_refused_or_takes_no_time(shape: str, count: int) -> None:
    """A repository may have a million paths, and nothing else of the process goes on while one is matched."""
    try:
        globs = Globs([f"{(shape * 300)[:500]}{number:02d}b" for number in range(count)])
    except SourceError:
        return
    for path in ("a" * 505 + ".yaml", "a/" * 250 + "d.yaml", "ab/" * 160 + ".yaml"):
        with cost.at_most(seconds=0.1):
            assert not globs.match(path)


def test_a_list_as_people_write_it_is_taken() -> None:
    """As many as a source may have."""
    globs = Globs([f"clusters/production-{number:02d}/**/team-*/*.yaml" for number in range(64)])
    assert globs.match("clusters/production-63/eu/west/team-shop/app.yaml")
    assert not globs.match("clusters/production-64/eu/west/team-shop/app.yaml")
