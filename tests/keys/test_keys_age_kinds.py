"""Recipients and identities of every kind of age: what age wraps we open, and what we wrap age opens."""

from __future__ import annotations

import base64
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cost
import pytest
from cryptography.hazmat.primitives import hpke, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mlkem, rsa

from agent.adapters.keys import age, age_bech32, age_format
from agent.adapters.keys.age import AgeKeys
from agent.adapters.keys.age_ssh import PrivateKeyFile, SshRecipient
from agent.sops.format.keys import AgeKey, AgeRecipient
from agent.values.errors import DataKeyError
from agent.values.reveal import reveal
from agent.values.secret import Secret
from testbed import binaries

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

DATA_KEY = Secret(b"canary-data-key-of-32-bytes-long", "data key")
OPENSSH = serialization.PrivateFormat.OpenSSH
PKCS1 = serialization.PrivateFormat.TraditionalOpenSSL
PKCS8 = serialization.PrivateFormat.PKCS8


@dataclass(frozen=True)
class Pair:
    recipient: str
    identity: bytes


def ssh_pair(key: PrivateKeyTypes, form: serialization.PrivateFormat) -> Pair:
    text = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return Pair(f"{public.decode()} dev@example.org", text)


def generated(*options: str) -> Pair:
    made = subprocess.run([binaries.path("age-keygen"), *options], check=True, capture_output=True).stdout
    recipient = next(line for line in made.decode().splitlines() if line.startswith("# public key: "))
    return Pair(recipient.removeprefix("# public key: "), made)


@pytest.fixture(scope="module")
def ed25519_key() -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="module")
def pairs(ed25519_key: ed25519.Ed25519PrivateKey, rsa_key: rsa.RSAPrivateKey) -> Mapping[str, Pair]:
    ours, secret = age.generate(hybrid=True)
    return {
        "x25519": generated(),
        "hybrid": generated("-pq"),
        "hybrid of ours": Pair(ours, str(reveal(secret)).encode()),
        "ssh-ed25519": ssh_pair(ed25519_key, OPENSSH),
        "ssh-ed25519 in PKCS 8": ssh_pair(ed25519_key, PKCS8),
        "ssh-rsa": ssh_pair(rsa_key, OPENSSH),
        "ssh-rsa in PKCS 1": ssh_pair(rsa_key, PKCS1),
    }


