"""What an error tells stands until something else is so: no countdown, no counter of tries, no number that a process or a port has."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import agent

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(agent.__file__).parent
ROOMS = tuple(path for path in sorted(ROOT.rglob("*.py")) if path.relative_to(ROOT).parts[0] != "cli")
"""What the command line says is read once, by who asked."""
CHANGING = re.compile(
    r"seconds|minutes|elapsed|ago|left|wait|delay|attempts?|tries|retries|retry_?\w*|again|age|uptime|port|pid|request_?id|trace|now|time"
)
STANDING = {
    ("seconds", "_LOOKING"),
    ("seconds", "int(limit)"),
    ("seconds", "seconds"),
    ("port", "port"),
    ("retry_at", "durations.timestamp(self._now() + delay)"),
}
"""Limits that are configured or constant, the address that is listened on, and a time that is set once for each outage."""


def facts() -> Iterator[tuple[str, str, str]]:
    """Every fact that is given to an error: its name, how it is made, and where."""
    for path in ROOMS:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called.endswith("Error") or called in {"with_facts", "explain"}:
                yield from (
                    (each.arg, ast.unparse(each.value), f"{path.relative_to(ROOT)}:{node.lineno}")
                    for each in node.keywords
                    if each.arg is not None
                )


def test_no_fact_of_an_error_changes_by_itself():
    found = list(facts())
    assert len(found) > 300
    assert [
        each for each in found if CHANGING.fullmatch(each[0]) and each[:2] not in STANDING and each[0] != "hint"
    ] == []


def test_what_is_allowed_to_stand_is_there():
    assert {each[:2] for each in facts()} >= STANDING


def test_no_fact_is_made_of_a_clock_or_a_set():
    clocks = re.compile(r"monotonic|\.now\(|time\.|random|join\((set|frozenset|\{)|str\((set|frozenset)")
    assert [each for each in facts() if clocks.search(each[1]) and each[:2] not in STANDING] == []
