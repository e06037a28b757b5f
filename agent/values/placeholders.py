"""Placeholders: what a renderer sees in the place of a sealed value.

36 letters and digits that mean nothing to YAML, never a number or a word of its own, and that break visibly where something changes their
case or cuts them. One is a hash of what the value is known by (a ciphertext, a reference), under no key: the same in the cluster and on
a user's machine, another one when the ciphertext is, and nothing of the value is in it. A keyed fingerprint stands where a value has no
ciphertext.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING, Final, Literal, NewType, TypeAlias

from agent.values.errors import PlaceholderError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Placeholder = NewType("Placeholder", str)
Kind: TypeAlias = Literal["sops", "file", "ref", "live", "expr", "generated"]
"""A leaf of a SOPS file (`Sealed.id`), a whole one (path, blob), a reference, a value of the cluster (fingerprint), what a function gives,
and what a template makes up (object, path)."""

START: Final = "sGnT0k"
END: Final = "K0tNgS"
_BODY: Final = 24
LENGTH: Final = len(START) + _BODY + len(END)
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DOMAIN: Final = "signet placeholder v1"
_WHOLE: Final = re.compile(rf"{START}[0-9A-Za-z]{{{_BODY}}}{END}")
_PART: Final = re.compile(rf"{START}|{END}|(?i:{START}[0-9a-z]{{{_BODY}}}{END})")
"""What is left of one that was cut, and a whole one in other cases."""


def of(kind: Kind, *parts: str) -> Placeholder:
    """The placeholder of what `parts` name."""
    framed = (part.encode("utf-8", "surrogateescape") for part in (kind, *parts))
    digest = hashlib.sha256(
        _DOMAIN.encode() + b"".join(len(part).to_bytes(8, "big") + part for part in framed)
    ).digest()
    number = int.from_bytes(digest, "big")
    body = ""
    for _ in range(_BODY):
        number, digit = divmod(number, len(_DIGITS))
        body += _DIGITS[digit]
    return Placeholder(START + body + END)


def split(text: str) -> list[str | Placeholder]:
    """A text cut at its placeholders: what is at an odd place is one, and text, which may be empty, stands before, between and behind.

    Raises PlaceholderError where a part of one is left over.
    """
    parts: list[str | Placeholder] = []
    end = 0
    for found in _WHOLE.finditer(text):
        parts += [text[end : found.start()], Placeholder(found.group())]
        end = found.end()
    parts.append(text[end:])
    if any(_PART.search(part) for part in parts[::2]):
        raise PlaceholderError(
            "a sealed value was cut or changed while it was rendered",
            hint="a renderer may move a sealed value and put text around it, and nothing else",
        )
    return parts


def find(text: str) -> tuple[Placeholder, ...]:
    """The placeholders of a text, in order, each as often as it stands there. Raises PlaceholderError as `split`."""
    return tuple(Placeholder(part) for part in split(text)[1::2]) if is_marked(text) else ()


def named(text: str) -> list[Placeholder]:
    """As `find`, of a text that may hold parts of others too."""
    return [Placeholder(each) for each in _WHOLE.findall(text)]


def replaced(text: str, name: Callable[[Placeholder], Placeholder]) -> str:
    """The text with other placeholders."""
    return _WHOLE.sub(lambda found: name(Placeholder(found.group())), text)


def without(text: str) -> str:
    """The text that stands around placeholders."""
    return _WHOLE.sub("", text)


def is_marked(text: str) -> bool:
    """Whether a text holds a placeholder, or a part of one."""
    return _PART.search(text) is not None


def refuse(text: str) -> None:
    """Raises PlaceholderError for a text of Git that looks like a placeholder, which may not be forged."""
    if is_marked(text):
        raise PlaceholderError("text looks like the placeholder of a sealed value", hint="write another text")


def _encoded_starts() -> Iterator[str]:
    """What base64 makes of START behind 0, 1 and 2 other bytes: the characters that nothing around it changes."""
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + START.encode()).decode()
        yield encoded[-(-before * 8 // 6) : (before + len(START)) * 8 // 6]


_ENCODED: Final = re.compile("|".join(map(re.escape, _encoded_starts())))
_SPACE: Final = re.compile(r"\s+")


def decoded(text: str) -> str | None:
    """What a text of base64 holds, where that has a placeholder in it; None else.

    Raises PlaceholderError where base64 of one stands in another text, from which nothing takes it out again.
    """
    packed = _SPACE.sub("", text)
    if _ENCODED.search(packed) is None:
        return None
    try:
        plain = base64.b64decode(packed, validate=True).decode()
    except ValueError:  # UnicodeDecodeError and binascii.Error are
        plain = ""
    if not is_marked(plain):
        raise PlaceholderError(
            "base64 of a sealed value stands within another text",
            hint="name the Secret's key where the value is needed, or keep the value in clear text",
        )
    return plain
