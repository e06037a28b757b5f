"""Text of others as it may be shown: paths, names and authors come from Git and may hold anything."""

from __future__ import annotations


def escape(text: str) -> str:
    r"""Untrusted text on one line, with control and bidirectional characters as `\\x1b`-style escapes."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode() for char in text
    )
