"""A sealed-secrets controller's key pairs, and what kubeseal seals for them offline."""

from __future__ import annotations

import base64
import json
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from testbed import binaries

if TYPE_CHECKING:
    from pathlib import Path

_BITS = 2048
"""The controller's have 4096, which take seconds to make."""


@dataclass(frozen=True, slots=True)
class SealingPair:
    """PEM texts of a private key and its certificate; `folder` holds the certificate for kubeseal."""

    name: str
    key: str = field(repr=False)
    certificate: str = field(repr=False)
    folder: Path

    @property
    def manifest(self) -> dict[str, object]:
        """The Secret that the controller keeps it in."""
        data = {"tls.crt": self.certificate, "tls.key": self.key}
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": self.name,
                "namespace": "kube-system",
                "labels": {"sealedsecrets.bitnami.com/sealed-secrets-key": "active"},
            },
            "type": "kubernetes.io/tls",
            "data": {name: base64.b64encode(text.encode()).decode() for name, text in data.items()},
        }

    def seal(self, manifest: str, *flags: str, program: Path | None = None) -> str:
        """What kubeseal prints for the manifest of a Secret, as YAML unless `flags` say otherwise."""
        done = self._run(["--cert", str(self.folder / f"{self.name}.crt"), "-o", "yaml", *flags], manifest, program)
        return done.stdout

    def recover(self, sealed: str, *flags: str, program: Path | None = None) -> dict[str, object]:
        """The Secret that kubeseal itself unseals."""
        file = self.folder / f"{self.name}.key"
        _ = file.write_text(self.key)
        done = self._run(["--recovery-unseal", "--recovery-private-key", str(file), *flags], sealed, program)
        return json.loads(done.stdout)

    @staticmethod
    def _run(arguments: list[str], stdin: str, program: Path | None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program or binaries.path("kubeseal"), *arguments], input=stdin, capture_output=True, text=True, check=True
        )


def pair(folder: Path, name: str, *, days_old: int = 1) -> SealingPair:
    """A new key pair whose certificate began to hold so many days ago."""
    private = rsa.generate_private_key(65537, _BITS)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begin = datetime.now(UTC) - timedelta(days=days_old)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=3650))
        .sign(private, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
    _ = (folder / f"{name}.crt").write_text(pem)
    key = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    ).decode()
    return SealingPair(name, key, pem, folder)
