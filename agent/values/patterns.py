"""Patterns that an operator or an author writes for names and paths: `*` is any run of characters, everything else is itself."""

from __future__ import annotations


def name_matches(pattern: str, name: str) -> bool:
    """Whether all of `name` fits. Each part is looked for once: a pattern with many `*` costs no more than a long one."""
    first, *parts = pattern.split("*")
    if not parts:
        return pattern == name
    at = len(first)
    if not name.startswith(first):
        return False
    for part in parts[:-1]:
        found = name.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return name.endswith(parts[-1]) and len(name) - len(parts[-1]) >= at


def path_matches(pattern: str, path: str) -> bool:
    """Whether a store's path fits: segment by segment, `*` within one, a final `**` for anything below."""
    wanted, given = pattern.strip("/").split("/"), path.strip("/").split("/")
    if wanted[-1] == "**":
        wanted = wanted[:-1]
        given = given[: len(wanted)] if len(given) > len(wanted) else []
    return _fits(wanted, given)


def segments_match(pattern: str, path: str) -> bool:
    """Whether a path fits that has as many segments as the pattern: `*` stays within one, and so does `**`."""
    given = path.split("/")
    return all(given) and _fits(pattern.split("/"), given)


def _fits(wanted: list[str], given: list[str]) -> bool:
    return len(wanted) == len(given) and all(name_matches(one, other) for one, other in zip(wanted, given, strict=True))
