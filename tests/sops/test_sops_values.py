"""Single values: exact bytes, what they are bound to, and what is kept over an edit."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING

import cost
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sops.files import decrypt, encrypt
from agent.sops.format import cipher
from agent.sops.format.cipher import Cipher
from agent.sops.format.groups import WrappedDataKey
from agent.sops.format.keys import AgeKey
from agent.sops.format.metadata import Metadata
from agent.sops.format.selection import Selected, Selection, Selector, matcher
from agent.sops.format.walk import rewrite
from agent.sops.stores import named
from agent.values.errors import DataKeyError, NoMasterKeyError, SopsDecryptError, SopsEncryptError, SopsFormatError
from agent.values.secret import Secret
from agent.yaml.nodes import Comment, Entry, Mapping, Timestamp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.sops.format.walk import Place, Scalar

KEY = Secret(bytes(range(32)), "data key")
IV = bytes(range(32, 64))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("text", b"text"),
        ("\udcff", b"\xff"),
        (5, b"5"),
        (-7, b"-7"),
        (1.0, b"1"),
        (1.5, b"1.5"),
        (1e21, b"1000000000000000000000"),
        (1e-7, b"0.0000001"),
        (float("inf"), b"+Inf"),
        (True, b"True"),
        (False, b"False"),
        (Timestamp("2024-01-02T00:00:00Z"), b"2024-01-02T00:00:00Z"),
        (Comment(" note"), b" note"),
    ],
)
def test_a_value_has_the_bytes_of_sops_and_comes_back(value: cipher.Text, text: bytes) -> None:
    assert cipher.plain_bytes(value) == text
    encrypted = cipher.parse(Cipher(KEY).encrypt(value, "a:b:", IV))
    assert encrypted is not None
    opened = Cipher(KEY).open(encrypted, "a:b:")
    assert opened == value
    assert type(opened) is type(value)


def test_equal_arguments_give_equal_text() -> None:
    assert Cipher(KEY).encrypt("hunter2", "stringData:password:", IV) == (
        "ENC[AES256_GCM,data:f7SfPOh95A==,iv:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=,tag:WBPE6k3mfjV0rMrvCs5GEw==,type:str]"
    )
    assert Cipher(KEY).encrypt("", "a:", IV) == ""


@given(st.text(), st.text(min_size=1), st.text(min_size=1))
def test_a_value_opens_only_where_it_was_made(value: str, place: str, other: str) -> None:
    encrypted = cipher.parse(Cipher(KEY).encrypt(value or "x", place, IV))
    assert encrypted is not None
    assert Cipher(KEY).open(encrypted, place) == (value or "x")
    if other != place:
        with pytest.raises(SopsDecryptError):
            Cipher(KEY).open(encrypted, other)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain",
        "ENC[AES256_GCM,data:x]",
        "ENC[AES256_GCM,data:eA==,iv:eA==,tag:eA==,type:]",
        "ENC[AES256_GCM,data:?,iv:eA==,tag:eA==,type:str]",
        "ENC[AES128,data:eA==,iv:eA==,tag:eA==,type:str]",
    ],
)
def test_other_text_is_no_value(text: str) -> None:
    assert cipher.parse(text) is None


def test_an_iv_of_a_hopeless_size_is_an_error_not_a_crash() -> None:
    for size in (0, 1, 500):
        with pytest.raises((SopsFormatError, SopsDecryptError)):
            Cipher(KEY).open(cipher.Encrypted(b"x" * 32, b"i" * size, "str"), "a:")


@pytest.mark.parametrize("data_key", [Secret(b"x" * 16, "k"), Secret("x" * 32, "k"), Secret(b"", "k")])
def test_a_data_key_is_32_bytes(data_key: Secret) -> None:
    with pytest.raises(DataKeyError):
        Cipher(data_key)


def make(text: bytes, ivs: decrypt.Ivs | None = None, selection: Selection | None = None) -> bytes:
    counter = itertools.count()
    metadata = Metadata(WrappedDataKey.one_group(AgeKey("age1x", "y")), selection or Selection())
    documents = encrypt.encrypt(
        named("yaml").parse(text, file="f.yaml"),
        metadata,
        KEY,
        file="f.yaml",
        random_bytes=lambda size: next(counter).to_bytes(size, "big"),
        lastmodified="2026-01-01T00:00:00Z",
        ivs=ivs,
    )
    return named("yaml").emit(documents)


def test_encrypting_is_a_function_of_its_arguments() -> None:
    assert make(b"a: 1\nb: [x, y]\n") == make(b"a: 1\nb: [x, y]\n")


def test_an_edit_changes_only_the_lines_it_touched() -> None:
    before = make(b"# note\na: one\nb: two\nc: [3, true, 4.5]\n")
    file = decrypt.read(before, file="f.yaml", store=named("yaml"))
    plain = decrypt.decrypt(file, KEY)
    after = make(b"# note\na: one\nb: TWO\nc: [3, true, 4.5]\n", plain.ivs)
    changed = [old for old, new in zip(before.splitlines(), after.splitlines(), strict=True) if old != new]
    assert [line.split(b":")[0].strip() for line in changed] == [b"b", b"mac"]


def test_plaintext_shows_in_no_repr() -> None:
    plain = decrypt.decrypt(decrypt.read(make(b"a: canary\n"), file="f.yaml", store=named("yaml")), KEY)
    assert "canary" not in repr(plain)
    assert "canary" not in repr(plain.ivs)


def test_nothing_is_encrypted_without_a_recipient() -> None:
    with pytest.raises(NoMasterKeyError):
        encrypt.encrypt(
            named("yaml").parse(b"a: 1\n", file="f"),
            Metadata(WrappedDataKey(()), Selection()),
            KEY,
            file="f",
            random_bytes=bytes,
            lastmodified="2026-01-01T00:00:00Z",
        )


def test_a_comment_that_would_not_be_found_again_is_refused() -> None:
    with pytest.raises(SopsEncryptError):
        make(b"# secret\na: 1\n", selection=Selection("unencrypted_comment_regex", "^ENC"))


def test_a_hostile_pattern_is_matched_in_linear_time() -> None:
    started = time.monotonic()
    assert not matcher("^(a+)+$")("a" * 5000 + "!")
    assert not matcher("(a*)*" * 1999 + "z")("a" * 200)
    assert time.monotonic() - started < 2


class Untouched:
    """A Visitor."""

    def value(self, value: Scalar, place: Place) -> Scalar:
        del place
        return value

    def comment(self, comment: Comment, place: Place) -> Comment:
        del place
        return comment


@pytest.mark.parametrize("kind", ["encrypted_comment_regex", "unencrypted_comment_regex"])
def test_comments_that_wait_for_a_value_are_asked_once_each(kind: Selector) -> None:
    """Where each was asked again for each that followed, four thousand took seconds, and what a file can hold took years."""
    many = Mapping((*(Comment("a", inline=False) for _ in range(50_000)), Entry("k", "v", 1)))
    with cost.at_most(seconds=10):
        rewrite(many, Selected(Selection(kind, "^secret")), Untouched(), file="many.yaml")


@pytest.mark.parametrize(
    ("keys", "comments"),
    [((), ["a" * 50_000]), ((), [f"{'a' * 2000}{number}" for number in range(1000)]), (("a" * 50_000,), ())],
    ids=["a long comment", "many comments", "a long key"],
)
def test_what_a_pattern_costs_on_all_of_a_file_is_bounded(keys: Sequence[str], comments: Sequence[str]) -> None:
    """RE2 is linear in the text and in the pattern: both together were minutes, in which nothing else of the process went on."""
    kind: Selector = "encrypted_regex" if keys else "encrypted_comment_regex"
    selection = Selection(kind, "(x?y?z?a?){1000}b")
    document = Mapping((*(Comment(each, inline=False) for each in comments), *(Entry(key, "v", 1) for key in keys)))
    with cost.at_most(seconds=10), pytest.raises(SopsFormatError, match="takes too long"):
        rewrite(document, Selected(selection), Untouched(), file="long.yaml")


@pytest.mark.parametrize("pattern", ["(", "(?=a)", r"\1", "a{1000000}", r"(\pL*\pN*){60}", "a" * 10_001, "\udcff"])
def test_what_re2_does_not_take_is_refused(pattern: str) -> None:
    with pytest.raises(SopsFormatError):
        Selected(Selection("encrypted_regex", pattern))
