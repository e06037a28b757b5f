"""The compiled part of `cryptography` is asked directly where it can be, and does the same as the public names."""

from __future__ import annotations

import os
import runpy
import sys
from types import ModuleType, SimpleNamespace

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.bindings import _rust
from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from agent.values import primitives

ANOTHER_VERSION = ModuleType("of another version")
LESS = ModuleType("of another version")
LESS.__dict__["openssl"] = SimpleNamespace(aead=_rust.openssl.aead)
IN_FIPS_MODE = ModuleType("in FIPS mode")
IN_FIPS_MODE.__dict__["openssl"] = SimpleNamespace(**vars(_rust.openssl) | {"is_fips_enabled": lambda: True})


def test_the_locked_version_has_the_names() -> None:
    assert primitives.x25519_private is _rust.openssl.x25519.from_private_bytes


@pytest.mark.parametrize("library", [ANOTHER_VERSION, LESS, IN_FIPS_MODE], ids=lambda library: library.__name__)
def test_the_public_names_serve_where_it_has_not(library: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.bindings._rust", library)
    public = runpy.run_path(primitives.__file__)
    assert public["x25519_private"] == x25519.X25519PrivateKey.from_private_bytes
    assert (public["AESGCM"], public["HMAC"], public["HKDF"]) == (AESGCM, HMAC, HKDF)
    assert {name for name in primitives.__all__ if name in public} == set(primitives.__all__)


def test_both_compute_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.bindings._rust", ANOTHER_VERSION)
    public = SimpleNamespace(**runpy.run_path(primitives.__file__))
    monkeypatch.undo()
    for one, other in ((primitives, public), (public, primitives)):
        raw = os.urandom(32)
        key = one.x25519_private(raw)
        share = key.public_key().public_bytes_raw()
        assert other.x25519_private(raw).public_key().public_bytes_raw() == share
        again = other.x25519_private(os.urandom(32))
        shared = key.exchange(one.x25519_public(again.public_key().public_bytes_raw()))
        assert shared == again.exchange(other.x25519_public(share))
        derived = one.HKDF(SHA256(), 32, b"salt", b"info").derive(shared)
        assert derived == other.HKDF(SHA256(), 32, b"salt", b"info").derive(shared)
        for aead in ("AESGCM", "ChaCha20Poly1305"):
            sealed = getattr(one, aead)(derived).encrypt(bytes(12), b"text", b"aad")
            assert getattr(other, aead)(derived).decrypt(bytes(12), sealed, b"aad") == b"text"
            with pytest.raises(InvalidTag):
                getattr(other, aead)(derived).decrypt(bytes(12), sealed, b"another")
        macs = [each.HMAC(derived, SHA256()) for each in (one, other)]
        assert macs[0].finalize() == macs[1].finalize()
