"""The data key of a file: any key of one group, or as many groups as the threshold says."""

from __future__ import annotations

import itertools
import secrets
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.cli import exit_codes
from agent.sops.format import shamir
from agent.sops.format.groups import Recipients, WrappedDataKey, in_order, unwrap_data_key, wrap_data_key
from agent.sops.format.keys import AgeKey, AgeRecipient, ByKind, HuaweiKey, PgpKey, Recipient, WrappedKey
from agent.values.errors import DataKeyError, NoMasterKeyError, SopsEncryptError, StoreUnavailableError
from agent.values.secret import Secret

DATA_KEY = Secret(bytes(range(32)), "data key")
HUAWEI = HuaweiKey("region:id", "", "")
PGP = PgpKey("p", "", "")


@dataclass
class Ring:
    """Opens what it wrapped, for those of its recipients that it holds; counts what it is asked."""

    held: set[str] = field(default_factory=set)
    parts: dict[str, Secret] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def unwrap(self, key: WrappedKey) -> Secret:
        assert isinstance(key, AgeKey)
        self.asked.append(key.recipient)
        if key.recipient not in self.held:
            raise DataKeyError("it is not held")
        return self.parts[key.enc]

    def wrap(self, recipient: Recipient, data_key: Secret, *, created_at: str) -> WrappedKey:
        assert isinstance(recipient, AgeRecipient)
        enc = f"{len(self.parts)}"
        self.parts[enc] = data_key
        return AgeKey(recipient.recipient, enc)


class Away:
    def unwrap(self, key: WrappedKey) -> Secret:
        raise StoreUnavailableError("the server is away")

    def wrap(self, recipient: Recipient, data_key: Secret, *, created_at: str) -> WrappedKey:
        raise AssertionError


def recipients(*groups: str, threshold: int = 0) -> Recipients:
    return Recipients(tuple(tuple(AgeRecipient(name) for name in group) for group in groups), threshold)


def wrap(ring: Ring, whom: Recipients, before: WrappedDataKey | None = None) -> WrappedDataKey:
    return wrap_data_key(whom, DATA_KEY, ring, created_at="", random_bytes=secrets.token_bytes, before=before)


def unwrap(ring: Ring, wrapped: WrappedDataKey, held: str) -> Secret:
    ring.held = set(held)
    return unwrap_data_key(wrapped, ByKind({"age": ring}), file="f.yaml")


@pytest.mark.parametrize("held", ["a", "b", "ab"])
def test_any_key_of_one_group_is_enough(held: str) -> None:
    ring = Ring()
    assert unwrap(ring, wrap(ring, recipients("ab")), held) == DATA_KEY


def test_the_threshold_of_groups_is_enough_and_fewer_are_not() -> None:
    ring = Ring()
    wrapped = wrap(ring, recipients("ab", "c", "de", threshold=2))
    assert wrapped.threshold == 2
    for held in ("ac", "bd", "ce", "abcde"):
        assert unwrap(ring, wrapped, held) == DATA_KEY
    for held in ("", "ab", "de"):
        with pytest.raises(DataKeyError) as caught:
            unwrap(ring, wrapped, held)
        assert (caught.value.facts["needed"], exit_codes.of(caught.value)) == (2, 128)


def test_without_a_threshold_all_groups_are_needed() -> None:
    ring = Ring()
    wrapped = wrap(ring, recipients("a", "b", "c"))
    assert wrapped.threshold == 3
    assert unwrap(ring, wrapped, "abc") == DATA_KEY
    with pytest.raises(DataKeyError) as caught:
        unwrap(ring, wrapped, "ac")
    assert caught.value.facts["keys"] == "group 2, age b: it is not held"


def test_no_more_groups_are_asked_than_are_needed() -> None:
    ring = Ring()
    unwrap(ring, wrap(ring, recipients("a", "b", "c", threshold=2)), "abc")
    assert ring.asked == ["a", "b"]


@pytest.mark.parametrize(("groups", "threshold"), [(2, 1), (2, 3), (3, -1)])
def test_a_threshold_that_the_groups_cannot_have_is_refused(groups: int, threshold: int) -> None:
    with pytest.raises(SopsEncryptError):
        wrap(Ring(), recipients(*"abc"[:groups], threshold=threshold))


