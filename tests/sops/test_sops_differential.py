"""Files of real sops are read, and ours are read by it: same text, same meaning, same refusal."""

from __future__ import annotations

import datetime
import json
import math
import re
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.sops import decrypt, encrypt, stores
from agent.sops.keys import AgeRecipient, unwrap_data_key, wrap_data_key
from agent.sops.metadata import Metadata
from agent.sops.selection import Selection
from agent.values.secret import Secret

if TYPE_CHECKING:
    from conftest import Sops

NOW = "2026-11-23T06:00:00Z"

DOCUMENTS = {
    "scalars.yaml": b"""\
s: text
empty: ""
i: 5
neg: -17
hex: 0xff
oct: 0o17
old: 017
under: 1_000
f: 1.50
big: 1e21
small: 1e-7
inf: .inf
ninf: -.inf
t: true
n: null
tilde: ~
d: 2024-01-02
dt: 2024-01-02T03:04:05.100Z
zone: 2024-01-02T03:04:05+02:00
yes: yes
quoted: "0123"
bin: !!binary aGVsbG8=
raw: !!binary /////w==
uni: "\\U0001F600 \\u00e9"
""",
    "texts.yaml": b"""\
block: |
  line one
    indented
  last
strip: |-
  a
  b
keep: |+
  a

folded: >
  some
  folded

trailing: "ends in space \\n next"
cr: "a\\r\\nb"
tab: "a\\tb"
lead: "  leading"
hash: "# no comment"
colon: "a: b"
ctrl: "\\u0001"
""",
    "nesting.yaml": b"""\
a:
  b: [1, {c: d}, [x, y]]
  e: {}
  l: []
list:
- one
- k: v
  w: 2
-
  - deep
""",
    "comments.yaml": b"""\
# head one
# head two

a: 1 # inline
# before b
b:
  # in b
  c: 2
  # foot of b
# between
l: # on the key
  # first
  - x # inline in list
  # second
  - y
  # last
# end
""",
    "multi.yaml": b"a: 1\n---\n# doc two\nb: secret\n---\nc:\n  - 3\n",
    "anchors.yaml": b"base: &b {x: 1, y: two}\nuse:\n  <<: *b\n  z: 3\nalias: *b\n",
    "manifest.yaml": b"""\
apiVersion: v1
kind: Secret
metadata:
  name: db
  annotations:
    data: also matches
stringData:
  password: hunter2
  port: "5432"
data:
  k: aGk=
""",
    "suffixes.yaml": b"a_unencrypted: x\nb: {c_unencrypted: {d: 1}, e: 2}\nf_secret: y\ng_secret: {h: [1, z]}\n",
    "marked.yaml": b"""\
# plain: first
a: 1
# mark
b: 2
c:
  # mark
  d: 3
  # other
  # mark
  # more
  e: 4
  f: 5
l:
  - 1
  # mark
  - 2
  - 3
""",
    "values.json": json.dumps(
        {
            "s": "text",
            "html": "<a&b>",
            "uni": "\u00e9\U0001f600\u2028",
            "i": 5,
            "big": 9007199254740993,
            "f": 1.5,
            "whole": 2.0,
            "exp": 1e300,
            "t": True,
            "n": None,
            "e": "",
            "l": [1, {"x": [None, "y"]}, []],
            "o": {},
            "a_unencrypted": "clear",
        }
    ).encode(),
}
SELECTIONS = [
    Selection(),
    Selection("encrypted_regex", "^(data|stringData|b|l)$"),
    Selection("unencrypted_regex", "^(kind|apiVersion|a)$"),
    Selection("encrypted_suffix", "_secret"),
    Selection("unencrypted_suffix", "_secret"),
    Selection("encrypted_comment_regex", "mark"),
    Selection("unencrypted_comment_regex", "^ mark$"),
]


def ours(sops: Sops, data: bytes, name: str, selection: Selection) -> bytes:
    """What we make of a plain file."""
    store = stores.of(name)
    data_key = Secret(secrets.token_bytes(32), "data key")
    keys = wrap_data_key([AgeRecipient(sops.recipient)], data_key, sops.keys, created_at=NOW)
    documents = encrypt.encrypt(
        store.parse(data, file=name),
        Metadata(keys, selection),
        data_key,
        file=name,
        random_bytes=secrets.token_bytes,
        lastmodified=NOW,
    )
    return store.emit(documents)


def opened(sops: Sops, data: bytes, name: str) -> bytes:
    """The plaintext that we print of an encrypted file."""
    store = stores.of(name)
    file = decrypt.read(data, file=name, store=store)
    data_key = unwrap_data_key(file.metadata.keys, sops.keys, file=name)
    return store.emit(decrypt.decrypt(file, data_key).documents)


