"""Identities under a passphrase: it is asked for once, and only for a file that the identity may open."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from agent.adapters.keys import age, age_format
from agent.adapters.keys.age import AgeKeys
from agent.sops.format.keys import AgeRecipient
from agent.values.errors import ConfigError, DataKeyError
from agent.values.reveal import reveal
from agent.values.secret import Secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

    from agent.sops.format.keys import AgeKey

DATA_KEY = Secret(b"canary-data-key-of-32-bytes-long", "data key")
PASSPHRASE = "canary passphrase"
OPENSSH = serialization.PrivateFormat.OpenSSH
PKCS1 = serialization.PrivateFormat.TraditionalOpenSSL
PKCS8 = serialization.PrivateFormat.PKCS8


@dataclass
class Person:
    """Answers every question alike, or is not there."""

    answer: str | None = PASSPHRASE
    questions: list[str] = field(default_factory=list)

    def ask(self, question: str, *, hidden: bool = True, keep_as: str = "") -> Secret:
        assert hidden
        self.questions.append(question)
        if self.answer is None:
            raise DataKeyError("there is no one to ask")
        return Secret(self.answer, "answer")

    def forget(self, keep_as: str) -> None:
        assert keep_as == "" or re.fullmatch(r"SopsAge[A-Z2-7]{40}", keep_as)

    def show(self, message: str) -> None:
        raise AssertionError(message)


def locked(key: PrivateKeyTypes, form: serialization.PrivateFormat) -> Secret:
    lock = serialization.BestAvailableEncryption(PASSPHRASE.encode())
    return Secret(key.private_bytes(serialization.Encoding.PEM, form, lock), "id")


def public(key: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey) -> str:
    form = serialization.PublicFormat.OpenSSH
    return key.public_key().public_bytes(serialization.Encoding.OpenSSH, form).decode()


def wrapped(recipient: str) -> AgeKey:
    return AgeKeys().wrap(AgeRecipient(recipient), DATA_KEY, created_at="")


def identity_file(text: str, *, armored: bool = False) -> Secret:
    """As `age -p` writes it, except for the work factor."""
    file_key, salt = b"f" * 16, b"s" * 16
    key = Scrypt(b"age-encryption.org/v1/scrypt" + salt, 32, n=2, r=8, p=1).derive(PASSPHRASE.encode())
    body = ChaCha20Poly1305(key).encrypt(bytes(12), file_key, None)
    stanza = age_format.Stanza("scrypt", (age_format.encode_base64(salt), "1"), body)
    file = age_format.write([stanza], file_key, bytes(16), text.encode())
    return Secret(age_format.armor(file) if armored else file, "keys.txt")


ED25519 = ed25519.Ed25519PrivateKey.generate()
RSA = rsa.generate_private_key(65537, 2048)
RECIPIENT, IDENTITY = age.generate()
LOCKED = {
    "OpenSSH's ed25519": (locked(ED25519, OPENSSH), "", public(ED25519)),
    "OpenSSH's RSA": (locked(RSA, OPENSSH), "", public(RSA)),
    "PKCS 1 with its public key": (locked(RSA, PKCS1), public(RSA) + " me@example.org", public(RSA)),
    "PKCS 1 alone": (locked(RSA, PKCS1), "", public(RSA)),
    "PKCS 8 alone": (locked(RSA, PKCS8), "", public(RSA)),
    "an identity file": (identity_file(f"# {reveal(IDENTITY)}\n{reveal(IDENTITY)}\n"), "", RECIPIENT),
    "an armored identity file": (identity_file(str(reveal(IDENTITY)), armored=True), "", RECIPIENT),
}


@pytest.mark.parametrize(("text", "beside", "recipient"), LOCKED.values(), ids=LOCKED)
def test_the_passphrase_is_asked_for_once(text: Secret, beside: str, recipient: str) -> None:
    person = Person()
    keys = AgeKeys.parse(text, source="~/id", person=person, public=beside)
    assert person.questions == []
    for _ in range(2):
        assert keys.unwrap(wrapped(recipient)) == DATA_KEY
    assert person.questions == ["Passphrase of ~/id:"]


@pytest.mark.parametrize(("text", "beside", "recipient"), LOCKED.values(), ids=LOCKED)
@pytest.mark.parametrize(
    ("answer", "reason"),
    [("wrong canary", "the passphrase is wrong"), ("", "no passphrase was given"), (None, "there is no one to ask")],
)
def test_a_wrong_passphrase_is_reported_and_not_asked_for_again(
    text: Secret, beside: str, recipient: str, answer: str | None, reason: str
) -> None:
    person = Person(answer)
    keys = AgeKeys.parse(text, source="~/id", person=person, public=beside)
    for _ in range(2):
        with pytest.raises(DataKeyError) as caught:
            keys.unwrap(wrapped(recipient))
        assert caught.value.message.startswith(reason)
        assert caught.value.facts["source"] == "~/id"
        assert "canary" not in str(caught.value)
    assert len(person.questions) == 1


@pytest.mark.parametrize(("text", "beside", "recipient"), LOCKED.values(), ids=LOCKED)
def test_where_there_is_no_one_to_ask_the_key_is_refused(text: Secret, beside: str, recipient: str) -> None:
    with pytest.raises(ConfigError) as caught:
        AgeKeys.parse(text, source="Secret shop/keys", public=beside)
    assert caught.value.facts["file"] == "Secret shop/keys"
    assert "there is no terminal to ask" in caught.value.message


@pytest.mark.parametrize("name", ["OpenSSH's ed25519", "OpenSSH's RSA", "PKCS 1 with its public key"])
def test_there_is_no_prompt_for_a_file_of_others_or_in_vain(name: str) -> None:
    text, beside, recipient = LOCKED[name]
    person = Person()
    keys = AgeKeys.parse(text, source="~/id", person=person, public=beside)
    others = [public(ed25519.Ed25519PrivateKey.generate()), public(rsa.generate_private_key(65537, 2048)), RECIPIENT]
    for other in others:
        with pytest.raises(DataKeyError) as caught:
            keys.unwrap(wrapped(other))
        assert caught.value.message == "no matching private key: none of the age identities belongs to this recipient"
    both = keys.merge(AgeKeys.parse(identity_file(str(reveal(IDENTITY))), source="f", person=person))
    assert both.merge(AgeKeys.parse(IDENTITY, source="k")).unwrap(wrapped(RECIPIENT)) == DATA_KEY
    assert person.questions == []
    assert both.unwrap(wrapped(recipient)) == DATA_KEY
    assert person.questions == ["Passphrase of ~/id:"]


def damaged() -> dict[str, Secret]:
    whole = LOCKED["an identity file"][0]
    data = bytes(reveal(whole))
    small = rsa.generate_private_key(65537, 1024)
    plain = serialization.NoEncryption()
    ecdsa = ec.generate_private_key(ec.SECP256R1()).private_bytes(serialization.Encoding.PEM, PKCS8, plain)
    ssh = bytes(reveal(LOCKED["OpenSSH's ed25519"][0]))
    return {
        "an identity file cut in its header": Secret(data[:40], "f"),
        "armor without an end": Secret(age_format.armor(data)[:60], "f"),
        "an ssh key cut short": Secret(ssh[:80] + b"\n-----END OPENSSH PRIVATE KEY-----\n", "f"),
        "an ssh key that is no base64": Secret(ssh.replace(b"b3Bl", b"%%%%", 1), "f"),
        "an RSA key that is too small": Secret(small.private_bytes(serialization.Encoding.PEM, PKCS1, plain), "f"),
        "an ECDSA key": Secret(ecdsa, "f"),
        "no key at all": Secret("-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----\n", "f"),
    }


@pytest.mark.parametrize("name", damaged())
def test_a_file_that_is_damaged_is_named(name: str) -> None:
    person = Person()
    with pytest.raises(ConfigError) as caught:
        AgeKeys.parse(damaged()[name], source="keys.txt", person=person)
    assert caught.value.facts["file"] == "keys.txt"
    assert "canary" not in str(caught.value)
    assert person.questions == []


def test_an_identity_file_that_was_altered_is_not_taken_for_a_wrong_passphrase() -> None:
    data = bytearray(bytes(reveal(LOCKED["an identity file"][0])))
    data[-1] ^= 1
    keys = AgeKeys.parse(Secret(bytes(data), "f"), source="keys.txt", person=Person())
    with pytest.raises(DataKeyError) as caught:
        keys.unwrap(wrapped(RECIPIENT))
    assert caught.value.message == "the passphrase-protected identity file is damaged"


def test_what_a_locked_file_holds_may_be_no_identity() -> None:
    keys = AgeKeys.parse(identity_file("canary\n"), source="keys.txt", person=Person())
    with pytest.raises(ConfigError) as caught:
        keys.unwrap(wrapped(RECIPIENT))
    assert caught.value.message == "not an age identity"
    assert "canary" not in str(caught.value)
