"""Passwords, keys and certificates as sprig makes them, and what none can be made of."""

from __future__ import annotations

import base64
import re
import uuid
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from agent.adapters.generators import Generators
from agent.values.errors import RandomValueError, SecretValueError
from agent.values.generated import Generation
from agent.values.reveal import reveal
from agent.values.secret import Secret

NOW = 1_700_000_000.0
LABELS = {"": "made", "cert": "made cert", "key": "made key"}
CA = ("ca", "365")
CERTIFICATE = ("web", '["10.0.0.1","::1"]', '["web.shop.svc","*.example.com"]', "30")


def make(function: str, *args: str | Secret) -> dict[str, Secret]:
    asked = Generation(function, (), "", "call", "chart/templates/a.yaml", 3)
    return dict(Generators().make(asked, args, LABELS, NOW))


def text(function: str, *args: str) -> str:
    (value,) = make(function, *args).values()
    assert value.labels == ("made",)
    return str(reveal(value))


def certificate(given: dict[str, Secret]) -> x509.Certificate:
    return x509.load_pem_x509_certificate(str(reveal(given["cert"])).encode())


@pytest.mark.parametrize(
    ("function", "pattern"),
    [("randAlphaNum", "[0-9A-Za-z]"), ("randAlpha", "[A-Za-z]"), ("randNumeric", "[0-9]"), ("randAscii", "[ -~]")],
)
def test_a_text_has_its_length_and_its_alphabet_whole(function: str, pattern: str) -> None:
    found = text(function, "4096")
    assert re.fullmatch(f"{pattern}{{4096}}", found)
    assert len(set(found)) == sum(1 for code in range(128) if re.fullmatch(pattern, chr(code)))
    assert text(function, "40") != text(function, "40")


def test_bytes_are_in_base64_and_an_id_is_one_of_version_4() -> None:
    assert len(base64.b64decode(text("randBytes", "33"))) == 33
    assert uuid.UUID(text("uuidv4")).version == 4


@pytest.mark.parametrize(
    ("kind", "type_", "head"),
    [
        ("rsa", rsa.RSAPrivateKey, "RSA PRIVATE KEY"),
        ("ecdsa", ec.EllipticCurvePrivateKey, "EC PRIVATE KEY"),
        ("ed25519", ed25519.Ed25519PrivateKey, "PRIVATE KEY"),
    ],
)
def test_keys_have_the_forms_that_go_writes(kind: str, type_: type, head: str) -> None:
    found = text("genPrivateKey", kind)
    assert found.startswith(f"-----BEGIN {head}-----\n")
    key = serialization.load_pem_private_key(found.encode(), None)
    assert isinstance(key, type_)
    assert not isinstance(key, rsa.RSAPrivateKey) or key.key_size == 4096


