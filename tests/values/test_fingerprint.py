import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from agent.values.fingerprint import Fingerprinter, canonical, shown
from agent.values.secret import Sealed, Secret, encode
from agent.values.tree import map_leaves

INSTALLATION = Secret(b"0123456789abcdef0123456789abcdef", "installation key")
RECORD = Fingerprinter.derive(INSTALLATION, "record")
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
TREES = st.recursive(
    SCALARS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=3), below, max_size=3),
    max_leaves=8,
)


def framed(*parts: str) -> bytes:
    return b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)


@pytest.mark.parametrize("value", ["hunter2", 5, True, 1.5, ""])
def test_keys_are_those_of_rfc_5869(value):
    info = framed("record", "leaf", "uid", "/Secret/shop/db", "data.password")
    key = HKDF(SHA256(), 32, b"signet fingerprint v1", info).derive(b"0123456789abcdef0123456789abcdef")
    expected = hmac.digest(key, encode(value), "sha256").hex()[:32]
    assert RECORD.leaf("uid", "/Secret/shop/db", ("data", "password"), value) == expected


def test_a_secret_and_an_equal_plain_scalar_give_the_same():
    for value in ("a", 1, True, 1.5):
        assert RECORD.leaf("u", "o", ("p",), Secret(value, "l")) == RECORD.leaf("u", "o", ("p",), value)


@pytest.mark.parametrize(("one", "other"), [(1, True), (1, 1.0), (1, "1"), (None, ""), ("a", b"a"), ("n", None)])
def test_scalars_that_look_alike_differ(one, other):
    assert RECORD.leaf("u", "o", ("p",), one) != RECORD.leaf("u", "o", ("p",), other)


def test_equal_values_cannot_be_linked():
    prints = {
        RECORD.leaf("u", "o", ("p",), "same"),
        RECORD.leaf("v", "o", ("p",), "same"),
        RECORD.leaf("u", "q", ("p",), "same"),
        RECORD.leaf("u", "o", ("q",), "same"),
        Fingerprinter.derive(INSTALLATION, "diff").leaf("u", "o", ("p",), "same"),
        Fingerprinter.derive(Secret(b"x" * 32, "other key"), "record").leaf("u", "o", ("p",), "same"),
        RECORD.tree("u", "o", "same"),
        RECORD.text("u", "o", "same"),
        hashlib.sha256(b"same").hexdigest()[:32],
    }
    assert len(prints) == 9


@given(TREES, TREES)
def test_trees_collide_only_where_they_are_the_same(one, other):
    same = canonical(one) == canonical(other)
    assert same == (RECORD.tree("u", "o", one) == RECORD.tree("u", "o", other))
    if same:
        assert one == other


@given(TREES)
def test_sealing_a_tree_keeps_its_fingerprint(tree):
    sealed = map_leaves(tree, lambda _, leaf: None if leaf is None else Secret(leaf, "l"))
    assert RECORD.tree("u", "o", sealed) == RECORD.tree("u", "o", tree)


def test_the_order_of_keys_does_not_count_and_of_items_does():
    assert canonical({"a": 1, "b": 2}) == canonical({"b": 2, "a": 1})
    assert canonical([1, 2]) != canonical([2, 1])


def test_a_ciphertext_counts_by_its_id():
    assert canonical(Sealed("a", "l", "str")) != canonical(Sealed("b", "l", "str"))
    assert canonical(Sealed("a", "l", "str")) == canonical(Sealed("a", "m", "str"))


@given(st.lists(st.text(max_size=3), max_size=4), st.lists(st.text(max_size=3), max_size=4))
def test_no_two_lists_of_texts_collide(one, other):
    assert (RECORD.text(*one) == RECORD.text(*other)) == (one == other)


@pytest.mark.parametrize("key", [b"short", b"", "0123456789abcdef0123456789abcdef", 5])
def test_a_weak_installation_key_is_refused(key):
    with pytest.raises(ValueError, match="32 bytes"):
        Fingerprinter.derive(Secret(key, "l"), "record")


def test_people_are_shown_48_bits_and_no_key():
    assert shown(RECORD.text("x")) == f"fp:{RECORD.text('x')[:12]}"
    assert repr(RECORD) == "Fingerprinter('record', version='1')"


def test_what_is_no_leaf_has_no_fingerprint():
    with pytest.raises(TypeError):
        RECORD.leaf("u", "o", ("p",), object())
