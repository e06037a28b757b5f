"""Documents of every kind that SOPS takes, generated ones too, and both directions of ours."""

from __future__ import annotations

import json
import re
import secrets
from itertools import zip_longest
from typing import TYPE_CHECKING, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from agent.cli import exit_codes
from agent.sops import stores
from agent.sops.files import decrypt, encrypt
from agent.sops.format import cipher
from agent.sops.format.cipher import Cipher
from agent.sops.format.groups import Recipients, unwrap_data_key, wrap_data_key
from agent.sops.format.keys import AgeRecipient
from agent.sops.format.metadata import Metadata
from agent.sops.format.selection import EVERYTHING, Selection
from agent.values.errors import AgentError
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Sops

    from agent.sops.stores import Store
    from agent.yaml.nodes import Mapping

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
FLAT = {
    "values.env": b"""\
# head
A=1

B= spaced "quoted" # no comment
export C='x'
C=again
C=twice
LINES=one\\ntwo
EMPTY=
EQUALS=a=b
CR=x\r
UNI=\xc3\xa9\xff
a_unencrypted=clear
#last
""",
    "values.ini": b"""\
; of the first key
top = 1
other : two ; behind

# one
;two
[section] # behind the header
quoted   = "inner"
single='x'
hash = `a # b`
lines = \"\"\"one
two\"\"\"
goes = on \\
   here
empty =
a_unencrypted = clear
percent = %(top)s
"quoted key" = 1
`q=u` = 2
[section]
again = 1
[a.b]
""",
    "values.bin": bytes(range(256)) * 3,
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
    return stores.of(name).emit(encrypted(sops, data, name, selection))


def encrypted(sops: Sops, data: bytes, name: str, selection: Selection) -> list[Mapping]:
    """A plain file's documents, encrypted, with their metadata."""
    store = stores.of(name)
    data_key = Secret(secrets.token_bytes(32), "data key")
    wrapped = wrap_data_key(
        Recipients.one_group(AgeRecipient(sops.recipient)),
        data_key,
        sops.keys,
        created_at=NOW,
        random_bytes=secrets.token_bytes,
    )
    return encrypt.encrypt(
        store.parse_plain(data, file=name),
        Metadata(wrapped, EVERYTHING if store.single else selection),
        data_key,
        file=name,
        random_bytes=secrets.token_bytes,
        lastmodified=NOW,
    )


def opened(sops: Sops, data: bytes, name: str, target: Store | None = None) -> bytes:
    """The plaintext that we print of an encrypted file."""
    store = stores.of(name)
    file = decrypt.read(data, file=name, store=store)
    data_key = unwrap_data_key(file.metadata.data_key, sops.keys, file=name)
    return (target or store).emit(decrypt.decrypt(file, data_key).documents)


def attempt(make: Callable[[], bytes]) -> bytes | int:
    """What is made, or the exit code of the error."""
    try:
        return make()
    except AgentError as error:
        return exit_codes.of(error)


def mac_of(sops: Sops, data: bytes, name: str) -> object:
    """The MAC of an encrypted file, opened."""
    metadata = decrypt.read(data, file=name, store=stores.of(name)).metadata
    sealed = cipher.parse(metadata.mac)
    assert sealed is not None
    return Cipher(unwrap_data_key(metadata.data_key, sops.keys, file=name)).open(sealed, metadata.lastmodified)


def assert_agreement(sops: Sops, data: bytes, name: str, selection: Selection) -> None:
    """Both directions: what either encrypted, both open to the same text, and the MACs cover the same."""
    rule = {selection.selector: selection.pattern} if selection.pattern else {}
    theirs = sops.encrypt(data, name, **rule, mac_only_encrypted=selection.mac_only_encrypted)
    text = sops.decrypt(theirs, name)
    assert_same(opened(sops, theirs, name), text)
    made = ours(sops, data, name, selection)
    assert_same(sops.decrypt(made, name), text)
    assert_same(opened(sops, made, name), text)
    assert mac_of(sops, made, name) == mac_of(sops, theirs, name)


def masked(data: bytes) -> bytes:
    """An encrypted file without its metadata, and without what differs in each run of what encrypts it."""
    bare = re.sub(rb"(?m)^(sops:.*\n)(?: +\S.*\n)+", rb"\1", data)
    return re.sub(rb"ENC\[[^\]]*,type:(\w+)\]", rb"ENC[\1]", bare)


def assert_same(one: bytes, other: bytes) -> None:
    """Equal, or the first line that is not, since these may be long."""
    if one != other:
        pairs = zip_longest(one.splitlines(), other.splitlines())
        number, pair = next((number, pair) for number, pair in enumerate(pairs, 1) if pair[0] != pair[1])
        pytest.fail(f"line {number}: {pair[0]!r} and {pair[1]!r}")


Drawn = TypeVar("Drawn")


def drawn(strategy: st.SearchStrategy[Drawn], count: int) -> list[Drawn]:
    """Hypothesis's examples, the same in each run, to go into one file: a process for each would take minutes."""
    found: list[Drawn] = []

    @settings(
        max_examples=count,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),  # pyright: ignore[reportArgumentType]  # an enum that is not typed as one
    )
    @given(strategy)
    def collect(value: Drawn) -> None:
        found.append(value)

    collect()
    return found


TEXTS = st.text(
    st.characters(codec="utf-8", exclude_characters="\x00\x7f\ufeff\ufffe\uffff", exclude_categories=("Cc", "Cs")),
    max_size=12,
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False).filter(lambda value: str(value) != "-0.0")
    | TEXTS
    | st.sampled_from(
        ["", "~", "yes", "0x1", "1e3", "2024-01-02", "<<", "=", "a\nb", "a\n", " x ", "#", "- a", "ENC[", "12:30"]
    )
)
KEYS = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=6).filter(
    lambda key: key != "sops"
)
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=12
)
