import base64
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.values import derive
from agent.values.errors import SecretValueError
from agent.values.reveal import reveal
from agent.values.secret import Secret

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
PARTS = re.compile(r"\[[a-z]+\]")


def s(value, *labels):
    return Secret(value, *(labels or ("l",)))


@pytest.mark.parametrize(
    ("value", "expected"),
    [("a", "a"), (True, "true"), (False, "false"), (12, "12"), (1.5, "1.5"), (b"caf\xc3\xa9", "café"), ("", "")],
)
def test_scalars_become_the_text_that_a_string_field_takes(value, expected):
    assert reveal(derive.text(s(value))) == expected


def test_bytes_that_are_no_text_are_refused_without_showing_them():
    with pytest.raises(SecretValueError) as caught:
        derive.text(s(b"canary\xff"))
    assert "canary" not in str(caught.value)
    assert caught.value.__context__ is None


@given(st.lists(st.tuples(TEXT, st.booleans()), min_size=1, max_size=5))
def test_parts_are_joined_in_order_and_keep_every_label_once(parts):
    given_parts = [s(text, f"l{index % 2}") if secret else text for index, (text, secret) in enumerate(parts)]
    labels = {f"l{index % 2}" for index, (_, secret) in enumerate(parts) if secret}
    if not labels:
        with pytest.raises(TypeError):
            derive.concat(given_parts)
        return
    joined = derive.concat(given_parts)
    assert reveal(joined) == "".join(text for text, _ in parts)
    assert set(joined.labels) == labels
    assert len(joined.labels) == len(labels)


@given(st.lists(st.sampled_from(["[abc]", "x", "]", "[", "ä", "[z]"]), max_size=8).map("".join))
def test_a_split_shows_what_matches_only_and_loses_nothing(text):
    parts = derive.split(s(text), PARTS)
    assert "".join(part if isinstance(part, str) else str(reveal(part)) for part in parts) == text
    assert [part for part in parts if isinstance(part, str)] == PARTS.findall(text)


def test_a_scalar_that_is_no_text_is_not_split():
    secret = s(5)
    assert derive.split(secret, PARTS)[0] is secret


@given(st.binary() | TEXT)
def test_base64_goes_both_ways(value):
    encoded = derive.base64_encode(s(value))
    raw = value if isinstance(value, bytes) else value.encode()
    assert reveal(encoded) == base64.b64encode(raw).decode()
    back = reveal(derive.base64_decode(encoded))
    assert (back if isinstance(back, bytes) else back.encode()) == raw


@pytest.mark.parametrize("value", ["canary!", "YQ", "YQ===", "ä", "YQ==YQ=="])
def test_what_is_not_base64_is_refused_without_showing_it(value):
    with pytest.raises(SecretValueError) as caught:
        derive.base64_decode(s(value))
    assert value not in str(caught.value)
    assert caught.value.__context__ is None


DOCUMENT = {"a": {"b/c": 1, "~": "t", "": True}, "l": [1.5, {"k": "v"}], "n": None}


@pytest.mark.parametrize(
    ("pointer", "expected"),
    [("/a/b~1c", 1), ("/a/~0", "t"), ("/a/", True), ("/l/0", 1.5), ("/l/1/k", "v"), ("/l/1", '{"k":"v"}')],
)
def test_pointers_reach_into_json(pointer, expected):
    found = reveal(derive.json_pointer(s(json.dumps(DOCUMENT)), pointer))
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize("pointer", ["/x", "/l/2", "/l/-1", "/l/x", "/a/b", "/n", "/l/0/x", "/l/\u0661", "/l/00"])
def test_a_pointer_to_nothing_is_an_error(pointer):
    with pytest.raises(SecretValueError):
        derive.json_pointer(s(json.dumps(DOCUMENT)), pointer)


def test_a_pointer_into_what_is_not_json_shows_nothing():
    with pytest.raises(SecretValueError) as caught:
        derive.json_pointer(s("{canary"), "/a")
    assert "canary" not in str(caught.value)
    assert caught.value.__context__ is None


def test_a_tree_goes_to_json_with_its_secrets():
    secret = derive.to_json({"a": [s("x"), 1], "b": {"c": s(True)}}, "rendered")
    assert secret.label == "rendered"
    assert json.loads(str(reveal(secret))) == {"a": ["x", 1], "b": {"c": True}}


def test_a_relabelled_secret_is_the_same_scalar():
    assert derive.relabel(s(5), "new") == s(5)
    assert derive.relabel(s(5), "new").labels == ("new",)


def test_what_takes_the_place_of_parts_has_room():
    """Without a bound a megabyte of one letter, each for a megabyte, would be all memory that there is: 16 MiB here."""
    assert reveal(derive.applied("replace", s("aXa"), ["a", "bc"])) == "bcXbc"
    assert reveal(derive.applied("replace", s("ab"), ["", "-"])) == "-a-b-"
    for old in ("a", ""):
        with pytest.raises(SecretValueError, match="too long"):
            derive.applied("replace", s("a" * 4096), [old, "b" * 4096])
