"""Text of others as it may be shown: paths, names and authors come from Git and may hold anything, of any length.

What a tenant chooses the number and the length of is cut before it is kept, logged or written: `excerpt` is one text, `excerpts` a list
of them. So a record, a status and a log line have a size that no tenant can choose.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST: Final = 256
"""Characters of one text: an author, a path, a field, a label."""
MOST: Final = 50
"""Texts of one list."""


def escape(text: str) -> str:
    r"""Untrusted text on one line, with control and bidirectional characters as `\\x1b`-style escapes."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode() for char in text
    )


def cut(text: str, longest: int = LONGEST) -> str:
    """At most `longest` characters of a text, the last of them an ellipsis where some are left out."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def excerpt(text: str, longest: int = LONGEST) -> str:
    """Untrusted text, escaped, at most `longest` characters of it: what is left out is not looked at."""
    return cut(escape(cut(text, longest)), longest)


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
