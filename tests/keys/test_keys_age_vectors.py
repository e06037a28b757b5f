"""Every file of C2SP's test vectors for age gives its payload, or its class of failure and nothing of its payload."""

from __future__ import annotations

import hashlib
import zlib
from pathlib import Path

import pytest

from agent.adapters.keys import age_format
from agent.adapters.keys.age import AgeKeys
from agent.adapters.keys.age_scrypt import PassphraseIdentity
from agent.values.errors import DataKeyError
from agent.values.secret import Secret

VECTORS = sorted((Path(__file__).parents[1] / "vectors/age").iterdir())
CLASSES = {
    "header failure": age_format.MALFORMED,
    "HMAC failure": age_format.ALTERED,
    "payload failure": age_format.PAYLOAD,
    "armor failure": age_format.ARMOR,
}


def decrypt(fields: list[tuple[str, str]], body: bytes) -> bytes | None:
    identities = [AgeKeys.parse(Secret(text, "vector"), source="vector") for key, text in fields if key == "identity"]
    passphrases = [PassphraseIdentity(text.encode()) for key, text in fields if key == "passphrase"]
    armored = ("armored", "yes") in fields
    return AgeKeys().merge(*identities, AgeKeys(tuple(passphrases))).decrypt(body, armored=armored)


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.name)
def test_a_vector_gives_its_payload_or_its_class_of_failure(path: Path) -> None:
    head, _, body = path.read_bytes().partition(b"\n\n")
    fields = [(key, value) for key, _, value in (line.partition(": ") for line in head.decode().splitlines())]
    known = dict(fields)
    if known.get("compressed") == "zlib":
        body = zlib.decompress(body)
    if known["expect"] == "success":
        payload = decrypt(fields, body)
        assert payload is not None
        assert hashlib.sha256(payload).hexdigest() == known["payload"]
    elif known["expect"] == "no match":
        assert decrypt(fields, body) is None
    else:
        with pytest.raises(DataKeyError) as caught:
            decrypt(fields, body)
        assert caught.value.message == CLASSES[known["expect"]]


def test_all_vectors_are_here() -> None:
    assert len(VECTORS) == 143
