"""Bech32 (BIP 173) without its limit of 90 characters: how age writes recipients and identities."""

from __future__ import annotations

_CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_VALUES = {char: value for value, char in enumerate(_CHARSET)}
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECKSUM_SIZE = 6


def decode(text: str) -> tuple[str, bytes]:
    """The human-readable part, in the case it is written in, and the data. Raises ValueError."""
    if not text.isascii() or text not in {text.lower(), text.upper()}:
        raise ValueError("not ASCII, or of both cases")
    prefix, separator, rest = text.rpartition("1")
    values = [_VALUES.get(char, -1) for char in rest.lower()]
    if not separator or not prefix or len(values) < _CHECKSUM_SIZE or min(values) < 0:
        raise ValueError("not Bech32")
    if any(not 33 <= ord(char) <= 126 for char in prefix) or _polymod([*_expand(prefix), *values]) != 1:
        raise ValueError("the checksum does not match")
    return prefix, _to_bytes(values[:-_CHECKSUM_SIZE])


def decode_as(prefix: str, size: int, text: str) -> bytes:
    """The data of a text of this kind, of so many bytes. Raises ValueError for another."""
    found, data = decode(text)
    if found != prefix or len(data) != size:
        raise ValueError("of another kind, or of another size")
    return data


def encode(prefix: str, data: bytes) -> str:
    """`prefix` in upper case makes all of it upper case."""
    number, spare = int.from_bytes(data, "big") << (-len(data) * 8 % 5), (len(data) * 8 + 4) // 5
    values = [number >> 5 * place & 31 for place in reversed(range(spare))]
    checksum = _polymod([*_expand(prefix), *values, *[0] * _CHECKSUM_SIZE]) ^ 1
    values += [checksum >> 5 * place & 31 for place in reversed(range(_CHECKSUM_SIZE))]
    text = f"{prefix.lower()}1{''.join(_CHARSET[value] for value in values)}"
    return text.upper() if prefix.isupper() else text


def _to_bytes(values: list[int]) -> bytes:
    number = 0
    for value in values:
        number = number << 5 | value
    padding = len(values) * 5 % 8
    if padding >= 5 or number & ((1 << padding) - 1):
        raise ValueError("the padding is not zero")
    return (number >> padding).to_bytes(len(values) * 5 // 8, "big")


def _expand(prefix: str) -> list[int]:
    codes = prefix.lower().encode()
    return [*(code >> 5 for code in codes), 0, *(code & 31 for code in codes)]


def _polymod(values: list[int]) -> int:
    checksum = 1
    for value in values:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for place, generator in enumerate(_GENERATOR):
            if top >> place & 1:
                checksum ^= generator
    return checksum
