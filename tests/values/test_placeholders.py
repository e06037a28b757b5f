"""What a renderer sees in the place of a sealed value, and how it is found again."""

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.values import placeholders
from agent.values.errors import PlaceholderError
from agent.yaml import scalars

PARTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), max_size=4)
CLEAR = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
ONE = placeholders.of("sops", "one")
TWO = placeholders.of("ref", "vault://main/secret/shop#pw")


def test_its_form_is_fixed_for_every_release():
    assert placeholders.of("sops", "0123456789abcdef") == "sGnT0k4G9rZ0zwINpgPsMLLFyQnivWK0tNgS"
    assert placeholders.of("file", "apps/tls.key", "b10b") == "sGnT0kDPGKPwyK7BHIZxhcLpe0hM2kK0tNgS"


@given(PARTS)
def test_each_is_36_letters_and_digits_that_yaml_reads_as_text(parts):
    token = placeholders.of("expr", *parts)
    assert re.fullmatch(r"sGnT0k[0-9A-Za-z]{24}K0tNgS", token)
    assert scalars.plain(token, scalars.Dialect.V2) == token
    assert scalars.plain(token, scalars.Dialect.V3) == token
    assert base64.b64encode(token.encode()).decode().find("=") == -1


@given(PARTS, PARTS)
def test_other_parts_have_another_one_however_they_are_cut(one, two):
    assert (placeholders.of("sops", *one) == placeholders.of("sops", *two)) == (one == two)


def test_kinds_share_no_placeholder():
    kinds = ("sops", "file", "ref", "live", "expr")
    assert len({placeholders.of(kind, "a", "b") for kind in kinds}) == len(kinds)


@given(st.lists(st.tuples(CLEAR, st.text(min_size=1, max_size=3)), max_size=4), CLEAR)
def test_a_text_is_cut_at_its_placeholders_and_loses_nothing(pairs, rest):
    wanted = [part for text, name in pairs for part in (text, placeholders.of("sops", name))] + [rest]
    assert placeholders.split("".join(wanted)) == wanted
    assert list(placeholders.find("".join(wanted))) == wanted[1::2]


@pytest.mark.parametrize(
    "text",
    [
        ONE[:-1],
        ONE[1:],
        ONE[:20],
        ONE[20:],
        ONE.upper(),
        ONE.lower(),
        ONE.swapcase(),
        ONE[:10] + "-" + ONE[10:],
        ONE[:10] + "\n" + ONE[10:],
        f"{ONE} and {TWO[:30]}",
        ONE[0].upper() + ONE[1:],
    ],
)
def test_what_is_left_of_one_that_was_cut_or_changed_is_an_error(text):
    assert placeholders.is_marked(text)
    for refuse in (placeholders.split, placeholders.find, placeholders.refuse):
        with pytest.raises(PlaceholderError) as caught:
            refuse(text)
        assert ONE[6:20] not in str(caught.value)


@given(st.integers(0, 35), st.integers(1, 36))
def test_any_cut_that_keeps_an_end_is_seen(start, length):
    piece = ONE[start : start + length]
    keeps_an_end = piece.startswith(placeholders.START) or piece.endswith(placeholders.END)
    assert placeholders.is_marked(f"a{piece}b") == keeps_an_end


@pytest.mark.parametrize("text", ["", "a", "sGnT0", "0tNgS", "signet", base64.b64encode(ONE.encode()).decode()])
def test_other_text_is_let_through(text):
    placeholders.refuse(text)
    assert placeholders.find(text) == ()
    assert placeholders.split(text) == [text]


def wrapped(text, width):
    encoded = base64.b64encode(text.encode()).decode()
    return "\n".join(encoded[at : at + width] for at in range(0, len(encoded), width)) + "\n"


@given(CLEAR, CLEAR, st.integers(1, 80))
def test_base64_of_one_is_found_wherever_it_stands_in_its_text_and_however_it_is_wrapped(before, after, width):
    text = before + ONE + after
    assert placeholders.decoded(wrapped(text, width)) == text


@given(CLEAR)
def test_base64_of_anything_else_is_left_alone(text):
    assert placeholders.decoded(base64.b64encode(text.encode()).decode()) is None
    assert placeholders.decoded(text) is None


def test_a_placeholder_itself_is_not_taken_for_base64():
    assert placeholders.decoded(ONE) is None


@pytest.mark.parametrize("text", ["a: {}", "{}\n---", "!{}", "{}Zg==Zg=="])
@pytest.mark.parametrize("before", ["", "x", "xy"])
def test_base64_of_one_within_another_text_is_an_error(text, before):
    encoded = base64.b64encode((before + ONE).encode()).decode()
    with pytest.raises(PlaceholderError):
        placeholders.decoded(text.format(encoded))
