"""Values of an `.env` file as github.com/joho/godotenv has them, which KSOPS reads such files with: without quotes and comments.

Variables in values are not filled in: who reads the file would take them from what is secret.
"""

from __future__ import annotations

import re
from typing import Final, LiteralString

_SPACE: Final = "\t\v\f\r \x85\xa0"
_COMMENT: Final = re.compile(rf"(?<=[{_SPACE}])#")
_ESCAPED: Final = re.compile(r"\\(.)")
_LINE_BREAKS: Final = {"n": "\n", "r": "\r"}
_VARIABLE: Final = re.compile(r"\\\$|\$\(?\{?[A-Z0-9_]")


HINT: Final = "name the file in envs of a secretGenerator, which takes values as they stand"


class UnreadableError(Exception):
    """Why a value is not read: nothing of it."""

    def __init__(self, why: LiteralString) -> None:
        super().__init__()
        self.why: Final = why


def value(text: str) -> str:
    """What stands behind `=` in a line, as godotenv reads it. Raises UnreadableError."""
    text = text.lstrip(_SPACE)
    quote = text[:1]
    if quote in {"'", '"'}:
        return _quoted(text, quote)
    if text.startswith("#"):
        raise UnreadableError("a value of an .env file is a comment alone")
    comment = _COMMENT.search(text)
    bare = (text[: comment.start()] if comment else text).strip(_SPACE)
    return _without_variables(bare)


def _quoted(text: str, quote: str) -> str:
    end = next((at for at in range(1, len(text)) if text[at] == quote and text[at - 1] != "\\"), 0)
    if not end:
        raise UnreadableError("a value of an .env file has a quote that does not end")
    rest = text[end + 1 :].strip(_SPACE)
    if rest and not rest.startswith("#"):
        raise UnreadableError("a value of an .env file has text behind its quotes")
    inner = text[:end].strip(quote)
    return inner if quote == "'" else _ESCAPED.sub(_unescaped, _without_variables(inner))


def _unescaped(found: re.Match[str]) -> str:
    return _LINE_BREAKS.get(found[1], found[1])


def _without_variables(text: str) -> str:
    if _VARIABLE.search(text):
        raise UnreadableError("a value of an .env file names a variable")
    return text
