"""A certificate authority for one run, and the server certificates that it signs."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from pathlib import Path

_LIFE = dt.timedelta(days=30)


def private_key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    """Unencrypted PKCS#8."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def public_key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@dataclass(frozen=True, slots=True)
class Authority:
    """A self-signed P-256 authority."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def create(cls, name: str) -> Self:
        key = new_key()
        usage = x509.KeyUsage(
            digital_signature=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        builder = (
            _builder(_name(name), _name(name), key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        return cls(key, builder.sign(key, hashes.SHA256()))

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def issue(self, folder: Path, name: str, *hosts: str) -> tuple[Path, Path]:
        """Certificate and key files `<name>.crt` and `<name>.key` for a server at these host names or addresses."""
        names = x509.SubjectAlternativeName([_host(host) for host in hosts])
        return self._issue(folder, name, _name(name), ExtendedKeyUsageOID.SERVER_AUTH, names)

    def issue_client(self, folder: Path, name: str, user: str, group: str) -> tuple[Path, Path]:
        """Certificate and key files `<name>.crt` and `<name>.key` for a client that Kubernetes knows as `user` of `group`."""
        return self._issue(folder, name, _name(user, group), ExtendedKeyUsageOID.CLIENT_AUTH)

    def _issue(
        self, folder: Path, name: str, subject: x509.Name, usage: x509.ObjectIdentifier, *more: x509.ExtensionType
    ) -> tuple[Path, Path]:
        key = new_key()
        builder = (
            _builder(subject, self.certificate.subject, key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
        )
        for extension in more:
            builder = builder.add_extension(extension, critical=False)
        certificate = builder.sign(self.key, hashes.SHA256())
        certificate_file, key_file = folder / f"{name}.crt", folder / f"{name}.key"
        _ = certificate_file.write_text(certificate.public_bytes(serialization.Encoding.PEM).decode())
        key_file.touch(mode=0o600)
        _ = key_file.write_text(private_key_pem(key))
        return certificate_file, key_file

    def server_context(self, folder: Path, name: str, *hosts: str) -> ssl.SSLContext:
        """TLS for a server of this process; its certificate and key are left in `folder`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue(folder, name, *hosts))
        return context

    def client_context(self) -> ssl.SSLContext:
        """TLS that trusts this authority alone."""
        return ssl.create_default_context(cadata=self.pem)


def _name(user: str, group: str = "") -> x509.Name:
    groups = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group)] if group else []
    return x509.Name([*groups, x509.NameAttribute(NameOID.COMMON_NAME, user)])


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + _LIFE)
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
