"""Patterns that an operator or an author writes for names and paths: `*` is any run of characters, everything else is itself."""

from __future__ import annotations

import re


def name_matches(pattern: str, name: str) -> bool:
    """Whether all of `name` fits."""
    return re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), name) is not None


def path_matches(pattern: str, path: str) -> bool:
    """Whether a store's path fits: segment by segment, `*` within one, a final `**` for anything below."""
    wanted, given = pattern.strip("/").split("/"), path.strip("/").split("/")
    if wanted[-1] == "**":
        wanted = wanted[:-1]
        given = given[: len(wanted)] if len(given) > len(wanted) else []
    return len(wanted) == len(given) and all(name_matches(one, other) for one, other in zip(wanted, given, strict=True))
