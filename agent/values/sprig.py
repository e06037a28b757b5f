"""Functions of templates as Go and sprig define them, on plain text: what is done with a value once it is known.

Lengths and positions count bytes, as Go's do. What would not be text any more is refused, and so is a case that Go's tables and Python's
may see differently. Source: github.com/Masterminds/sprig 3.3 (strings.go), Go's packages strings, net/url and encoding.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING, Final, LiteralString

from agent.values.text import SPACE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

LONGEST: Final = 3 * 1024 * 1024
"""Characters of what a function gives."""
_PLAIN: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~")
"""What net/url leaves as it is in a query."""


class UnusableError(ValueError):
    """`why` it cannot be done; nothing of the value is in it."""

    def __init__(self, why: LiteralString) -> None:
        super().__init__(why)
        self.why: LiteralString = why


def result(function: str, text: str, parameters: Sequence[str]) -> str:
    """What a function gives. Raises UnusableError."""
    made, takes = FUNCTIONS[function]
    if len(parameters) != takes:
        raise UnusableError("the function takes other parameters")
    return made(text, parameters)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _in_query(text: str) -> str:
    return "".join(
        chr(byte) if byte in _PLAIN else "+" if byte == ord(" ") else f"%{byte:02X}" for byte in _bytes(text)
    )


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        pass
    raise UnusableError("what a template would make of the value is not text")


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        pass
    raise UnusableError("the function takes other parameters")


def _truncated(text: str, parameters: Sequence[str]) -> str:
    raw, count = _bytes(text), _number(parameters[0])
    if count < 0:
        return _text(raw[count:]) if len(raw) + count > 0 else text
    return _text(raw[:count])


def _part(text: str, parameters: Sequence[str]) -> str:
    raw, (start, end) = _bytes(text), map(_number, parameters)
    if start < 0:
        if end < 0 or end > len(raw):
            raise UnusableError("the value is shorter than the part that a template takes of it")
        return _text(raw[:end])
    if end < 0 or end > len(raw):
        end = len(raw)
    if start > end:
        raise UnusableError("the value is shorter than the part that a template takes of it")
    return _text(raw[start:end])


def _replaced(text: str, parameters: Sequence[str]) -> str:
    old, new = parameters
    if len(text) + text.count(old) * (len(new) - len(old)) > LONGEST:
        raise UnusableError("what a template makes of the value is too long")
    return text.replace(old, new)


def _in_case(changed: Callable[[str], str]) -> Callable[[str, Sequence[str]], str]:
    def made(text: str, _: Sequence[str]) -> str:
        if not text.isascii():
            raise UnusableError("the case of letters outside ASCII is not changed")
        return changed(text)

    return made


def _decoded(text: str, alphabet: Callable[[bytes], bytes]) -> str:
    try:
        raw = alphabet(_bytes("".join(text.split("\n"))))
    except (binascii.Error, ValueError):
        raw = None
    if raw is None:
        raise UnusableError("the value is not in the encoding that a template decodes")
    return _text(raw)


def _digest(name: str) -> Callable[[str, Sequence[str]], str]:
    return lambda text, _: hashlib.new(name, _bytes(text), usedforsecurity=False).hexdigest()


FUNCTIONS: Final[Mapping[str, tuple[Callable[[str, Sequence[str]], str], int]]] = {
    "trunc": (_truncated, 1),
    "substr": (_part, 2),
    "upper": (_in_case(str.upper), 0),
    "lower": (_in_case(str.lower), 0),
    "trim": (lambda text, _: text.strip(SPACE), 0),
    "trimAll": (lambda text, parameters: text.strip(parameters[0]) if parameters[0] else text, 1),
    "trimPrefix": (lambda text, parameters: text.removeprefix(parameters[0]), 1),
    "trimSuffix": (lambda text, parameters: text.removesuffix(parameters[0]), 1),
    "replace": (_replaced, 2),
    "urlquery": (lambda text, _: _in_query(text), 0),
    "b64dec": (lambda text, _: _decoded(text, lambda raw: base64.b64decode(raw, validate=True)), 0),
    "b32enc": (lambda text, _: base64.b32encode(_bytes(text)).decode(), 0),
    "b32dec": (lambda text, _: _decoded(text, base64.b32decode), 0),
    "sha1sum": (_digest("sha1"), 0),
    "sha256sum": (_digest("sha256"), 0),
    "sha512sum": (_digest("sha512"), 0),
}
"""What functions give, by their names in templates, and how many parameters they take beside the text."""

DIGESTS: Final = frozenset({"sha1sum", "sha256sum", "sha512sum"})


def answer(question: str, value: str | bytes | float, others: Sequence[str]) -> bool:
    """What a question finds of a value; `others` are texts that it is held against. Raises UnusableError for one that is not known."""
    if question == "text":
        return isinstance(value, str | bytes)
    if question in {"truth", "filled"}:
        return bool(value) if question == "truth" else value not in {"", b""}
    text = _text(value) if isinstance(value, bytes) else str(value)
    if question not in _COMPARED or len(others) != 1:
        raise UnusableError("a question of a template is not known")
    return _COMPARED[question](text, others[0])


_COMPARED: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "eq": lambda text, other: text == other,
    "contains": lambda text, other: other in text,
    "prefix": str.startswith,
    "suffix": str.endswith,
}
QUESTIONS: Final = frozenset({"text", "truth", "filled", *_COMPARED})
