"""JSON as sops's JSON store loads it (encoding/json): ordered, duplicate keys kept, integers exact."""

from __future__ import annotations

import json
import re
from typing import Any, LiteralString, NoReturn, cast

from agent.values.errors import LimitError, YamlError
from agent.values.text import UTF8_MARK
from agent.yaml import guises, numbers
from agent.yaml.limits import Limits, check_text, check_utf8
from agent.yaml.nodes import Entry, Mapping, Sequence, Value

STRING = r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)'
"""A pattern of a text, for re.DOTALL. One that is not closed goes to the end, or each quote in it would be tried as the beginning of one."""

_TOKENS = re.compile(STRING + r"|[\[\]{}]", re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")
# A backslash that is escaped itself escapes nothing.
_PAIR = re.compile(r"(?i)\\\\|\\u(?:d[89ab][0-9a-f]{2})\\u(?:d[c-f][0-9a-f]{2})")
_HALF = re.compile(r"(?i)\\ud[89a-f][0-9a-f]{2}")
_OBJECT = re.compile(rb"\s*+\{")
_UNDECODABLE = dict.fromkeys(range(0xDC80, 0xDD00), "\ufffd")


_HINT: LiteralString = "JSON has text in double quotes, no comments, and no comma behind the last value"
_COMMENTS = ("/", "#")
_ONE: LiteralString = "a SOPS file has one: give each a file of its own, or encrypt the file whole: --input-type binary"


class _NumberError(ValueError):
    pass


@guises.seen_through
def parse(data: bytes, *, file: str, limits: Limits | None = None, whole: bool = False) -> Mapping:
    """The object that a file holds: integers that fit 64 bits are int, all other numbers float, bad UTF-8 becomes U+FFFD.

    Read `whole`, text that would become U+FFFD is an error. Raises YamlError with file, line and column (also where the top level is no
    object, or more text follows it), LimitError.
    """
    limits = limits or Limits()
    check_text(data, file=file, limits=limits)
    check_utf8(data, file=file)
    text = _text(data, file)
    _check_depth(text, file=file, limits=limits)
    _check_values(text, file=file, limits=limits)
    try:
        value: object = json.loads(
            text, object_pairs_hook=_pairs, parse_int=_integer, parse_float=_real, parse_constant=_constant
        )
    except json.JSONDecodeError as error:
        if not text.strip():
            raise YamlError("the file is empty", hint="an object without values is {}", file=file) from None
        if data.startswith(UTF8_MARK):
            raise YamlError(
                "the file begins with a byte order mark, which JSON does not allow",
                hint="save it in UTF-8 without one",
                file=file,
            ) from None
        at = {"line": error.lineno, "column": error.colno}
        if error.msg == "Extra data" and not text.startswith(_COMMENTS, error.pos):
            raise YamlError("there is more text behind the JSON object", hint=_ONE, file=file, **at) from None
        raise YamlError("this is not JSON", hint=_HINT, file=file, **at) from None
    except _NumberError:
        raise YamlError("a number is larger than a 64-bit float, or is not JSON", file=file) from None
    except RecursionError:
        raise LimitError("maps and lists are nested too deeply", file=file, limit=limits.depth) from None
    if not isinstance(value, Mapping):
        raise YamlError(
            "the top level of a SOPS file is an object",
            hint="put it below a key, or encrypt the file whole: --input-type binary",
            file=file,
            line=1,
        )
    if whole and _is_spoilt(data, text):
        # Go, and so sops, puts U+FFFD in its place.
        raise YamlError("text is not UTF-8, or half of a character", hint="it would be lost: write it again", file=file)
    return value


def documents(data: bytes, *, file: str, limits: Limits, in_place: bool = False) -> list[Mapping]:
    """A `Reader` of JSON files: their one object."""
    del in_place
    return [parse(data, file=file, limits=limits)]


def _is_spoilt(data: bytes, text: str) -> bool:
    """Whether a file has bytes that are not UTF-8, or halves of a surrogate pair."""
    try:
        _ = data.decode()
    except UnicodeDecodeError:
        return True
    pairs = _PAIR.sub("", text) if "\\u" in text else ""
    return _HALF.search(pairs) is not None


def _text(data: bytes, file: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        if _OBJECT.match(data) is None:
            raise YamlError("this is not JSON", file=file, line=1) from None
        # Go has one for each byte, where Python's "replace" has one for several.
        return data.decode("utf-8", "surrogateescape").translate(_UNDECODABLE)


def _check_depth(text: str, *, file: str, limits: Limits) -> None:
    depth = 0
    for match in _TOKENS.finditer(text):
        token = match.group()
        if token in "[{":
            depth += 1
            if depth > limits.depth:
                line = text.count("\n", 0, match.start()) + 1
                raise LimitError("maps and lists are nested too deeply", file=file, line=line, limit=limits.depth)
        elif token in "]}":
            depth -= 1


def _check_values(text: str, *, file: str, limits: Limits) -> None:
    # Nothing is many values without many commas.
    commas = text.count(",")
    if commas > limits.values:
        commas -= sum(match.group().count(",") for match in _TOKENS.finditer(text))
    if commas > limits.values:
        raise LimitError("the file holds more values than the limit", file=file, limit=limits.values)


def _pairs(pairs: list[tuple[str, Any]]) -> Mapping:
    return Mapping(tuple(Entry(_clean(key), _value(value)) for key, value in pairs))


def _value(value: object) -> Value:
    if isinstance(value, list):
        return Sequence(tuple(_value(item) for item in cast("list[object]", value)))
    return _clean(value) if isinstance(value, str) else cast("Value", value)


def _clean(text: str) -> str:
    return _SURROGATE.sub("\ufffd", text)


def _integer(text: str) -> int | float:
    value = numbers.parse_int(text, 10)
    return value if value is not None and value <= numbers.INT64_MAX else _real(text)


def _real(text: str) -> float:
    value = float(text)
    if not numbers.is_finite(value):
        raise _NumberError
    return numbers.exactly(text, value)


def _constant(_: str) -> NoReturn:
    raise _NumberError
