"""Deploy keys of every kind, and the credential that a Secret with one gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import asyncssh
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from agent.adapters.git import credential
from agent.values.secret import Secret
from testbed.sshserver import host_key

if TYPE_CHECKING:
    from agent.engine.credentials import GitCredential

PASSPHRASE = "c4n4ry päss/phrase"
KEYS = {
    "ed25519": host_key(),
    "ecdsa-256": host_key("ecdsa-sha2-nistp256"),
    "ecdsa-384": host_key("ecdsa-sha2-nistp384"),
    "ecdsa-521": host_key("ecdsa-sha2-nistp521"),
    "rsa": asyncssh.generate_private_key("ssh-rsa", key_size=2048),
}
ED25519 = KEYS["ed25519"]
_FORMS = {
    "openssh": PrivateFormat.OpenSSH,
    "pem": PrivateFormat.TraditionalOpenSSL,
    "pkcs8": PrivateFormat.PKCS8,
}


def text_of(key: Any, form: str = "openssh", passphrase: str | None = None) -> bytes:
    """A private key of asyncssh or cryptography as ssh-keygen (`openssh`) or openssl (`pem`, `pkcs8`) writes it."""
    if passphrase is None:
        lock: Any = NoEncryption()
    elif form == "openssh":
        lock = PrivateFormat.OpenSSH.encryption_builder().kdf_rounds(16).build(passphrase.encode())
    else:
        lock = BestAvailableEncryption(passphrase.encode())
    return getattr(key, "pyca_key", key).private_bytes(Encoding.PEM, _FORMS[form], lock)


def login(key: asyncssh.SSHKey | bytes, known_hosts: str, passphrase: str | None = None) -> GitCredential:
    """Of a Secret that holds these."""
    text = key if isinstance(key, bytes) else text_of(key)
    data = {"identity": Secret(text, "test:identity"), "known_hosts": Secret(known_hosts, "test:known_hosts")}
    if passphrase is not None:
        data["password"] = Secret(passphrase, "test:password")
    return credential.of_secret(data, "ssh://git@git.example.com/shop")
