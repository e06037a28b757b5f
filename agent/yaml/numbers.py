"""Numbers as Go reads and prints them (package strconv)."""

from __future__ import annotations

import re

INT64_MIN, INT64_MAX, UINT64_MAX = -(2**63), 2**63 - 1, 2**64 - 1
_INFINITY = float("inf")

_BASES = {"0x": 16, "0b": 2, "0o": 8}
_DIGITS = {2: "01", 8: "01234567", 10: "0123456789", 16: "0123456789abcdef"}
_FLOAT = frozenset("0123456789.+-eE")
"""Of text of these alone, Python takes for a float what YAML does."""
_DOT_FLOAT = r"\.[0-9](?:_?[0-9])*(?:[eE][-+]?[0-9](?:_?[0-9])*)?"
_MOST_DIGITS = 4000
"""Below the interpreter's own limit on the digits of an int; no number that long fits 64 bits but one of leading zeros."""


class Rounded(float):
    """A number of which the file has more digits than a float64 holds: what is encrypted of it would be another number."""

    __slots__ = ()


def is_finite(value: float) -> bool:
    """As `math.isfinite`: most files need nothing else of a library that has to be loaded."""
    return -_INFINITY < value < _INFINITY


def parse_int(text: str, base: int = 0) -> int | None:
    """strconv.ParseInt, then ParseUint, of 64 bits; base 0 takes it from the prefix. None where both refuse."""
    digits = text[1:] if text[:1] in {"+", "-"} else text
    if base == 0:
        base = _BASES.get(digits[:2].lower(), 0)
        if base:
            digits = digits[2:]
        elif digits[:1] == "0" and len(digits) > 1:
            base, digits = 8, digits[1:]
        else:
            base = 10
    digits = digits.lower()
    if not digits or digits.strip(_DIGITS[base]):
        return None
    digits = digits.lstrip("0") or "0"
    if len(digits) > 64:
        return None
    value = int(digits, base)
    if text[0] == "-":
        return -value if -value >= INT64_MIN else None
    return value if value <= (INT64_MAX if text[0] == "+" else UINT64_MAX) else None


def parse_float(text: str) -> float | None:
    """A decimal number as YAML 1.2 spells it, underscores gone; None for other text and where it exceeds a float64."""
    if len(text) > _MOST_DIGITS or not _FLOAT.issuperset(text):
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if is_finite(value) else None


def parse_dot_float(text: str) -> float | None:
    """strconv.ParseFloat of a text that begins with a dot."""
    if len(text) > _MOST_DIGITS or not re.fullmatch(_DOT_FLOAT, text):
        return None
    value = float(text)
    return value if is_finite(value) else None


def exactly(text: str, value: float) -> float:
    """The float64 of a decimal number, Rounded where it is not the number that the text says."""
    # Fifteen digits are kept by every float64.
    exact = len(text) <= 15 or _shortest(text.lower().lstrip("+"))[1:] == _shortest(repr(value))[1:]
    return value if exact else Rounded(value)


def _shortest(text: str) -> tuple[str, str, int]:
    """Sign, significant digits and the decimal exponent of the first one, of a repr of a finite float."""
    mantissa, _, exponent = text.partition("e")
    sign = "-" if mantissa[0] == "-" else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits = (whole + fraction).lstrip("0")
    if not digits:
        return sign, "0", 0
    leading = len(whole.lstrip("0")) or -(len(fraction) - len(fraction.lstrip("0")))
    return sign, digits.rstrip("0"), leading - 1 + int(exponent or 0)


def _fixed(sign: str, digits: str, exponent: int) -> str:
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
    if len(digits) <= exponent + 1:
        return f"{sign}{digits}{'0' * (exponent + 1 - len(digits))}"
    return f"{sign}{digits[: exponent + 1]}.{digits[exponent + 1 :]}"


def _scientific(sign: str, digits: str, exponent: int, width: int = 2) -> str:
    point = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{point}e{'-' if exponent < 0 else '+'}{abs(exponent):0{width}d}"


def _general(text: str) -> str:
    sign, digits, exponent = _shortest(text)
    return (_scientific if exponent < -4 or exponent >= 6 else _fixed)(sign, digits, exponent)


def float_text(value: float) -> str:
    """FormatFloat(value, 'g', -1, 64) in YAML's spelling: `1`, `1e+06`, `.inf`, `.nan`."""
    if not is_finite(value):
        return ".inf" if value > 0 else "-.inf" if value < 0 else ".nan"
    return _general(repr(value))


def decimal_text(value: float) -> str:
    """FormatFloat(value, 'f', -1, 64): never an exponent; `1` for 1.0, `+Inf`, `-Inf`, `NaN`."""
    if not is_finite(value):
        return "+Inf" if value > 0 else "-Inf" if value < 0 else "NaN"
    return _fixed(*_shortest(repr(value)))


def general_text(value: float) -> str:
    """FormatFloat(value, 'G', -1, 64), with a decimal digit where neither point nor exponent is: `1.0`, `1E+06`, `NaN`."""
    if not is_finite(value):
        return decimal_text(value)
    text = _general(repr(value)).upper()
    return text if "." in text or "E" in text else f"{text}.0"


def json_text(value: float) -> str:
    """A finite float as encoding/json prints it: an exponent only below 1e-6 and from 1e21."""
    sign, digits, exponent = _shortest(repr(value))
    if digits != "0" and (exponent < -6 or exponent >= 21):
        return _scientific(sign, digits, exponent, 1 if exponent < 0 else 2)
    return _fixed(sign, digits, exponent)


def float32_text(value: float) -> str:
    """FormatFloat(value, 'g', -1, 32) in YAML's spelling: how sigs.k8s.io/yaml prints a key that is a float."""
    import struct

    try:
        single = struct.pack("f", value)
    except OverflowError:
        return "-.inf" if value < 0 else ".inf"
    if not is_finite(value):
        return float_text(value)
    rounded = struct.unpack("f", single)[0]
    for precision in range(9):
        text = f"{rounded:.{precision}e}"
        if struct.pack("f", float(text)) == single:
            return _general(text)
    return _general(repr(rounded))
