"""age identities open what sops and age wrapped for them, and say why when they do not."""

from __future__ import annotations

import subprocess
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.adapters.keys import age, age_bech32, age_format
from agent.adapters.keys.age import AgeKeys
from agent.cli import exit_codes
from agent.sops.format.keys import (
    AgeKey,
    AgeRecipient,
    PgpKey,
)
from agent.values.dataclass import replace
from agent.values.errors import ConfigError, DataKeyError, RecipientError
from agent.values.reveal import reveal
from agent.values.secret import Secret
from testbed import binaries

if TYPE_CHECKING:
    from pathlib import Path


DATA_KEY = Secret(b"canary-data-key-of-32-bytes-long", "data key")
KNOWN = age.generate()


def ssh_string(data: bytes) -> bytes:
    return len(data).to_bytes(4) + data


def identity() -> tuple[str, AgeKeys]:
    recipient, secret = age.generate()
    return recipient, AgeKeys.parse(secret, source="test")


def test_what_is_wrapped_is_unwrapped() -> None:
    recipient, keys = identity()
    wrapped = keys.wrap(AgeRecipient(recipient), DATA_KEY, created_at="")
    assert wrapped.enc.startswith("-----BEGIN AGE ENCRYPTED FILE-----\n")
    assert wrapped.enc.endswith("-----END AGE ENCRYPTED FILE-----\n")
    assert keys.unwrap(wrapped) == DATA_KEY


def test_age_itself_agrees(tmp_path: Path) -> None:
    subprocess.run([binaries.path("age-keygen"), "-o", tmp_path / "k"], check=True, capture_output=True)
    keys = AgeKeys.parse(Secret((tmp_path / "k").read_bytes(), "k"), source="k")
    [recipient] = keys.recipients
    theirs = subprocess.run(
        [binaries.path("age"), "-a", "-r", recipient], input=b"x" * 32, check=True, capture_output=True
    ).stdout
    assert reveal(keys.unwrap(AgeKey(recipient, theirs.decode()))) == b"x" * 32
    ours = keys.wrap(AgeRecipient(recipient), DATA_KEY, created_at="").enc
    opened = subprocess.run(
        [binaries.path("age"), "-d", "-i", tmp_path / "k"], input=ours.encode(), check=True, capture_output=True
    ).stdout
    assert opened == reveal(DATA_KEY)


def test_a_file_of_several_keys_and_kinds() -> None:
    one, two = age.generate(), age.generate()
    hybrid = age.generate(hybrid=True)
    text = f"# created\n\n{reveal(one[1])} {reveal(hybrid[1])}\nAGE-PLUGIN-YUBIKEY-1X\n  {reveal(two[1])}\n"
    keys = AgeKeys.parse(Secret(text, "file"), source="file")
    assert keys.recipients == (one[0], hybrid[0], two[0])
    assert keys.passed_over == 1
    merged = keys.merge(AgeKeys.parse(one[1], source="again"))
    assert merged.recipients == keys.recipients
    assert str(reveal(one[1])) not in repr(merged)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("AGE-SECRET-KEY-1CANARY", 1),
        ("# x\n\ncanary", 3),
        (b"\xff\xfe", None),
        ("-----BEGIN AGE ENCRYPTED FILE-----\ncanary", None),
    ],
)
def test_what_is_no_identity_is_named_by_place_alone(text: str | bytes, line: int | None) -> None:
    with pytest.raises(ConfigError) as caught:
        AgeKeys.parse(Secret(text, "keys.txt"), source="keys.txt")
    assert caught.value.facts.get("line") == line
    assert "canary" not in str(caught.value).lower()


def test_each_failure_has_its_reason() -> None:
    recipient, keys = identity()
    other, stranger = identity()
    wrapped = keys.wrap(AgeRecipient(recipient), DATA_KEY, created_at="")
    for_other = keys.wrap(AgeRecipient(other), DATA_KEY, created_at="")
    reasons = {
        "no age identity is available": (AgeKeys(), wrapped),
        "only age identities that need a plugin are available, and there is no terminal to ask at": (
            AgeKeys(passed_over=1),
            wrapped,
        ),
        "no matching private key: none of the age identities belongs to this recipient": (stranger, wrapped),
        "the identity is available, but the wrapped key is damaged or was made for another one": (
            keys,
            replace(wrapped, enc=for_other.enc),
        ),
        "the armor of the age file is damaged": (keys, AgeKey(recipient, "canary")),
        "not an age key": (keys, PgpKey(other, "", "")),
    }
    for reason, (held, key) in reasons.items():
        with pytest.raises(DataKeyError) as caught:
            held.unwrap(key)
        assert caught.value.message == reason


@given(st.data())
def test_a_flipped_bit_is_reported_and_opens_nothing(data: st.DataObject) -> None:
    recipient, secret = KNOWN
    keys = AgeKeys.parse(secret, source="test")
    file = bytearray(age_format.unarmor(keys.wrap(AgeRecipient(recipient), DATA_KEY, created_at="").enc.encode()))
    file[data.draw(st.integers(0, len(file) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(DataKeyError) as caught:
        keys.unwrap(AgeKey(recipient, age_format.armor(bytes(file))))
    assert caught.value.message in {
        age_format.MALFORMED,
        age_format.ALTERED,
        age_format.PAYLOAD,
        "the identity is available, but the wrapped key is damaged or was made for another one",
    }


@given(st.binary(max_size=200_000))
@settings(max_examples=20)
def test_a_payload_of_any_length(payload: bytes) -> None:
    file_key = bytes(16)
    written = age_format.write([age_format.Stanza("any", ("x",), b"y" * 48)], file_key, bytes(16), payload)
    read = age_format.parse(age_format.unarmor(age_format.armor(written).encode()))
    assert read.data == written
    assert read.open(file_key) == payload


ECDSA = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBE"
NO_POINT = f"ssh-ed25519 {b64encode(ssh_string(b'ssh-ed25519') + ssh_string(bytes([2, *[0] * 31]))).decode()}"
LOW_ORDER = f"ssh-ed25519 {b64encode(ssh_string(b'ssh-ed25519') + ssh_string(bytes([1, *[0] * 31]))).decode()}"


@pytest.mark.parametrize(
    "recipient",
    [
        *(
            "",
            "age1",
            "age1pq1xyz",
            "ssh-ed25519 AAAA",
            "ssh-rsa AAAA",
            "age1yubikey1xyz",
            "age1tag1xyz",
            "ABCD",
            ECDSA,
        ),
        *("age1é", "AGE1PQ1XYZ", NO_POINT, LOW_ORDER),
        age_bech32.encode("age", bytes(32)),
        age_bech32.encode("age", b"short"),
        age_bech32.encode("age1pq", bytes(1215)),
        age_bech32.encode("age1../../x", b"data"),
    ],
)
def test_what_is_no_recipient_is_refused(recipient: str) -> None:
    with pytest.raises(RecipientError) as caught:
        AgeKeys().wrap(AgeRecipient(recipient), DATA_KEY, created_at="")
    assert caught.value.message == "not an age recipient"
    assert exit_codes.of(caught.value) == 1


@given(st.sampled_from(["age", "AGE-SECRET-KEY-", "age1pq"]), st.binary(max_size=100))
def test_bech32_reads_what_it_writes(prefix: str, data: bytes) -> None:
    text = age_bech32.encode(prefix, data)
    assert age_bech32.decode(text) == (prefix, data)
    for wrong in [text[:-1], text + "q", text.swapcase()[:4] + text[4:], text.replace(text[-1], "b"), "1" + text]:
        with pytest.raises(ValueError):
            age_bech32.decode(wrong)
