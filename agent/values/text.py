"""Text of others as it may be shown: paths, names and authors come from Git and may hold anything."""

from __future__ import annotations


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
