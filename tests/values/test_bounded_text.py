"""What a tenant writes has no say in how much is kept, shown or written: every text is cut, and every list of them."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.api.status import Failure
from agent.values import text, tree
from agent.values.errors import DataKeyError, ManifestError

ODD = st.text(st.characters(categories=["L", "Cc", "Cf", "Co"]), max_size=600)


@given(ODD)
def test_an_excerpt_is_short_and_safe_to_show(given_text: str) -> None:
    shown = text.excerpt(given_text)
    assert len(shown) <= text.LONGEST
    assert shown.isprintable()
    if len(text.escape(given_text)) <= text.LONGEST:
        assert shown == text.escape(given_text)
    else:
        assert shown.endswith("…")


@given(st.lists(ODD, max_size=70))
def test_a_list_is_cut_and_tells_how_many_more_there_are(texts: list[str]) -> None:
    shown = text.excerpts(texts)
    assert len(shown) <= text.MOST + 1
    assert shown[: text.MOST] == tuple(text.cut(each) for each in texts[: text.MOST])
    assert shown[text.MOST :] == ((f"and {len(texts) - text.MOST} more",) if len(texts) > text.MOST else ())


def test_what_is_not_counted_is_not_asked_for() -> None:
    asked: list[int] = []

    def texts():
        for number in range(1000):
            asked.append(number)
            yield str(number)

    assert text.excerpts(texts(), counted=False) == (*map(str, range(text.MOST)), "and more")
    assert len(asked) == text.MOST + 1


@given(st.lists(ODD | st.integers(0, 10**6), max_size=10).map(tuple), st.integers(1, 300))
def test_a_path_is_shown_as_far_as_there_is_room(path: tuple[str | int, ...], longest: int) -> None:
    shown, whole = tree.show_path(path, longest), tree.format_path(path)
    assert len(shown) <= longest
    assert shown == whole if len(whole) <= longest else shown == whole[: longest - 1] + "…"


def test_showing_a_path_of_megabytes_builds_none() -> None:
    path = ("k" * 100_000,) * 1000
    tracemalloc.start()
    try:
        assert len(tree.show_path(path)) == text.LONGEST
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()


@dataclass(frozen=True)
class _Long:
    text: str = "\x1b" * 5_000_000


def test_a_fact_that_is_text_is_cut_however_it_comes() -> None:
    for error in (ManifestError("wrong", file=_Long().text), ManifestError("wrong").with_facts(file=_Long().text)):
        assert len(str(error)) < 20_000
        failure = Failure.of(error, object=_Long().text)
        assert max(len(failure.file), len(failure.object), len(failure.message)) <= 512


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("AGE-SECRET-KEY-1QQ: no such file", "AGE-SECRET-KEY-…: no such file"),
        ("age-secret-key-pq-1qq", "age-secret-key-…"),
        ("a AGE-SECRET-KEY-1A b AGE-SECRET-KEY-1C", "a AGE-SECRET-KEY-… b AGE-SECRET-KEY-…"),
        ("x -----BEGIN RSA PRIVATE KEY-----\nabc\n", "x -----BEGIN RSA PRIVATE KEY-----…"),
        ("-----BEGIN PGP PRIVATE KEY BLOCK-----\nabc", "-----BEGIN PGP PRIVATE KEY BLOCK-----…"),
        ("names a private key, or AGE-SECRET-KEY-", "names a private key, or AGE-SECRET-KEY-"),
        ("one AGE-SECRET-KEY-1… a line", "one AGE-SECRET-KEY-1… a line"),
    ],
)
def test_a_private_key_among_facts_is_masked(written: str, shown: str) -> None:
    assert DataKeyError("x", file=written).with_facts(more=written).facts == {"file": shown, "more": shown}


def test_numbers_and_short_texts_of_an_error_stay_as_they_are() -> None:
    assert str(DataKeyError("wrong", file="a.yaml", line=3, key="x")) == "a.yaml:3: wrong (key x)"
