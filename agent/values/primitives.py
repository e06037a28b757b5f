"""What opens and makes values and age's data keys: the compiled part of `cryptography`, without the modules that stand around it.

`ciphers.aead` loads those of all other ciphers, and the first X25519 key those of all other kinds of keys, to ask whether OpenSSL has
X25519: together a sixth of a small file's time. New keys are random bytes of the system, as RFC 7748 has them: to be asked for one,
OpenSSL sets up generators of its own, which takes longer than the key. See docs/decisions/0069-the-compiled-part-of-cryptography.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["AESGCM", "HKDF", "HMAC", "ChaCha20Poly1305", "x25519_private", "x25519_public"]


def _compiled() -> tuple[object, ...]:
    """Nothing where this version of the library has other names, and in FIPS mode, since the public names know what is not allowed then."""
    try:
        from cryptography.hazmat.bindings._rust import openssl

        aead, x25519 = openssl.aead, openssl.x25519
        names = (
            *(aead.AESGCM, aead.ChaCha20Poly1305, openssl.hmac.HMAC, openssl.kdf.HKDF),
            *(x25519.from_private_bytes, x25519.from_public_bytes),
        )
        return () if openssl.is_fips_enabled() else names
    except (ImportError, AttributeError):
        return ()


if not TYPE_CHECKING and (_names := _compiled()):
    AESGCM, ChaCha20Poly1305, HMAC, HKDF, x25519_private, x25519_public = _names
else:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
    from cryptography.hazmat.primitives.hmac import HMAC
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    x25519_private, x25519_public = X25519PrivateKey.from_private_bytes, X25519PublicKey.from_public_bytes
