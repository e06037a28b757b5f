"""Conflict markers as Git writes them, around the lines in which two texts differ."""

from __future__ import annotations

import re

from agent.gitmerge import hunks
from agent.sops.files import conflicts

_SIZE = 7
_MOST_STEPS = 5_000_000
"""Of comparing lines; a second, about."""
_BASE, _MIDDLE, _END = (re.compile(rb"%s{7,}(?: .*)?\r?\n?" % each) for each in (rb"\|", b"=", b">"))


def marked(ours: bytes, theirs: bytes, *, size: int = _SIZE) -> bytes:
    """Ours, with what theirs has instead behind it, between markers of `size` characters."""
    mine, other = conflicts.lines(ours), conflicts.lines(theirs)
    end = b"\r\n" if mine and mine[0].endswith(b"\r\n") else b"\n"
    out: list[bytes] = []
    for kind, start, stop, other_start, other_stop in hunks.changes(mine, other, most_steps=_MOST_STEPS):
        if kind == "equal":
            out += mine[start:stop]
            continue
        out.append(b"<" * size + b" ours" + end)
        out += _complete(mine[start:stop], end)
        out.append(b"=" * size + end)
        out += _complete(other[other_start:other_stop], end)
        out.append(b">" * size + b" theirs" + end)
    return b"".join(out)


def _complete(lines: list[bytes], end: bytes) -> list[bytes]:
    return [*lines[:-1], lines[-1] if lines[-1].endswith(b"\n") else lines[-1] + end] if lines else []


def sides(text: bytes) -> tuple[bytes, bytes] | None:
    """The two texts that a marked one was made of; None where it has no markers, or they do not fit together.

    What Git's `diff3` style shows of the base is left out.
    """
    ours: list[bytes] = []
    theirs: list[bytes] = []
    into = [ours, theirs]
    state = found = 0
    for line in conflicts.lines(text):
        if state == 0 and conflicts.START.fullmatch(line):
            state, into, found = 1, [ours], 1
        elif state == 1 and _BASE.fullmatch(line):
            state, into = 2, []
        elif state in (1, 2) and _MIDDLE.fullmatch(line):
            state, into = 3, [theirs]
        elif state == 3 and _END.fullmatch(line):
            state, into = 0, [ours, theirs]
        else:
            for side in into:
                side.append(line)
    return (b"".join(ours), b"".join(theirs)) if found and state == 0 else None
