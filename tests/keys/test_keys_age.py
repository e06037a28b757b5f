"""age identities open what sops and age wrapped for them, and say why when they do not."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from agent.adapters.keys import age
from agent.adapters.keys.age import AgeKeys
from agent.sops.keys import (
    AgeKey,
    AgeRecipient,
    PgpKey,
)
from agent.values.errors import ConfigError, DataKeyError
from agent.values.reveal import reveal
from agent.values.secret import Secret
from testbed import binaries

if TYPE_CHECKING:
    from pathlib import Path


DATA_KEY = Secret(b"canary-data-key-of-32-bytes-long", "data key")


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
    text = f"# created\n\n{reveal(one[1])}\nAGE-SECRET-KEY-PQ-1XYZ\nAGE-PLUGIN-YUBIKEY-1X\n  {reveal(two[1])}\n"
    keys = AgeKeys.parse(Secret(text, "file"), source="file")
    assert keys.recipients == (one[0], two[0])
    assert keys.passed_over == 2
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
    reasons = {
        "no age identity is at hand": (AgeKeys(), wrapped),
        "only age identities of kinds that are not supported are at hand": (AgeKeys(passed_over=1), wrapped),
        "none of the age identities at hand is this recipient's": (stranger, wrapped),
        "the identity is at hand, but the wrapped key is damaged": (keys, AgeKey(recipient, "canary")),
        "not an age key": (keys, PgpKey(other, "", "")),
    }
    for reason, (at_hand, key) in reasons.items():
        with pytest.raises(DataKeyError) as caught:
            at_hand.unwrap(key)
        assert caught.value.message == reason


@pytest.mark.parametrize("recipient", ["", "age1", "age1pq1xyz", "ssh-ed25519 AAAA", "age1yubikey1xyz", "ABCD"])
def test_recipients_that_are_not_supported_are_refused(recipient: str) -> None:
    with pytest.raises(DataKeyError):
        AgeKeys().wrap(AgeRecipient(recipient), DATA_KEY, created_at="")
