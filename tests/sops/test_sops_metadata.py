"""The `sops` entry: what is read, kept, written and refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sops import stores
from agent.sops.format import metadata
from agent.sops.format.groups import WrappedDataKey
from agent.sops.format.keys import (
    KINDS,
    AgeKey,
    AzureKey,
    GcpKmsKey,
    HuaweiKey,
    KmsKey,
    PgpKey,
    TransitKey,
    WrappedKey,
    kind_of,
)
from agent.sops.format.metadata import Metadata
from agent.sops.format.selection import SELECTORS, Selection
from agent.sops.stores import named
from agent.values.errors import SopsFormatError

BEFORE_3_13 = b"""\
a: 1
sops:
    kms:
    -   arn: arn:aws:kms:eu-west-1:1:key/x
        context:
            team: shop
        created_at: '2020-01-01T00:00:00Z'
        enc: AQIC
        aws_profile: ""
    gcp_kms: []
    azure_kv:
    -   vault_url: https://v.vault.azure.net
        name: key
        version: v1
        created_at: '2020-01-01T00:00:00Z'
        enc: az
    hc_vault:
    -   vault_address: https://vault:8200
        engine_path: transit
        key_name: app
        created_at: '2020-01-01T00:00:00Z'
        enc: vault:v1:x
    age:
    -   recipient: age1x
        enc: |
            -----BEGIN AGE ENCRYPTED FILE-----
    lastmodified: '2020-01-01T10:00:00.5+02:00'
    mac: ENC[AES256_GCM,data:x,iv:y,tag:z,type:str]
    pgp:
    -   created_at: '2020-01-01T00:00:00Z'
        enc: PGP
        fp: ABCD
    encrypted_regex: ^data$
    mac_only_encrypted: true
    version: 3.7.3
