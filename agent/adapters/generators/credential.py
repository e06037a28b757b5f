"""Keys and certificates. The only module here that reads values: the key of a CA, to sign with it."""

from __future__ import annotations

import ipaddress
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeAlias

from cryptography import x509
from cryptography.exceptions import InternalError, InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from agent.adapters.bounds import rsa_keys
from agent.engine.generators import Validity
from agent.values.errors import RandomValueError, SecretValueError
from agent.values.reveal import reveal
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent.values.generated import Generation

_Key: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
_MOST_DAYS: Final = 36_500
_MOST_NAMES: Final = 100
_LARGEST: Final = 64 * 1024
"""Characters of a certificate or key that is read."""
_KEY_BITS: Final = 4096
_CERTIFICATE_BITS: Final = 2048


def key(asked: Generation, args: Sequence[str | Secret], label: str) -> Secret:
    """What genPrivateKey gives."""
    kind = args[0] if args else ""
    if kind in ("", "rsa"):
        return _written(rsa.generate_private_key(65537, _KEY_BITS), label)
    if kind == "ecdsa":
        return _written(ec.generate_private_key(ec.SECP256R1()), label)
    if kind == "ed25519":
        return _written(ed25519.Ed25519PrivateKey.generate(), label)
    raise _unusable(asked)


def certificate(
    asked: Generation, args: Sequence[str | Secret], labels: Mapping[str, str], now: float
) -> Mapping[str, Secret]:
    """A certificate and, where it is not given, its key. Raises RandomValueError, SecretValueError."""
    left = [*args]
    own: _Key | None = _read_key(left.pop()) if asked.function.endswith("WithKey") and left else None
    issuer: tuple[x509.Certificate, _Key] | None = None
    if asked.function.startswith("genSignedCert") and len(left) > 2:
        signing, of = left.pop(), left.pop()
        issuer = _read_certificate(of), _read_key(signing)
    clear = [each for each in left if isinstance(each, str)]
    is_ca = asked.function.startswith("genCA")
    if len(clear) != len(left) or len(clear) != (2 if is_ca else 4):
        raise _unusable(asked)
    days = clear[-1]
    if not days.isdecimal() or len(days) > 9 or not 1 <= int(days) <= _MOST_DAYS:
        raise _unusable(asked)
    private = own or rsa.generate_private_key(65537, _CERTIFICATE_BITS)
    try:
        builder = _template(clear[0], _names(*clear[1:3]) if not is_ca else [], int(days), now)
        builder = builder.issuer_name(_subject(clear[0]) if issuer is None else issuer[0].subject)
        signed = _signed(builder, private, None if issuer is None else issuer[1], is_ca=is_ca)
    except (ValueError, TypeError, InternalError):
        signed = None
    if signed is None:
        raise _unusable(asked)
    made = {"cert": Secret(signed.public_bytes(serialization.Encoding.PEM).decode(), labels["cert"])}
    return made if own is not None else {**made, "key": _written(private, labels["key"])}


def validity(given: Secret, key: Secret | None) -> Validity | None:
    """When a certificate is valid; None for what is none, for one with anything beside it, such as a key, and for one of another key."""
    try:
        read = _read_certificate(given)
        if read.public_bytes(serialization.Encoding.PEM).strip() != _text(given).strip():
            return None
        if key is not None and not _is_of(read, _read_key(key)):
            return None
    except (SecretValueError, ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return Validity(read.not_valid_before_utc.timestamp(), read.not_valid_after_utc.timestamp())


def issued(given: Secret, issuer: Secret) -> bool:
    """Whether a certificate is signed by another."""
    try:
        _read_certificate(given).verify_directly_issued_by(_read_certificate(issuer))
    except (SecretValueError, InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True


def _names(ips: str, dns: str) -> list[x509.GeneralName]:
    addresses, named = json.loads(ips), json.loads(dns)
    if len(addresses) + len(named) > _MOST_NAMES:
        raise ValueError
    return [
        *(x509.DNSName(str(each)) for each in named),
        *(x509.IPAddress(ipaddress.ip_address(str(each))) for each in addresses),
    ]


def _template(name: str, names: list[x509.GeneralName], days: int, now: float) -> x509.CertificateBuilder:
    begins = datetime.fromtimestamp(int(now), UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_subject(name))
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=days))
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
    )
    return builder.add_extension(x509.SubjectAlternativeName(names), critical=not name) if names else builder


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else [])


def _signed(builder: x509.CertificateBuilder, private: _Key, issuer: _Key | None, *, is_ca: bool) -> x509.Certificate:
    public, signing = private.public_key(), issuer or private
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=True,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_ca,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        builder.public_key(public)
        .add_extension(usage, critical=True)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False)
    )
    return builder.sign(signing, None if isinstance(signing, ed25519.Ed25519PrivateKey) else hashes.SHA256())


def _written(private: _Key, label: str) -> Secret:
    """As Go writes it: PKCS #8 for Ed25519, and the older forms for the others."""
    formats = serialization.PrivateFormat
    form = formats.PKCS8 if isinstance(private, ed25519.Ed25519PrivateKey) else formats.TraditionalOpenSSL
    return Secret(private.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode(), label)


def _is_of(certificate: x509.Certificate, private: _Key) -> bool:
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return private.public_key().public_bytes(*form) == certificate.public_key().public_bytes(*form)


def _text(given: str | Secret) -> bytes:
    value = reveal(given) if isinstance(given, Secret) else given
    raw = value.encode() if isinstance(value, str) else value if isinstance(value, bytes) else b""
    return raw if len(raw) <= _LARGEST else b""


def _read_certificate(given: str | Secret) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(_text(given))
    except (ValueError, x509.InvalidVersion):
        pass
    raise _unread(given)


def _read_key(given: str | Secret) -> _Key:
    try:
        read = serialization.load_pem_private_key(_text(given), None, unsafe_skip_rsa_key_validation=True)
        if isinstance(read, rsa.RSAPrivateKey):
            rsa_keys.check(read)
    except (ValueError, TypeError, ZeroDivisionError, UnsupportedAlgorithm):
        read = None
    if isinstance(read, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
        return read
    raise _unread(given)


def _unread(given: str | Secret) -> SecretValueError:
    return SecretValueError(
        "a certificate or key cannot be read",
        hint="use PEM, with RSA, ECDSA or Ed25519, and without a password",
        label=given.label if isinstance(given, Secret) else "",
    )


def _unusable(asked: Generation) -> RandomValueError:
    return RandomValueError(
        "no certificate or key can be made of what a template asks for",
        hint="check the names, addresses and days: 1 to 36500",
        function=asked.function,
        file=asked.file,
        line=asked.line,
    )
