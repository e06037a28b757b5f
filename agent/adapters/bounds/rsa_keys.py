"""RSA keys that others give. To look for the factors of a key's factors takes minutes, with the whole process waiting: it is never asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import rsa

LARGEST: Final = 8192
"""Bits. A private key of that size takes some 50 ms each time it is used, in which nothing else of the process goes on."""
_LONGEST_EXPONENT: Final = 64
"""Bits of a public exponent, as OpenSSL has it for large keys."""


def check(key: rsa.RSAPrivateKey) -> None:
    """That a private key is not too large, and its numbers belong together: none costs more than the size says.

    Whether its factors are prime is its owner's affair. Raises ValueError.
    """
    numbers = key.private_numbers()
    p, q, e, n = numbers.p, numbers.q, numbers.public_numbers.e, numbers.public_numbers.n
    if n.bit_length() > LARGEST:
        raise ValueError("the RSA key is too large")
    if not (
        p > 1
        and q > 1
        and p * q == n
        and n & e & 1
        and e.bit_length() <= _LONGEST_EXPONENT
        and numbers.d < n
        and (numbers.d * e) % (p - 1) == 1
        and (numbers.d * e) % (q - 1) == 1
        and numbers.dmp1 == numbers.d % (p - 1)
        and numbers.dmq1 == numbers.d % (q - 1)
        and numbers.iqmp < p
        and (numbers.iqmp * q) % p == 1
    ):
        raise ValueError("the numbers of the RSA key do not belong together")
