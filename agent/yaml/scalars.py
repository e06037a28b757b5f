"""What a scalar means: go-yaml's resolve.go in its two versions.

Version 2 is what Kubernetes reads manifests with, version 3 what sops reads its files with. They differ in the words that are
booleans and in times; underscores, bases and floats are the same. Base 60 and the words of YAML 1.2 alone are text in both.
"""

from __future__ import annotations

import binascii
from enum import Enum
from functools import lru_cache
from typing import TypeAlias

from agent.yaml import numbers, timestamps
from agent.yaml.nodes import Timestamp

Resolved: TypeAlias = str | int | float | bool | Timestamp | None


class Dialect(Enum):
    """Which go-yaml."""

    V2 = 2
    V3 = 3


class ScalarError(Exception):
    """A scalar that its tag does not fit; the caller knows where it stands."""


BREAKS = "\n\r\x85\u2028\u2029"
_PREFIX = "tag:yaml.org,2002:"
_WORDS: dict[str, bool | float | None] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
}
_V2_WORDS: dict[str, bool | float | None] = {
    **_WORDS,
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "off", "Off", "OFF"), False),
}
OLD_BOOLS = frozenset(_V2_WORDS) - frozenset(_WORDS)
"""Words that were booleans in YAML 1.1 and are text to go-yaml v3."""


_OF_NUMBERS = frozenset("0123456789abcdefABCDEFxXoOtTZ+-_.:, ")
"""What numbers and times are made of: text with anything else in it, as most that begins with a digit, is neither."""
_KEPT = 128
"""Characters of a scalar that is remembered: longer ones would stay in memory by the thousand, and seldom come again."""


def plain(text: str, dialect: Dialect) -> Resolved:
    """The value of an untagged, unquoted scalar."""
    return plain_v2(text) if dialect is Dialect.V2 else plain_v3(text)


def plain_v2(text: str) -> str | int | float | bool | None:
    """The value of an untagged, unquoted scalar to go-yaml v2; a time is text."""
    value = _plain(text, Dialect.V2, _V2_WORDS)
    return text if isinstance(value, Timestamp) else value


def plain_v3(text: str) -> Resolved:
    """The value of an untagged, unquoted scalar to go-yaml v3."""
    return _plain(text, Dialect.V3, _WORDS)


def _plain(text: str, dialect: Dialect, words: dict[str, bool | float | None]) -> Resolved:
    if text in words:
        return words[text]
    first = text[0]
    if first == ".":
        value = numbers.parse_dot_float(text)
    elif first not in "0123456789+-" or not _OF_NUMBERS.issuperset(text):
        return text
    else:
        value = _known(text, dialect) if len(text) <= _KEPT else _time_or_number(text, dialect)
    return text if value is None else value


def _time_or_number(text: str, dialect: Dialect) -> Timestamp | int | float | None:
    return timestamps.parse(text) or _number(text.replace("_", ""), dialect)


_known = lru_cache(maxsize=8192)(_time_or_number)


def _number(text: str, dialect: Dialect) -> int | float | None:
    integer = numbers.parse_int(text)
    if integer is not None:
        return integer
    real = numbers.parse_float(text)
    if real is not None:
        return numbers.exactly(text, real) if dialect is Dialect.V3 else real
    for base, mark in ((2, "0b"), (8, "0o")):
        if base == 8 and dialect is Dialect.V2:
            break
        if text.startswith(mark):
            return numbers.parse_int(text[2:], base)
        if text.startswith("-" + mark):
            return numbers.parse_int("-" + text[3:], base)
    return None


def tagged(tag: str, text: str, dialect: Dialect) -> Resolved:
    """The value of a scalar under a tag (in its long form). Raises ScalarError where Go refuses to decode it."""
    if not tag.startswith(_PREFIX):
        return text
    kind = tag.removeprefix(_PREFIX)
    if kind == "binary":
        return _binary(text)
    if kind not in _FITS:
        return text
    if kind == "timestamp":
        time = timestamps.parse(text)
        if time is None:
            raise ScalarError
        return text if dialect is Dialect.V2 else time
    value = _untimed(text, dialect)
    if kind == "float" and isinstance(value, int) and not isinstance(value, bool):
        if value > numbers.INT64_MAX:
            raise ScalarError
        return float(value)
    if not isinstance(value, _FITS[kind]) or (kind == "int" and isinstance(value, bool)):
        raise ScalarError
    return value


_FITS: dict[str, type | tuple[type, ...]] = {
    "bool": bool,
    "int": int,
    "float": float,
    "null": type(None),
    "timestamp": Timestamp,
}


def _untimed(text: str, dialect: Dialect) -> Resolved:
    # Under a tag other than !!timestamp, Go does not try times; what looks like one is never a number either.
    value = plain(text, dialect)
    return text if isinstance(value, Timestamp) else value


def _binary(text: str) -> str:
    packed = text.replace("\r", "").replace("\n", "")
    try:
        raw = binascii.a2b_base64(packed, strict_mode=True)
    except (binascii.Error, ValueError):
        raise ScalarError from None
    return raw.decode("utf-8", "surrogateescape")