KINDS = [
    *("x25519", "hybrid", "hybrid of ours"),
    *("ssh-ed25519", "ssh-ed25519 in PKCS 8", "ssh-rsa", "ssh-rsa in PKCS 1"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_age_and_we_open_what_the_other_wraps(pairs: Mapping[str, Pair], kind: str, tmp_path: Path) -> None:
    pair = pairs[kind]
    keys = AgeKeys.parse(Secret(pair.identity, "k"), source="k")
    theirs = subprocess.run(
        [binaries.path("age"), "-a", "-r", pair.recipient], input=b"x" * 32, check=True, capture_output=True
    ).stdout
    assert reveal(keys.unwrap(AgeKey(pair.recipient, theirs.decode()))) == b"x" * 32
    ours = keys.wrap(AgeRecipient(pair.recipient), DATA_KEY, created_at="").enc
    assert len(age_format.parse(age_format.unarmor(ours.encode())).stanzas) == 1
    (tmp_path / "k").write_bytes(pair.identity)
    opened = subprocess.run(
        [binaries.path("age"), "-d", "-i", tmp_path / "k"], input=ours.encode(), check=True, capture_output=True
    ).stdout
    assert opened == reveal(DATA_KEY)


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_opens_nothing_for_another_of_its_kind(pairs: Mapping[str, Pair], kind: str) -> None:
    recipient, secret = age.generate()
    others = [pair for name, pair in pairs.items() if pair.recipient != pairs[kind].recipient]
    keys = AgeKeys().merge(*(AgeKeys.parse(Secret(pair.identity, "k"), source="k") for pair in others))
    wrapped = keys.wrap(AgeRecipient(pairs[kind].recipient), DATA_KEY, created_at="")
    with pytest.raises(DataKeyError) as caught:
        keys.unwrap(wrapped)
    assert caught.value.message == "no matching private key: none of the age identities belongs to this recipient"
    everybody = keys.merge(AgeKeys.parse(secret, source="k"))
    assert everybody.unwrap(keys.wrap(AgeRecipient(recipient), DATA_KEY, created_at="")) == DATA_KEY


def test_tag_recipients_are_wrapped_for_as_age_does() -> None:
    """What a plugin with the private key would do (c2sp.org/age, tagged recipients) opens both."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)
    suite = hpke.Suite(hpke.KEM.P256, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305)
    for file in wrapped_by_both(age_bech32.encode("age1tag", public)):
        [stanza] = [stanza for stanza in file.stanzas if stanza.type == "p256tag"]
        share = age_format.decode_base64(stanza.arguments[1])
        assert file.open(suite.decrypt(share + stanza.body, key, b"age-encryption.org/p256tag")) == reveal(DATA_KEY)


def test_hybrid_tag_recipients_are_wrapped_for_in_the_form_of_age() -> None:
    """No library of these tests has this KEM, so the form of the stanza is all that is compared."""
    point = ec.generate_private_key(ec.SECP256R1()).public_key()
    public = mlkem.MLKEM768PrivateKey.generate().public_key().public_bytes_raw() + point.public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    forms = [
        [(stanza.type, [len(text) for text in stanza.arguments], len(stanza.body))]
        for file in wrapped_by_both(age_bech32.encode("age1tagpq", public))
        for stanza in file.stanzas
        if stanza.type == "mlkem768p256tag"
    ]
    assert len(forms) == 2
    assert forms[0] == forms[1]


def wrapped_by_both(recipient: str) -> list[age_format.AgeFile]:
    ours = AgeKeys().wrap(AgeRecipient(recipient), DATA_KEY, created_at="").enc.encode()
    theirs = subprocess.run(
        [binaries.path("age"), "-a", "-r", recipient], input=reveal(DATA_KEY), check=True, capture_output=True
    ).stdout
    return [age_format.parse(age_format.unarmor(enc)) for enc in (ours, theirs)]


def damaged(key: rsa.RSAPrivateKey, **changed: int) -> bytes:
    """The key in PKCS 1, with other numbers: version, n, e, d, p, q, d mod p-1, d mod q-1, and the inverse of q."""
    numbers = key.private_numbers()
    fields = {
        "n": numbers.public_numbers.n,
        "e": numbers.public_numbers.e,
        "d": numbers.d,
        "p": numbers.p,
        "q": numbers.q,
        "dmp1": numbers.dmp1,
        "dmq1": numbers.dmq1,
        "iqmp": numbers.iqmp,
    } | changed
    body = b"".join(der(2, number.to_bytes(number.bit_length() // 8 + 1)) for number in (0, *fields.values()))
    text = base64.encodebytes(der(0x30, body)).decode()
    return f"-----BEGIN RSA PRIVATE KEY-----\n{text}-----END RSA PRIVATE KEY-----\n".encode()


def der(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 128:
        length = bytes([size])
    elif size < 256:
        length = bytes([0x81, size])
    else:
        length = bytes([0x82, *size.to_bytes(2)])
    return bytes([tag]) + length + content


@pytest.mark.parametrize("field", ["n", "e", "d", "p", "q", "dmp1", "dmq1", "iqmp"])
@pytest.mark.parametrize("change", [lambda number: number + 2, lambda _: 1, lambda number: number ^ 1])
def test_an_rsa_key_whose_numbers_do_not_belong_together_is_refused(
    rsa_key: rsa.RSAPrivateKey, field: str, change: Callable[[int], int]
) -> None:
    assert PrivateKeyFile.parse(damaged(rsa_key)).unlock(None)
    number = getattr(rsa_key.private_numbers(), field, None) or getattr(rsa_key.public_key().public_numbers(), field)
    with pytest.raises(ValueError, match="key"):
        PrivateKeyFile.parse(damaged(rsa_key, **{field: change(number)})).unlock(None)


def test_an_rsa_key_is_read_in_no_time_and_has_a_largest_size() -> None:
    """Whether its factors are prime was asked with the whole process waiting: seconds for each, and there may be many."""
    large = ssh_pair(rsa.generate_private_key(65537, 4096), OPENSSH)
    with cost.at_most(seconds=0.1):
        PrivateKeyFile.parse(large.identity).unlock(None)
    huge = rsa.RSAPublicNumbers(65537, (1 << 8192) + 1).public_key()
    with pytest.raises(ValueError, match="too large"):
        SshRecipient.of(huge)
