"""Possessive groups stand where every Python reads them alike.

Before 3.11.5, such a group keeps what its last, failed round looked at where that was a lookaround or a repetition: `(?: +(?=x))*+` takes
the blanks that no `x` follows. A single character that is repeated (`[a-z]*+`) is read alike everywhere.
"""

from __future__ import annotations

import re
from pathlib import Path

import agent

GROUP = re.compile(r"(?<!\()\)(?:[*+?]|\{[0-9,]+\})\+|\(\?>")
ALIKE = {
    "adapters/kubernetes/wire.py": 1,
    "values/surroundings.py": 2,
    "yaml/edit/json_original.py": 1,
    "yaml/edit/rewriter.py": 2,
    "yaml/edit/values.py": 1,
    "yaml/read/json.py": 1,
    "yaml/read/json_stream.py": 2,
    "yaml/read/lines.py": 1,
}
"""Groups that were compared on 3.11.2 and newer ones, with texts of what they distinguish."""


def test_possessive_groups_are_those_that_were_compared() -> None:
    root = Path(agent.__file__).parent
    texts = {path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*.py")}
    assert {place: len(found) for place, text in texts.items() if (found := GROUP.findall(text))} == ALIKE
