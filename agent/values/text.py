"""Text of others as it may be shown: paths, names and authors come from Git and may hold anything, of any length.

What a tenant chooses the number and the length of is cut before it is kept, logged or written: `excerpt` is one text, `excerpts` a list
of them. So a record, a status and a log line have a size that no tenant can choose.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

LONGEST: Final = 256
"""Characters of one text: an author, a path, a field, a label."""
_NAME: Final = 160
"""Characters of one of a few names in a sentence."""
MOST: Final = 50
"""Texts of one list."""

_PLURALS: Final = {"is": "are", "was": "were"}

UTF8_MARK = b"\xef\xbb\xbf"
"""The byte order mark that some editors write before UTF-8."""

SPACE: Final = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
"""What Go's unicode.IsSpace is true of. Python's `strip` takes four separators of ASCII more."""

_PRIVATE: Final = r"(?is)(AGE-SECRET-KEY-)(?!1…)[0-9A-Z-]+|(-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----)(?!…).+"
_POINTER = b"version https://git-lfs.github.com/spec/"
_MOVING = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]|\r(?!\n)"


def escape(text: str) -> str:
    r"""Untrusted text on one line, with control and bidirectional characters as `\\x1b`-style escapes."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode() for char in text
    )


def masked(text: str) -> str:
    """The text without private keys, which people put where a path or a recipient belongs."""
    if "PRIVATE KEY" not in text and "SECRET-KEY-" not in text.upper():
        return text
    return re.sub(_PRIVATE, lambda found: f"{found[1] or found[2]}…", text)


def percent_encoded(text: str) -> str:
    """Every byte of a text as RFC 3986 writes one that has to be: `%20`."""
    return "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "surrogateescape"))


def percent_decoded(text: str) -> str:
    """The inverse, of nothing but such bytes."""
    return bytes.fromhex(text.replace("%", "")).decode("utf-8", "surrogateescape")


def is_encoded(text: str) -> bool:
    """Whether a percent sign begins what some server on the way could decode, once more than is meant."""
    return "%" in text and re.search("%[0-9A-Fa-f]{2}", text) is not None


def steady(text: str) -> str:
    r"""Text of several lines as a terminal may show it: what moves the cursor or turns the direction of writing is `\\x1b`-style escapes."""
    return re.sub(_MOVING, lambda found: found[0].encode("unicode_escape").decode(), text)


def is_utf16(data: bytes) -> bool:
    """Whether bytes begin as text in UTF-16 does: with its mark, or with a character of ASCII."""
    return data.startswith((b"\xff\xfe", b"\xfe\xff")) or (
        len(data) > 3 and data[:4].count(0) == 2 and (data[1] == data[3] == 0 or data[0] == data[2] == 0)
    )


def is_lfs_pointer(data: bytes) -> bool:
    """Whether these bytes are what Git has in place of a file that Git LFS keeps."""
    return data.startswith(_POINTER) and len(data) < 1024


def cut(text: str, longest: int = LONGEST) -> str:
    """At most `longest` characters of a text, the last of them an ellipsis where some are left out."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def excerpt(text: str, longest: int = LONGEST) -> str:
    """Untrusted text, escaped, at most `longest` characters of it: what is left out is not looked at."""
    return cut(escape(cut(text, longest)), longest)


def counted(number: int, noun: str, verb: str = "") -> str:
    """`1 object`, `2 objects`; with a verb, `1 object differs`, `2 objects differ`. Both are regular, or the verb is `is` or `was`."""
    if number == 1:
        return f"{number} {noun} {verb}".rstrip()
    return f"{number} {noun}s {_PLURALS.get(verb, verb.removesuffix('s'))}".rstrip()


def few(texts: Collection[str], most: int = 3) -> str:
    """The first few of them, each cut, and how many more there are."""
    shown = ", ".join(cut(text, _NAME) for text in islice(texts, most))
    return shown if len(texts) <= most else f"{shown} and {len(texts) - most} more"


def excerpts(texts: Iterable[str], longest: int = LONGEST, *, counted: bool = True) -> tuple[str, ...]:
    """At most MOST texts, each cut at `longest` characters, and behind them how many more there are.

    Not `counted`: what comes behind them is not asked for, which may cost as much as the texts themselves.
    """
    left = iter(texts)
    shown = tuple(cut(text, longest) for text in islice(left, MOST))
    more = sum(1 for _ in (left if counted else islice(left, 1)))
    if not more:
        return shown
    return (*shown, f"and {more} more" if counted else "and more")
