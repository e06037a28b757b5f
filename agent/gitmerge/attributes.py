"""The patterns of `.gitattributes` that take in what a `path_regex` matches: as narrow as they can be, but never narrower.

See gitattributes(5) and gitignore(5): a pattern without a slash is one of names in any folder, `**` is any number of folders.
"""

from __future__ import annotations

from typing import TypeAlias

_Sequence: TypeAlias = tuple[str, ...]
"""Parts of a path: characters, and these four."""

_NAME = "name"
_ANY = "any"
_START = "start"
_END = "end"

_MOST = 64
_SPECIAL = "*?[\\"
_CLASSES = "dw"


class _InexpressibleError(Exception):
    """No way to say this in globs."""


def globs(pattern: str) -> tuple[str, ...] | None:
    """For a path relative to the folder of `.gitattributes`. None where there are none, or where everything is meant."""
    try:
        found = _Reader(pattern).read()
        result = tuple(dict.fromkeys(glob for parts in found for glob in _globs(parts)))
    except _InexpressibleError:
        return None
    return None if not result or len(result) > _MOST or any(not set(glob) - {"*", "/"} for glob in result) else result


class _Reader:
    """Of the part of RE2's syntax that paths are described with."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0

    def read(self) -> list[_Sequence]:
        found = self._alternatives()
        if self._at < len(self._pattern):
            raise _InexpressibleError
        return found

    def _next(self) -> str:
        char = self._pattern[self._at : self._at + 1]
        self._at += 1
        if not char:
            raise _InexpressibleError
        return char

    def _peek(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _alternatives(self) -> list[_Sequence]:
        found = self._sequence()
        while self._peek() == "|":
            self._at += 1
            found += self._sequence()
        return found

    def _sequence(self) -> list[_Sequence]:
        found: list[_Sequence] = [()]
        while self._peek() not in {"", "|", ")"}:
            atom = self._quantified()
            found = [(*before, *after) for before in found for after in atom]
            if len(found) > _MOST:
                raise _InexpressibleError
        return found

    def _quantified(self) -> list[_Sequence]:
        atom = self._atom()
        match self._peek():
            case "?":
                atom = [*atom, ()]
            case "*" | "+":
                if len(atom) != 1 or len(atom[0]) != 1:
                    raise _InexpressibleError
                part = atom[0][0]
                atom = [(part if part in {_NAME, _ANY} else _ANY if part == "/" else _NAME,)]
            case "{":
                raise _InexpressibleError
            case _:
                return atom
        self._at += 1
        if self._peek() == "?":
            self._at += 1
        return atom

    def _atom(self) -> list[_Sequence]:  # noqa: PLR0911  # one per kind
        char = self._next()
        match char:
            case "(":
                return self._group()
            case "[":
                return [(self._class(),)]
            case ".":
                return [(_ANY,)]
            case "^":
                return [(_START,)]
            case "$":
                return [(_END,)]
            case "\\":
                char = self._next()
                if char in _CLASSES:
                    return [(_NAME,)]
                if char.isalnum():
                    raise _InexpressibleError
                return [(char,)]
            case "*" | "+" | "?" | "{":
                raise _InexpressibleError
            case _:
                return [(char,)]

    def _group(self) -> list[_Sequence]:
        if self._peek() == "?":
            if self._pattern[self._at : self._at + 2] != "?:":
                raise _InexpressibleError
            self._at += 2
        found = self._alternatives()
        if self._next() != ")":
            raise _InexpressibleError
        return found

    def _class(self) -> str:
        """Any character of a name, unless a slash may be meant."""
        negated = self._peek() == "^"
        self._at += negated
        text = self._next()
        while (char := self._next()) != "]":
            text += char
        if "\\" in text.replace("\\.", "").replace("\\-", "").replace("\\w", "").replace("\\d", ""):
            raise _InexpressibleError
        # A range such as `!-~` may hold a slash as well.
        plain = all(one.isalnum() == other.isalnum() for one, other in zip(text, text[2:], strict=False) if "-" in text)
        return _NAME if ("/" in text) == negated and (negated or plain) else _ANY


def _globs(parts: _Sequence) -> list[str]:
    anchored, open_end = parts[:1] == (_START,), parts[-1:] != (_END,)
    parts = parts[anchored : len(parts) - (not open_end)]
    if {_START, _END} & set(parts):
        raise _InexpressibleError
    if not anchored:
        parts = (_ANY, *parts)
    if open_end:
        parts = (*parts, _ANY)
    found = [""]
    for number, part in enumerate(parts):
        if part == _ANY and number and parts[number - 1] == _ANY:
            continue
        found = [longer for before in found for longer in _longer(before, part, parts[number + 1 :])]
        if len(found) > _MOST:
            raise _InexpressibleError
    return [_placed(glob, anchored=anchored) for glob in found]


def _longer(before: str, part: str, rest: _Sequence) -> list[str]:
    if part == _NAME:
        return [before + "*"]
    if part != _ANY:
        return [before + ("\\" + part if part in _SPECIAL else part)]
    if not rest:
        return [before + "**"] if before.endswith("/") else [before + "*", before + "*/**"]
    if not before:
        return ["**"] if rest[0] == "/" else ["**/*"]
    if before.endswith("/"):
        return [before + "**/*"]
    return [before + "*", before + "*/**/*"]


def _placed(glob: str, *, anchored: bool) -> str:
    """In its usual form: without a slash where any folder is meant, with one at the beginning where only the first is."""
    while "***" in glob:
        glob = glob.replace("***", "**")
    short = glob.removeprefix("**/")
    if short != glob and "/" not in short:
        return short
    if anchored and "/" not in glob:
        return "/" + glob
    if glob[:1] in {"!", "#", '"', "-"}:
        raise _InexpressibleError
    return glob
