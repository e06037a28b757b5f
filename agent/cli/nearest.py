"""What a misspelt command, flag or value may have meant."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def suggestion(word: str, known: Iterable[str]) -> str:
    """`did you mean …? ` for a hint to begin with; empty where nothing is near."""
    found = difflib.get_close_matches(word, list(known), 1)
    return f"did you mean {found[0]}? " if found else ""