def test_at_least_one_key_must_open_it() -> None:
    with pytest.raises(NoMasterKeyError):
        wrap(Ring(), Recipients())


def test_who_stays_keeps_the_entry_and_who_comes_gets_one() -> None:
    ring = Ring()
    before = wrap(ring, recipients("ab"))
    after = wrap(ring, recipients("bca"), before)
    assert after.groups[0][0] == before.groups[0][1]
    assert after.groups[0][2] == before.groups[0][0]
    assert after.recipients == recipients("bca")
    assert unwrap(ring, after, "c") == DATA_KEY


def test_a_recipient_is_wrapped_for_once() -> None:
    assert len(wrap(Ring(), recipients("aa")).keys) == 1


def test_a_wrapped_key_is_opened_once() -> None:
    ring = Ring(held={"b"})
    wrapped = wrap(ring, recipients("ab"))
    opened: dict[WrappedKey, Secret] = {}
    for _ in range(3):
        assert unwrap_data_key(wrapped, ring, file="f", opened=opened) == DATA_KEY
    assert ring.asked == ["a", "b"]


def test_the_error_tells_about_each_key() -> None:
    ring = Ring()
    wrapped = WrappedDataKey.one_group(HUAWEI, *wrap(ring, recipients("a")).keys)
    with pytest.raises(DataKeyError) as caught:
        unwrap(ring, wrapped, "")
    assert str(caught.value) == (
        "f.yaml: no key opens the data key "
        "(keys age a: it is not held; hckms region:id: no key of this kind can be used here)"
    )
    assert exit_codes.of(caught.value) == 128


def test_keys_are_tried_by_kind_then_as_the_file_has_them() -> None:
    one, two = AgeKey("1", ""), AgeKey("2", "")
    assert in_order([HUAWEI, PGP, one, two], ("age", "pgp")) == [one, two, PGP, HUAWEI]
    assert in_order([HUAWEI, PGP, one], ("pgp",)) == [PGP, HUAWEI, one]


def test_a_key_that_fails_for_now_makes_the_whole_fail_for_now() -> None:
    ring = Ring()
    wrapped = WrappedDataKey.one_group(PGP, *wrap(ring, recipients("a")).keys)
    keys = ByKind({"age": ring, "pgp": Away()})
    with pytest.raises(StoreUnavailableError):
        unwrap_data_key(wrapped, keys, file="f")
    ring.held = {"a"}
    assert unwrap_data_key(wrapped, keys, file="f", order=("pgp",)) == DATA_KEY


@given(st.binary(min_size=1, max_size=40), st.integers(2, 6), st.data())
def test_any_threshold_of_shares_gives_the_secret(secret: bytes, count: int, data: st.DataObject) -> None:
    threshold = data.draw(st.integers(2, count))
    shares = shamir.split(secret, count, threshold, secrets.token_bytes)
    for chosen in itertools.combinations(shares, threshold):
        assert shamir.combine(chosen) == secret
    assert shamir.combine(shares) == secret


# Made by hand on paper: the polynomial 0x41 + 0x53·x over GF(2^8).
def test_shares_are_the_polynomials_values_and_where_they_were_taken() -> None:
    shares = shamir.split(b"\x41", 3, 2, lambda size: b"\x53" * size)
    assert shares == [b"\x12\x01", b"\xe7\x02", b"\xb4\x03"]


def test_too_few_shares_give_another_secret() -> None:
    shares = shamir.split(bytes(range(32)), 4, 3, secrets.token_bytes)
    assert shamir.combine(shares[:2]) != bytes(range(32))


@pytest.mark.parametrize(
    "shares", [[], [b"ab"], [b"ab", b"abc"], [b"a\1", b"b\1"], [b"a\0", b"b\1"], [b"\1", b"\2"], [b"", b"a"]]
)
def test_what_are_no_shares_is_refused(shares: list[bytes]) -> None:
    with pytest.raises(DataKeyError):
        shamir.combine(shares)
