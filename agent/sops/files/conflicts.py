"""Conflicts of a Git merge that were left in a file: why it does not parse."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from agent.values.errors import YamlError

if TYPE_CHECKING:
    from agent.values.errors import InputError

START: Final = re.compile(rb"<{7,}(?: .*)?\r?\n?")
"""The line that Git begins a conflict with."""


def explained(error: InputError, data: bytes, *, file: str) -> InputError:
    """Why a file does not parse: for conflicts of a merge, if there are any."""
    if not any_left(data):
        return error
    return YamlError("the file has conflicts of a merge", hint="agent resolve, then git add", file=file)


def any_left(text: bytes) -> bool:
    """Whether a line begins a conflict."""
    return any(START.fullmatch(line) for line in lines(text))


def lines(text: bytes) -> list[bytes]:
    """Its lines, each with its break."""
    return re.findall(rb"[^\n]*\n|[^\n]+", text)
