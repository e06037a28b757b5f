"""Shamir's secret sharing over GF(2^8), byte by byte: how sops splits a data key among key groups.

A share is the polynomial's values, one byte for each byte of the secret, and behind them the x they were taken at. The field is
AES's, 0x11B, as in github.com/hashicorp/vault `shamir`.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

from agent.values.errors import DataKeyError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_FIELD = 0x11B
MOST_SHARES = 255


def split(secret: bytes, shares: int, threshold: int, random_bytes: Callable[[int], bytes]) -> list[bytes]:
    """`shares` shares of which any `threshold` (2 to `shares`) give the secret. The share at index i is taken at x = i + 1."""
    if not 2 <= threshold <= shares <= MOST_SHARES:
        raise ValueError("a secret is split into 2 to 255 shares, of which at least 2 are needed")
    higher = [random_bytes(len(secret)) for _ in range(threshold - 1)]
    return [
        bytes(_at(x, coefficients) for coefficients in zip(secret, *higher, strict=True)) + bytes([x])
        for x in range(1, shares + 1)
    ]


def combine(shares: Sequence[bytes]) -> bytes:
    """The secret. Wrong or too few shares give a wrong one, which nothing in them shows. Raises DataKeyError for what are no shares."""
    sizes = {len(share) for share in shares}
    points = [share[-1] for share in shares if share]
    if len(shares) < 2 or len(sizes) != 1 or min(sizes) < 2 or len(set(points)) != len(points) or 0 in points:
        raise DataKeyError("the parts of the data key do not belong together")
    weights = [_weight(x, points) for x in points]
    columns = zip(*(share[:-1] for share in shares), strict=True)
    return bytes(reduce(_plus, map(_times, column, weights)) for column in columns)


def _at(x: int, coefficients: Sequence[int]) -> int:
    value = 0
    for coefficient in reversed(coefficients):
        value = _times(value, x) ^ coefficient
    return value


def _weight(x: int, points: Sequence[int]) -> int:
    """Lagrange's basis at zero."""
    weight = 1
    for other in points:
        if other != x:
            weight = _times(weight, _times(other, _inverse(other ^ x)))
    return weight


def _times(one: int, other: int) -> int:
    product = 0
    while other:
        if other & 1:
            product ^= one
        one <<= 1
        if one & 0x100:
            one ^= _FIELD
        other >>= 1
    return product


def _plus(one: int, other: int) -> int:
    return one ^ other


def _inverse(number: int) -> int:
    # By Fermat: the field's other elements form a group of 255.
    inverse = 1
    for _ in range(254):
        inverse = _times(inverse, number)
    return inverse