def test_a_certificate_is_signed_by_its_ca_for_its_names_and_days() -> None:
    ca = make("genCA", *CA)
    made = make("genSignedCert", *CERTIFICATE, ca["cert"], ca["key"])
    found, issuer = certificate(made), certificate(ca)
    found.verify_directly_issued_by(issuer)
    assert found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "web"
    assert found.issuer == issuer.subject
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["web.shop.svc", "*.example.com"]
    assert [*map(str, names.get_values_for_type(x509.IPAddress))] == ["10.0.0.1", "::1"]
    assert (found.not_valid_before_utc.timestamp(), found.not_valid_after_utc - found.not_valid_before_utc) == (
        NOW,
        timedelta(days=30),
    )
    for each, is_ca in ((found, False), (issuer, True)):
        assert each.extensions.get_extension_for_class(x509.BasicConstraints).value.ca == is_ca
        assert each.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign == is_ca
        usage = each.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert [*usage] == [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    assert found.serial_number != certificate(make("genSignedCert", *CERTIFICATE, ca["cert"], ca["key"])).serial_number


@pytest.mark.parametrize("kind", ["ecdsa", "ed25519"])
def test_a_key_that_is_given_is_the_certificates(kind: str) -> None:
    key = make("genPrivateKey", kind)[""]
    for function, args in (("genCAWithKey", CA), ("genSelfSignedCertWithKey", CERTIFICATE)):
        made = make(function, *args, key)
        assert made.keys() == {"cert"}
        assert Generators().validity(made["cert"], key) is not None
    ca = make("genCA", *CA)
    made = make("genSignedCertWithKey", *CERTIFICATE, ca["cert"], ca["key"], key)
    assert Generators().issued(made["cert"], ca["cert"])
    assert Generators().validity(made["cert"], ca["key"]) is None


def test_validity_is_of_one_certificate_and_nothing_else() -> None:
    made = make("genSelfSignedCert", *CERTIFICATE)
    pem, key = str(reveal(made["cert"])), str(reveal(made["key"]))
    found = Generators().validity(made["cert"], made["key"])
    assert found is not None
    assert (found.begins, found.ends, found.due) == (NOW, NOW + 30 * 86_400, NOW + 20 * 86_400)
    assert Generators().validity(Secret(pem.strip(), "x"), None) == found
    for other in (pem + key, key + pem, pem + pem, f"note\n{pem}", key, "", "x" * 100_000, b"\xff"):
        assert Generators().validity(Secret(other, "x"), None) is None


WRONG = {
    "no number": ("randAlphaNum", "ten"),
    "none": ("randAlphaNum", "0"),
    "negative": ("randAlphaNum", "-1"),
    "too many": ("randAlphaNum", "4097"),
    "very many": ("randAlphaNum", "9" * 5000),
    "very many, behind zeros": ("randAlphaNum", "0000000019999999999"),
    "no argument": ("randAlpha",),
    "another function": ("shuffle", "abc"),
    "another kind of key": ("genPrivateKey", "dsa"),
    "no days": ("genCA", "ca", "0"),
    "a thousand years": ("genCA", "ca", "365000"),
    "a million years, behind zeros": ("genCA", "ca", "000000001365000000"),
    "too few arguments": ("genSelfSignedCert", "web"),
    "a long name": ("genCA", "x" * 65, "1"),
    "no address": ("genSelfSignedCert", "web", '["10.0.0"]', "[]", "1"),
    "no list": ("genSelfSignedCert", "web", "{", "[]", "1"),
    "names that are no ASCII": ("genSelfSignedCert", "web", "[]", '["ü.example.com"]', "1"),
    "many names": ("genSelfSignedCert", "web", "[]", str(["a"] * 101).replace("'", '"'), "1"),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_what_no_value_can_be_made_of_is_named_with_its_template(wrong: tuple[str, ...]) -> None:
    with pytest.raises(RandomValueError) as raised:
        make(*wrong)
    assert str(raised.value).startswith("chart/templates/a.yaml:3: ")


@pytest.mark.parametrize("key", ["", "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n"])
def test_a_key_that_cannot_be_read_is_not_shown(key: str) -> None:
    ca = make("genCA", *CA)
    with pytest.raises(SecretValueError) as raised:
        make("genSignedCert", *CERTIFICATE, ca["cert"], Secret(key, "live:a"))
    assert "hunter2" not in repr((raised.value, raised.value.facts, raised.value.__cause__))


def rsa_pem(p: int, q: int, e: int = 65537) -> str:
    """A key of these factors in PKCS 1, whose numbers belong together whether or not the factors are prime."""
    d = pow(e, -1, (p - 1) * (q - 1))
    body = b"".join(
        der(2, number.to_bytes(number.bit_length() // 8 + 1))
        for number in (0, p * q, e, d, p, q, d % (p - 1), d % (q - 1), pow(q, -1, p))
    )
    text = base64.encodebytes(der(0x30, body)).decode()
    return f"-----BEGIN RSA PRIVATE KEY-----\n{text}-----END RSA PRIVATE KEY-----\n"


def der(tag: int, content: bytes) -> bytes:
    size = len(content)
    wide = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes([tag]) + (wide if size < 128 else bytes([0x80 | len(wide)]) + wide) + content


def test_nothing_looks_for_the_factors_of_a_key_that_stands() -> None:
    """Where anyone may write such a Secret, that would keep the whole agent waiting for minutes."""
    key = Secret(rsa_pem(2**521 - 1, (2**607 - 1) * (2**89 - 1)), "live:a")
    made = make("genSelfSignedCertWithKey", *CERTIFICATE, key)
    assert Generators().validity(made["cert"], key) is not None


def test_a_key_that_stands_has_a_largest_size() -> None:
    large = Secret(rsa_pem(2**4253 - 1, 2**4423 - 1), "live:a")
    with pytest.raises(SecretValueError):
        make("genSelfSignedCertWithKey", *CERTIFICATE, large)
    assert Generators().validity(make("genCA", *CA)["cert"], large) is None


def test_a_certificate_of_an_unknown_version_is_none() -> None:
    ca = make("genCA", *CA)
    binary = certificate(ca).public_bytes(serialization.Encoding.DER)
    changed = base64.encodebytes(binary.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x05", 1)).decode()
    other = Secret(f"-----BEGIN CERTIFICATE-----\n{changed}-----END CERTIFICATE-----\n", "live:a")
    assert Generators().validity(other, None) is None
    assert not Generators().issued(ca["cert"], other)
    with pytest.raises(SecretValueError):
        make("genSignedCert", *CERTIFICATE, other, ca["key"])
