"""What the mutations start from: files of every type, encrypted and clear, rules, manifests, the vectors of the tests.

Everything is made of constants, so that a seed of the fuzzer means the same inputs on every machine.
"""

from __future__ import annotations

import base64
import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agent.sops.files.encrypt import encrypt
from agent.sops.format.groups import WrappedDataKey
from agent.sops.format.keys import AgeKey, KmsKey, PgpKey
from agent.sops.format.metadata import Metadata
from agent.sops.format.selection import EVERYTHING, Selection
from agent.sops.stores import NAMES, Store, named
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA_KEY = Secret(bytes(range(32)), "fuzz")
"""Of every encrypted seed, so that what is left of one can be opened."""

_VECTORS = Path(__file__).parents[2] / "tests" / "vectors"
_LARGEST_VECTOR = 4 * 1024
_LASTMODIFIED = "2026-01-02T03:04:05Z"
_ENC = "-----BEGIN AGE ENCRYPTED FILE-----\nYWdlLWVuY3J5cHRpb24ub3JnL3YxCg==\n-----END AGE ENCRYPTED FILE-----\n"
_AGE = AgeKey("age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg", _ENC)
_KMS = KmsKey("arn:aws:kms:eu-west-1:1:key/a", "", (("app", "shop"),), "", _LASTMODIFIED, "QQ==")
_PGP = PgpKey("FBC7B9E2A4F9289AC0C1D4843D16CEE4A27381B4", _LASTMODIFIED, "-----BEGIN PGP MESSAGE-----\n")

_YAML = b"""\
# head
apiVersion: v1   # behind
kind: Secret
metadata: {name: "shop", labels: {'app': shop, "x": [1, 2.5, .inf, -0.0, 1e3, 0x1F, 0o17, 017, 1_000]}}

data: &data
    plain: some text   # inline
    # before
    single: 'it''s'
    double: "tab\\tnew\\nline \\u00e9 \\U0001F4A5 \\x07"
    literal: |   # header
        one
         two

    folded: >-
        one
        two
    keep: |+
        end

    empty: ""
    nothing: null
    none:
    yes: yes
    time: 2024-01-02T03:04:05.678Z
    day: 2024-01-02
    binary: !!binary aGVsbG8=
    number: 12345678901234567890
    clear_unencrypted: 7
list:
- a
- - b   # nested
  - {c: d}
  # foot
- *data
merged:
    <<: *data
    plain: other
? long key
: value
# tail
"""
_DOCUMENTS = b"---\na: 1\n...\n# between\n--- # two\nb: [x, {y: z}]\n---\n{}\n"
_TEXTS = {
    "yaml": [_YAML, _DOCUMENTS, _YAML.replace(b"\n", b"\r\n"), b"\xef\xbb\xbfa: b\n", "a: é\n".encode("utf-16")],
    "json": [
        b'{"a": "text", "b": [1, 2.5, -0.0, 1e3, true, null, {"c": {}}, []], "d": "\\u00e9\\ud83d\\udca5\\n<&>"}\n',
        b'{\n\t"a": {\n\t\t"b": 12345678901234567890\n\t},\n\t"c": []\n}\n',
    ],
    "dotenv": [b"# head\nA=1\nB = two words\nexport C='x'\n\nD=one\\ntwo\n#E=5\nF=\n=g\n", b"A=b\r\nC=d"],
    "ini": [
        b'; head\nbare = 1\n\n[one]\n# note\na = text ; behind\nb: `x`\nc = """two\nlines"""\n-  = auto\n\n[two.sub]\nd=1\\\n  2\n',
        b"[DEFAULT]\r\na=b\r\n[x]\r\n'k' = \"v\"\r\n",
    ],
    "binary": [b"\x00\x01\xff text \xc3\xa9\n", b""],
}
_RULES = [
    b"""\
creation_rules:
  - path_regex: prod/.*\\.yaml$
    age: >-
      age1a,
      age1b
    encrypted_regex: ^(data|stringData)$
  - key_groups:
      - age: [age1a]
        merge:
          - pgp: [AA]
          - kms: [{arn: a, role: b, context: {k: v}}]
      - hc_vault: ['https://v:8200/v1/transit/keys/k']
        azure_keyvault: [{vaultUrl: u, key: k, version: v}]
        gcp_kms: [{resource_id: r}]
        hckms: [{key_id: k}]
    shamir_threshold: 2
  - pgp: A,B
    mac_only_encrypted: true
stores:
  yaml: {indent: 2}
  json: {indent: 4}
  json_binary: {indent: 0}
""",
    b"""\
creation_rules:
- &r {path_regex: '', kms: 'arn:aws:kms:x:1:key/a+role|k:v', aws_profile: p}
- <<: *r
  unencrypted_suffix: _x
""",
]
_MANIFESTS = [
    b"""\
apiVersion: v1
kind: List
items:
- &x {a: 1, b: 1.0, c: 1e3, d: yes, 5: n, 1.5: f, true: t}
- <<: *x
  a: 0o7
---
# none
---
k: ~
""",
    b'{"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b\\/c"}}',
]
_MARKED = b"a: 1\n<<<<<<< ours\nb: 2\n||||||| base\nb: 0\n=======\nb: 3\n>>>>>>> theirs\nc: 4\n"
_IDENTITIES = b"""\
# created: 2026-01-02T03:04:05Z
# public key: age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg
AGE-SECRET-KEY-1EGTZVFFV20835NWYV6270LXYVK2VKNX2MMDKWYKLMGR48UAWX40Q2P2LM0
AGE-PLUGIN-YUBIKEY-1QQQQQQQQQQQQQQQQQ
"""
_SELECTIONS = (
    Selection(),
    Selection(pattern="", mac_only_encrypted=True),
    Selection("encrypted_regex", "^(data|a)$"),
    Selection("encrypted_suffix", "_unencrypted"),
    Selection("unencrypted_comment_regex", "be(fore|hind)"),
    Selection("encrypted_comment_regex", "head"),
)


