"""The stored record: what is read is what was written, or it is refused."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.engine.record import ApplicationRecord, ObjectRecord, QuestionRecord
from agent.engine.shards import HEAD, Codec, RecordDamagedError, unverified
from agent.values.fingerprint import Fingerprinter
from agent.values.ids import ObjectId, Revision
from agent.values.secret import Secret

MAC = Fingerprinter.derive(Secret(b"k" * 32, "test"), "record")
CODEC = Codec(MAC, "uid-1")

names = st.text("abc-", min_size=1, max_size=8)
ids = st.builds(ObjectId, st.sampled_from(["", "apps"]), st.sampled_from(["Secret", "Deployment"]), names, names)
objects = st.builds(
    ObjectRecord,
    st.just("v1"),
    uid=names,
    desired_digest=names,
    holds_secret=st.booleans(),
    stores=st.dictionaries(names, st.integers(0, 9), max_size=2),
    files=st.tuples(names),
    made=st.dictionaries(names, st.integers(0, 2**33), max_size=2),
)
questions = st.builds(QuestionRecord, st.lists(names, max_size=3).map(tuple), names, st.integers(0, 9))
revisions = st.one_of(st.none(), st.builds(Revision, names, names, st.text(max_size=5), st.integers(0, 2**33)))
records = st.builds(
    ApplicationRecord,
    revisions,
    st.integers(0, 5),
    st.dictionaries(ids, objects, max_size=5),
    st.dictionaries(names, names, max_size=3),
    st.integers(0, 9),
    names,
    revisions,
    questions=st.one_of(st.none(), questions),
)


def merged(stored: dict[str, str], changed: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in {**stored, **changed}.items() if text}


@given(st.lists(records, min_size=1, max_size=4))
def test_what_is_written_is_read(history: list[ApplicationRecord]) -> None:
    stored: dict[str, str] = {}
    for record in history:
        stored = merged(stored, CODEC.encode(record, stored))
        assert CODEC.decode(stored) == record
        assert CODEC.encode(record, stored) == {}


def many(count: int) -> ApplicationRecord:
    keys = [ObjectId("", "Secret", "shop", f"s{number}") for number in range(count)]
    return ApplicationRecord(objects={key: ObjectRecord("v1", uid=key.name) for key in keys})


def test_only_the_shards_that_changed_are_written() -> None:
    record = many(6000)
    stored = CODEC.encode(record, {})
    assert len(stored) == 4
    changed = record.with_objects({ObjectId("", "Secret", "shop", "s7"): ObjectRecord("v1", uid="new")})
    assert len(CODEC.encode(changed, stored)) == 2


def test_shards_that_are_needed_no_more_are_removed() -> None:
    stored = CODEC.encode(many(6000), {})
    changed = CODEC.encode(many(10), stored)
    assert sorted(name for name, text in changed.items() if not text) == ["objects-1", "objects-2"]


def flip(text: str) -> str:
    return text[:-5] + ("A" if text[-5] != "A" else "B") + text[-4:]


TWO = ApplicationRecord(objects={ObjectId("", "Secret", "shop", "a"): ObjectRecord("v1", uid="1")}, generation=1)
STORED = CODEC.encode(TWO, {})
LATER = merged(STORED, CODEC.encode(replace(TWO, objects={}, generation=2), STORED))

DAMAGED = {
    "an edited shard": {**STORED, "objects-0": flip(STORED["objects-0"])},
    "an edited head": {**STORED, HEAD: flip(STORED[HEAD])},
    "a missing head": {"objects-0": STORED["objects-0"]},
    "a missing shard": {HEAD: STORED[HEAD]},
    "an older shard under a newer head": {**LATER, "objects-0": STORED["objects-0"]},
    "a shard under another name": {**STORED, "objects-0": STORED[HEAD]},
    "an empty text": {**STORED, HEAD: ""},
    "no record at all": {**STORED, HEAD: "hello"},
    "a text that was cut": {**STORED, HEAD: "1.5"},
    "a counter that is no number": {**STORED, HEAD: "1.x" + STORED[HEAD][3:]},
    "another version": {**STORED, HEAD: "2" + STORED[HEAD][1:]},
    "a counter of 5,000 digits": {**STORED, HEAD: STORED[HEAD].replace("1.1.", f"1.{'1' * 5000}.", 1)},
    "a MAC that is no ASCII": {**STORED, HEAD: "1.1.ä." + STORED[HEAD].split(".", 3)[3]},
}


@pytest.mark.parametrize("shards", DAMAGED.values(), ids=DAMAGED.keys())
def test_what_was_tampered_with_is_refused(shards: dict[str, str]) -> None:
    with pytest.raises(RecordDamagedError):
        CODEC.decode(shards)


def packed(value: object) -> str:
    return base64.b64encode(zlib.compress(json.dumps(value).encode())).decode()


def head(**more: object) -> str:
    return "1.1.mac." + packed({"counter": 1, "shards": {}, **more})


UNREADABLE = {
    **{name: DAMAGED[name] for name in ("a missing head", "a missing shard", "an empty text", "no record at all")},
    "a body that is no base64": {HEAD: "1.1.mac.***"},
    "a body that is not compressed": {HEAD: "1.1.mac." + base64.b64encode(b"hello").decode()},
    "a body that was cut off": {HEAD: STORED[HEAD][:60]},
    "a body that is no JSON": {HEAD: "1.1.mac." + base64.b64encode(zlib.compress(b"{")).decode()},
    "a body that is not a map": {HEAD: "1.1.mac." + packed([])},
    "JSON that is deeply nested": {
        HEAD: "1.1.mac." + base64.b64encode(zlib.compress(b"[" * 100_000 + b"]" * 100_000)).decode()
    },
    "a head without a counter": {HEAD: "1.1.mac." + packed({"shards": {}})},
    "a generation that is no number": {HEAD: head(generation="many")},
    "a commit that is none": {HEAD: head(revision=["abc"])},
    "shards that are none": {HEAD: head(shards=[])},
    "an object's key that is none": {
        HEAD: head(shards={"objects-0": 1}),
        "objects-0": "1.1.mac." + packed({"Secret": {}}),
    },
    "an object that is none": {
        HEAD: head(shards={"objects-0": 1}),
        "objects-0": "1.1.mac." + packed({"/Secret/shop/a": []}),
    },
}


@pytest.mark.parametrize("shards", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_is_no_record_is_refused_where_nothing_is_verified(shards: dict[str, str]) -> None:
    with pytest.raises(RecordDamagedError):
        unverified(shards)


def test_a_record_is_read_without_the_key() -> None:
    assert unverified(STORED) == TWO


def test_a_writer_that_was_stopped_before_the_head_costs_no_record() -> None:
    torn = {**LATER, HEAD: STORED[HEAD]}
    assert CODEC.decode(torn) == replace(TWO, objects={}, generation=1)
    repaired = merged(torn, CODEC.encode(TWO, torn))
    assert CODEC.decode(repaired) == TWO


def test_the_record_of_another_application_is_refused() -> None:
    with pytest.raises(RecordDamagedError):
        Codec(MAC, "uid-2").decode(STORED)


def test_the_record_of_another_installation_is_refused() -> None:
    other = Fingerprinter.derive(Secret(b"x" * 32, "test"), "record")
    with pytest.raises(RecordDamagedError):
        Codec(other, "uid-1").decode(STORED)
