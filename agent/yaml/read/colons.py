"""Colons that are text to go-yaml and an error to libyaml: behind a plain scalar in flow style, as in `[10.0.0.1, fd00::]`.

libyaml is given another character in their place, which stands nowhere in the file; every place stays what it is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import yaml
from yaml.events import ScalarEvent

if TYPE_CHECKING:
    from yaml.events import Event

_PROBLEM = "found unexpected ':'"
_LIKELY = re.compile(r"""(?<=[^\s"'\[\]{},:])(:*+)(?<=:)(?=[,\[\]{}])""")
_ENDS = frozenset(",[]{}")
_MOST = 16
"""How often a text is read again for colons that the pattern does not know."""


class Colons:
    """The colons of one text. `data` is what libyaml reads."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._mark = ""
        self._hidden = 0

    def hide(self, error: Exception) -> bool:
        """Whether that colon was all that was wrong: then `data` has to be read again, and gives the same events so far."""
        if not isinstance(error, yaml.MarkedYAMLError) or error.problem != _PROBLEM or self._hidden == _MOST:
            return False
        try:
            text = self.data.decode("utf-8-sig")
        except UnicodeDecodeError:
            return False
        at = error.problem_mark.index if error.problem_mark is not None else len(text)
        if text[at : at + 1] != ":" or text[at + 1 : at + 2] not in _ENDS:
            return False
        self._hidden += 1
        if not self._mark:
            self._mark = next(mark for mark in map(chr, range(0xE000, 0xF900)) if mark not in text)
            text = _LIKELY.sub(lambda found: found[1][:-1] + self._mark, text)
        self.data = f"{text[:at]}{self._mark}{text[at + 1 :]}".encode()
        return True

    def shown(self, event: Event) -> Event:
        """An event with its colons."""
        if self._mark and isinstance(event, ScalarEvent) and self._mark in event.value:
            event.value = event.value.replace(self._mark, ":")
        return event