CASES = [
    *((name, SELECTIONS[0]) for name in DOCUMENTS),
    *((name, selection) for name in ("manifest.yaml", "suffixes.yaml", "marked.yaml") for selection in SELECTIONS[1:]),
    *((name, replace(selection, mac_only_encrypted=True)) for name in ("marked.yaml",) for selection in SELECTIONS),
    ("manifest.yaml", replace(SELECTIONS[1], mac_only_encrypted=True)),
    ("values.json", replace(SELECTIONS[1], mac_only_encrypted=True)),
]


@pytest.mark.parametrize(
    ("name", "selection"),
    CASES,
    ids=[f"{name} {each.selector} {'encrypted' if each.mac_only_encrypted else 'all'}" for name, each in CASES],
)
def test_both_directions_give_what_sops_gives(sops: Sops, name: str, selection: Selection) -> None:
    data = DOCUMENTS[name]
    theirs = sops.encrypt(data, name, **{selection.selector: selection.pattern}, mac_only_encrypted=selection.mac_only_encrypted)
    text = sops.decrypt(theirs, name)
    assert opened(sops, theirs, name) == text

    made = ours(sops, data, name, selection)
    assert sops.decrypt(made, name) == text
    assert opened(sops, made, name) == text


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_layout_is_that_of_sops(sops: Sops, name: str) -> None:
    """But for what is random: keys and values."""

    def layout(data: bytes) -> str:
        text = re.sub(r"(?s)-----BEGIN.*?-----END AGE ENCRYPTED FILE-----", "AGE", data.decode())
        return re.sub(r"\d{4}-\d\d-\d\dT[\d:]+Z", "TIME", re.sub(r"ENC\[[^]]*\]", "ENC", text))

    assert layout(ours(sops, DOCUMENTS[name], name, Selection())) == layout(sops.encrypt(DOCUMENTS[name], name))


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00\x7f\ufeff\ufffe\uffff", exclude_categories=("Cc", "Cs")), max_size=12)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
    | st.sampled_from(["", "~", "yes", "0x1", "1e3", "2024-01-02", "<<", "=", "a\nb", "a\n", " x ", "#", "- a", "ENC[", "12:30"])
)
KEYS = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=6).filter(lambda key: key != "sops")
TREES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=12)


@pytest.mark.parametrize("name", ["any.yaml", "any.json"])
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(tree=st.dictionaries(KEYS, TREES, min_size=1, max_size=4))
def test_any_document_survives_both_ways(sops: Sops, name: str, tree: dict[str, Any]) -> None:
    data = json.dumps(tree, ensure_ascii=False).encode()
    made = ours(sops, data, name, Selection())
    text = sops.decrypt(made, name)
    assert opened(sops, made, name) == text
    theirs = sops.encrypt(data, name)
    assert sops.decrypt(theirs, name) == text
    assert opened(sops, theirs, name) == text
    if name.endswith("json"):
        assert same(json.loads(text), tree)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) or isinstance(other, float):
        return math.isclose(one, other, rel_tol=0, abs_tol=0)
    return type(one) is type(other) and one == other


@pytest.mark.parametrize(
    ("data", "exit_code"),
    [
        (b"1: a\n", 23),
        (b"a: 9223372036854775808\n", 23),
        (b"- a\n", 2),
        (b"a: 1\na: 2\n", 2),
        (b"", 92),
        (b"sops: 1\n", 203),
        (b"a: [\n", 2),
        (b"text\n", 2),
    ],
)
def test_what_sops_refuses_is_refused_with_its_exit_code(sops: Sops, data: bytes, exit_code: int) -> None:
    from agent.values.errors import AgentError

    done = sops.run("encrypt", "--age", sops.recipient, name="bad.yaml", data=data)
    assert done.returncode == exit_code
    with pytest.raises(AgentError) as caught:
        ours(sops, data, "bad.yaml", Selection())
    assert caught.value.exit_code == exit_code


def test_the_text_that_sops_prints_means_the_same_to_other_parsers(sops: Sops) -> None:
    text = opened(sops, ours(sops, DOCUMENTS["scalars.yaml"], "scalars.yaml", Selection()), "scalars.yaml")
    tree = yaml.safe_load(text)
    assert tree["quoted"] == "0123"
    assert tree["hex"] == 255
    assert tree["d"] == datetime.datetime(2024, 1, 2, tzinfo=datetime.UTC)