"""
KEYS = (
    KmsKey("arn:aws:kms:eu-west-1:1:key/x", "", (("team", "shop"),), "", "2020-01-01T00:00:00Z", "AQIC"),
    AzureKey("https://v.vault.azure.net", "key", "v1", "2020-01-01T00:00:00Z", "az"),
    TransitKey("https://vault:8200", "transit", "app", "2020-01-01T00:00:00Z", "vault:v1:x"),
    PgpKey("ABCD", "2020-01-01T00:00:00Z", "PGP"),
    AgeKey("age1x", "-----BEGIN AGE ENCRYPTED FILE-----\n"),
)


def read(text: bytes) -> Metadata:
    _, found = stores.split(named("yaml").parse(text, file="f.yaml"), file="f.yaml")
    assert found is not None
    return found


def test_the_order_before_3_13_is_read_and_the_one_since_is_written() -> None:
    found = read(BEFORE_3_13)
    assert found == Metadata(
        WrappedDataKey((KEYS,)),
        Selection("encrypted_regex", "^data$", mac_only_encrypted=True),
        "2020-01-01T10:00:00+02:00",
        "ENC[AES256_GCM,data:x,iv:y,tag:z,type:str]",
        "3.7.3",
    )
    written = metadata.emit(found)
    names = [entry.key for entry in written.entries()]
    assert names == sorted(names, key=str)
    assert metadata.parse(written, file="f.yaml") == found
    assert b"context:\n" in named("yaml").emit([written])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"version: 3.7.3", b"version: ''"),
        (b"version: 3.7.3", b"version: latest"),
        (b"version: 3.7.3\n", b""),
        (b"version: 3.7.3", b"version: 3.7-rc"),
        (b"version: 3.7.3", b"version: '3.7'"),
        (b"version: 3.7.3", b'version: "3"'),
        (b"version: 3.7.3", b"version: v3.7"),
        (b"version: 3.7.3", b"version: -3.7"),
        (b"version: 3.7.3", b"version: 1e300"),
        (b"version: 3.7.3", b"version: .inf"),
        (b"version: 3.7.3", b"version: true"),
        (b"version: 3.7.3", b"version: [3.7]"),
        (b"version: 3.7.3", b"version: 3.7.3x"),
        (b"version: 3.7.3", b"version: x3.7.3"),
        (b"version: 3.7.3", b"version: 3.07.3"),
        (b"version: 3.7.3", b"version: 3.7.3-"),
        (b"lastmodified: '2020-01-01", b"lastmodified: '2020-13-01"),
        (b"lastmodified: '2020-01-01T10", b"lastmodified: '2020-02-30T10"),
        (b"lastmodified: '2020-01-01T10:00:00.5+02:00'", b"lastmodified: yesterday"),
        (b"lastmodified: '2020-01-01T10:00:00.5+02:00'\n", b""),
        (b"encrypted_regex: ^data$", b"encrypted_regex: ^data$\n    encrypted_suffix: x"),
        (b"created_at: '2020-01-01T00:00:00Z'\n        enc: PGP", b"created_at: soon\n        enc: PGP"),
        (b"mac_only_encrypted: true", b"mac_only_encrypted: perhaps"),
        (b"gcp_kms: []", b"gcp_kms: x"),
        (b"gcp_kms: []", b"gcp_kms: [x]"),
        (b"gcp_kms: []", b"1: x"),
        (b"mac: ENC", b"mac: [x]\n    y: ENC"),
    ],
)
def test_what_is_malformed_is_refused(old: bytes, new: bytes) -> None:
    assert old in BEFORE_3_13
    with pytest.raises(SopsFormatError) as caught:
        read(BEFORE_3_13.replace(old, new))
    assert caught.value.facts["file"] == "f.yaml"


@pytest.mark.parametrize(
    ("written", "version"),
    [
        (b"3.7", "3.7.0"),
        (b"3.10", "3.1.0"),
        (b"3", "3.0.0"),
        (b"4.0", "4.0.0"),
    ],
)
def test_a_version_may_be_a_number(written: bytes, version: str) -> None:
    assert read(BEFORE_3_13.replace(b"version: 3.7.3", b"version: " + written)).version == version


@pytest.mark.parametrize("version", [b"v3.7.3", b"0.0.0", b"3.7.3-rc.1+build.5"])
def test_a_version_may_be_any_that_semver_has(version: bytes) -> None:
    assert read(BEFORE_3_13.replace(b"version: 3.7.3", b"version: " + version)).version == version.decode()


GROUP = "{age: [{recipient: age1x, enc: y}], hc_vault: []}"
OTHER_GROUP = "{hckms: [{key_id: 'eu:1', created_at: '2020-01-01T00:00:00Z', enc: z}]}"
GROUPED = f"a: 1\nsops: {{lastmodified: '2020-01-01T00:00:00Z', mac: x, version: 3.9.0, shamir_threshold: 2, key_groups: [{GROUP}, {OTHER_GROUP}]}}\n"


def test_key_groups_are_read_and_written() -> None:
    found = read(GROUPED.encode())
    assert found.data_key == WrappedDataKey(
        ((AgeKey("age1x", "y"),), (HuaweiKey("eu:1", "2020-01-01T00:00:00Z", "z"),)), 2
    )
    assert metadata.parse(metadata.emit(found), file="f.yaml") == found
    assert b"  - age: []\n" in named("yaml").emit([metadata.emit(found)])


def test_one_key_group_is_a_flat_list() -> None:
    found = read(GROUPED.replace(f", {OTHER_GROUP}]", "]").encode())
    assert found.data_key.groups == ((AgeKey("age1x", "y"),),)
    assert metadata.emit(found).get("age")


@pytest.mark.parametrize("threshold", ["-1", "many", "true", "256", "[]"])
def test_a_threshold_is_a_small_number(threshold: str) -> None:
    with pytest.raises(SopsFormatError, match="malformed"):
        read(GROUPED.replace("shamir_threshold: 2", f"shamir_threshold: {threshold}").encode())


def kind_index(key: WrappedKey) -> int:
    return KINDS.index(kind_of(key))


TIME = st.just("2020-01-01T10:00:00Z")
TEXT = st.text(st.characters(codec="ascii", categories=("L", "N", "P")), min_size=1, max_size=20)
CONTEXT = st.dictionaries(TEXT, TEXT, max_size=2).map(lambda context: tuple(sorted(context.items())))


@given(
    st.builds(
        Metadata,
        st.builds(
            WrappedDataKey,
            st.lists(
                st.lists(
                    st.builds(AgeKey, TEXT, TEXT)
                    | st.builds(KmsKey, TEXT, TEXT, CONTEXT, TEXT, TIME, TEXT)
                    | st.builds(GcpKmsKey, TEXT, TIME, TEXT),
                    min_size=1,
                    max_size=3,
                ).map(lambda keys: tuple(sorted(keys, key=kind_index))),
                min_size=1,
                max_size=3,
            ).map(tuple),
        ),
        st.builds(Selection, st.sampled_from(SELECTORS), TEXT, st.booleans()),
        st.just("2020-01-01T10:00:00Z"),
        TEXT,
        st.just("3.13.3"),
    )
)
def test_what_is_written_is_read_back(one: Metadata) -> None:
    assert metadata.parse(metadata.emit(one), file="f") == one
