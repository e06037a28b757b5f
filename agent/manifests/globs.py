"""The globs of `include` and `exclude`, as one linear-time expression for each list."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from agent.values.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import re2

_PROGRAM: Final = 256 * 1024
"""Bytes of memory for one list: what fits matches a path of 512 characters in some 30 ms at worst, with all else of Python waiting."""


class Globs:
    """Paths that match any of the patterns. `*` and `?` stay within a folder, `**` crosses folders, `dir/` is all below it."""

    def __init__(self, patterns: Sequence[str]) -> None:
        """Raises SourceError where they are too many."""
        self._expression: Final = _compile(patterns) if patterns else None

    def match(self, path: str) -> bool:
        return self._expression is not None and self._expression.search(path) is not None


def _compile(patterns: Sequence[str]) -> re2.Pattern:
    # With the C++ library that it needs it takes 3 MiB, which an agent without Applications does without.
    import re2  # noqa: PLC0415

    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = _PROGRAM
    alternatives = "|".join(_translate(pattern) for pattern in patterns)
    try:
        return re2.compile(rf"\A(?s:{alternatives})\z", options)
    except re2.error:
        raise SourceError(
            "the list of globs is too large", hint="write fewer or shorter globs, with fewer wildcards"
        ) from None


def _translate(pattern: str) -> str:
    steps = pattern.lstrip("/").split("/")
    if steps[-1] == "":
        steps[-1] = "**"
    text = ""
    for index, step in enumerate(steps):
        last = index == len(steps) - 1
        if step == "**":
            text += ".*" if last else "(?:[^/]+/)*"
        else:
            text += "".join(_wildcard(char) for char in step) + ("" if last else "/")
    return text


def _wildcard(char: str) -> str:
    if char == "*":
        return "[^/]*"
    return "[^/]" if char == "?" else re.escape(char)