@dataclass(frozen=True, slots=True)
class Seed:
    """Bytes, and which target they are for: a store's name, `rules`, `manifests`, `markers`, `age` or `identities`."""

    target: str
    data: bytes
    vector: bool = False


def all_seeds() -> dict[str, list[Seed]]:
    """By target, in an order that does not change; what is made for this comes before the vectors."""
    found: dict[str, list[Seed]] = {}
    for store in map(named, NAMES):
        found[store.name] = [Seed(store.name, data) for data in (*_TEXTS[store.name], *_encrypted(store))]
    found["rules"] = [Seed("rules", data) for data in _RULES]
    found["manifests"] = [Seed("manifests", data) for data in _MANIFESTS]
    found["markers"] = [Seed("markers", _MARKED)]
    found["age"] = [Seed("age", data) for data in _age_files()]
    found["identities"] = [Seed("identities", data) for data in (_IDENTITIES, _AGE.enc.encode())]
    for target in ("yaml", "manifests"):
        found[target] += [Seed(target, data, vector=True) for data in _vectors()]
    return found


def _encrypted(store: Store) -> Iterator[bytes]:
    chance = random.Random(1)
    wrapped = (WrappedDataKey.one_group(_AGE, _KMS, _PGP), WrappedDataKey(((_AGE,), (_KMS,), (_PGP,)), 2))
    for number, text in enumerate(_TEXTS[store.name][:2]):
        for selection in [EVERYTHING] if store.single else _SELECTIONS:
            metadata = Metadata(wrapped[number % 2], selection)
            documents = encrypt(
                # One number of the text is beyond what can be encrypted.
                store.parse_plain(text.replace(b"12345678901234567890", b"123456789"), file="seed"),
                metadata,
                DATA_KEY,
                file="seed",
                random_bytes=chance.randbytes,
                lastmodified=_LASTMODIFIED,
            )
            yield store.emit(documents)


def _vectors() -> Iterator[bytes]:
    for path in sorted((_VECTORS / "yaml").glob("*.jsonl")):
        for line in path.read_text("utf-8").splitlines()[::7]:
            yield base64.b64decode(json.loads(line)["yaml_b64"])


def _age_files() -> Iterator[bytes]:
    for path in sorted((_VECTORS / "age").iterdir()):
        head, _, body = path.read_bytes().partition(b"\n\n")
        if b"compressed: zlib" not in head and len(body) <= _LARGEST_VECTOR:
            yield body


def age_identities() -> list[str]:
    """Those that the vectors of age name."""
    found: dict[str, None] = {}
    for path in sorted((_VECTORS / "age").iterdir()):
        head = path.read_bytes().partition(b"\n\n")[0].decode()
        found |= dict.fromkeys(
            line.removeprefix("identity: ") for line in head.splitlines() if line[:10] == "identity: "
        )
    return list(found)
