"""Text of others as it may be shown: paths, names and authors come from Git and may hold anything."""

from __future__ import annotations

import re

UTF8_MARK = b"\xef\xbb\xbf"
"""The byte order mark that some editors write before UTF-8."""

_POINTER = b"version https://git-lfs.github.com/spec/"
_MOVING = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]|\r(?!\n)")


def escape(text: str) -> str:
    r"""Untrusted text on one line, with control and bidirectional characters as `\\x1b`-style escapes."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode() for char in text
    )


def percent_encoded(text: str) -> str:
    """Every byte of a text as RFC 3986 writes one that has to be: `%20`."""
    return "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "surrogateescape"))


def percent_decoded(text: str) -> str:
    """The inverse, of nothing but such bytes."""
    return bytes.fromhex(text.replace("%", "")).decode("utf-8", "surrogateescape")


def steady(text: str) -> str:
    r"""Text of several lines as a terminal may show it: what moves the cursor or turns the direction of writing is `\\x1b`-style escapes."""
    return _MOVING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def is_utf16(data: bytes) -> bool:
    """Whether bytes begin as text in UTF-16 does: with its mark, or with a character of ASCII."""
    return data.startswith((b"\xff\xfe", b"\xfe\xff")) or (
        len(data) > 3 and data[:4].count(0) == 2 and (data[1] == data[3] == 0 or data[0] == data[2] == 0)
    )


def is_lfs_pointer(data: bytes) -> bool:
    """Whether these bytes are what Git has in place of a file that Git LFS keeps."""
    return data.startswith(_POINTER) and len(data) < 1024
