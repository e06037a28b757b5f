"""Which texts of a Secret are a deploy key, and what is said of the others before anything is connected to."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
from deploy_key_texts import ED25519, KEYS, PASSPHRASE, login, text_of

from agent.adapters.git import credential
from agent.values.errors import SourceError
from agent.values.secret import Secret
from testbed.sshserver import public

HOST = f"git.example.com {public(ED25519)}\n"
OPENSSH = text_of(ED25519)
LOCKED = text_of(ED25519, passphrase=PASSPHRASE)
LOCKED_PEM = text_of(KEYS["rsa"], "pem", PASSPHRASE)


def with_rounds(count: int) -> bytes:
    """The key under a passphrase, with another number of rounds in its head."""
    lines = LOCKED.splitlines()
    data = base64.b64decode(b"".join(lines[1:-1]))
    before, behind = data.split((16).to_bytes(4), 2)[::2]
    return b"\n".join(
        [lines[0], base64.b64encode(before + (16).to_bytes(4) + salt_of(data) + count.to_bytes(4) + behind), lines[-1]]
    )


def salt_of(data: bytes) -> bytes:
    return data.split((16).to_bytes(4), 2)[1]


REFUSED = {
    "a wrong passphrase": (LOCKED, "wrong", "the passphrase does not open the deploy key"),
    "a passphrase with a final newline": (LOCKED, PASSPHRASE + "\n", "the passphrase does not open the deploy key"),
    "no passphrase": (LOCKED, None, "the deploy key is under a passphrase"),
    "an empty passphrase": (LOCKED, "", "the deploy key is under a passphrase"),
    "PEM and a wrong passphrase": (LOCKED_PEM, "wrong", "the passphrase does not open the deploy key"),
    "PEM and no passphrase": (LOCKED_PEM, None, "the deploy key is under a passphrase"),
    "PKCS #8 under a passphrase": (text_of(ED25519, "pkcs8", PASSPHRASE), PASSPHRASE, "PKCS #8 under a passphrase"),
    "a passphrase that takes hours": (with_rounds(2**31), PASSPHRASE, "takes too long to try"),
    "a passphrase that takes hours, before one that does not": (
        with_rounds(2**31).replace(b"-----\n", b"-----\n!", 1) + b"\n" + LOCKED,
        PASSPHRASE,
        "cannot be read",
    ),
    "two keys": (OPENSSH + OPENSSH, None, "cannot be read"),
    "nothing": (b"", None, "cannot be read"),
    "bytes of all kinds": (bytes(range(256)), None, "cannot be read"),
    "the public key": (public(ED25519).encode(), None, "cannot be read"),
    "PuTTY's form": (b"PuTTY-User-Key-File-3: ssh-ed25519\n", None, "cannot be read"),
    "half a key": (OPENSSH[: len(OPENSSH) // 2], None, "cannot be read"),
    "a key without its last line": (b"\n".join(OPENSSH.splitlines()[:-1]), None, "cannot be read"),
    "a key with an altered byte": (OPENSSH[:200] + b"AAAA" + OPENSSH[204:], None, "cannot be read"),
    "a key that is no base64": (OPENSSH[:60] + b"!" + OPENSSH[61:], None, "cannot be read"),
    "a head that says too much": (
        b"-----BEGIN OPENSSH PRIVATE KEY-----\n%s\n-----END OPENSSH PRIVATE KEY-----\n"
        % base64.b64encode(b"openssh-key-v1\0" + b"\xff" * 64),
        "x",
        "does not open the deploy key",
    ),
    "a megabyte": (OPENSSH + b"x" * 2**20, None, "too long to be one"),
    "RSA of 1024 bits": (text_of(rsa.generate_private_key(65537, 1024)), None, "too small or too large"),
    "a curve that SSH does not have": (text_of(ec.generate_private_key(ec.SECP256K1()), "pem"), None, "of a type"),
    "a key for X25519": (text_of(x25519.X25519PrivateKey.generate(), "pkcs8"), None, "of a type"),
}


@pytest.mark.parametrize(("text", "passphrase", "message"), REFUSED.values(), ids=REFUSED)
def test_a_deploy_key_that_does_not_serve_is_an_error_that_says_why(
    text: bytes, passphrase: str | None, message: str
) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        login(text, HOST, passphrase)
    error = caught.value
    assert error.hint
    assert error.facts == {"field": "identity"}
    assert not error.transient
    shown = f"{error!r} {error.hint} {error.__cause__!r} {error.__context__ if not error.__suppress_context__ else ''}"
    for secret in (PASSPHRASE, *OPENSSH.decode().splitlines()[1:-1], *LOCKED.decode().splitlines()[1:-1]):
        assert secret not in shown


@pytest.mark.parametrize(
    "text",
    [OPENSSH.replace(b"\n", b"\r\n"), OPENSSH.rstrip(), b"\n\n" + OPENSSH + b"\n", LOCKED],
    ids=["CRLF", "no final newline", "empty lines around", "a passphrase"],
)
def test_a_key_is_the_same_key_however_its_text_is_written(text: bytes) -> None:
    assert login(text, HOST, PASSPHRASE).identity == login(OPENSSH, HOST).identity


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({}, "identity"),
        ({"username": b"git", "password": b"x"}, "identity"),
        ({"known_hosts": HOST.encode()}, "identity"),
        ({"identity": OPENSSH}, "known_hosts"),
        ({"identity": OPENSSH, "known_hosts": b""}, "known_hosts"),
        ({"identity": OPENSSH, "known_hosts": b"# git.example.com\n  \n"}, "known_hosts"),
        ({"identity": OPENSSH, "known_hosts": b"\xff\xfe"}, "known_hosts"),
    ],
)
def test_a_secret_without_key_or_known_hosts_is_an_error(data: dict[str, bytes], field: str) -> None:
    wrapped = {name: Secret(value, f"test:{name}") for name, value in data.items()}
    for url in ("git@git.example.com:shop", "ssh://git@git.example.com/shop"):
        with pytest.raises(SourceError) as caught:
            credential.of_secret(wrapped, url)
        assert caught.value.facts == {"field": field}


def test_over_https_the_keys_for_ssh_do_not_count() -> None:
    data = {
        name: Secret(value, f"test:{name}")
        for name, value in {"identity": b"no key", "username": b"git", "password": b"x", "known_hosts": b"\xff"}.items()
    }
    over_https = credential.of_secret(data, "https://git.example.com/shop")
    assert (over_https.username, over_https.password, over_https.identity) == ("git", data["password"], None)
