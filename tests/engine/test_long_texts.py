"""What tenants write, and servers that they choose answer, is looked at once: a text four times as long takes no more than some four times as long.

A pattern that looks for its end from each of its beginnings holds the interpreter, and with it the agent's loop, for hours.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import pytest

from agent.adapters.keys import pgp_packets
from agent.adapters.kubernetes import errors, wire
from agent.manifests import documents
from agent.sops.stores import ini
from agent.values import surroundings
from agent.values.errors import AgentError
from agent.yaml.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.values.surroundings import Encoding

PIECES = 8000


def file(piece: str) -> Callable[[int], object]:
    """A file of so many pieces that is no YAML."""

    def parse(pieces: int) -> object:
        data = f"a: [{piece * pieces}".encode()
        return documents.parse_file(documents.File("a.yaml", "b" * 40, data, 0), limits=Limits())

    return parse


def references(encoding: Encoding, text: str) -> Callable[[int], object]:
    """So many references in one text."""

    def join(pieces: int) -> object:
        part: surroundings.Part = ("v", encoding)
        return surroundings.joined([each for _ in range(pieces) for each in (text, part)])

    return join


READERS: dict[str, Callable[[int], object]] = {
    "a template of Jinja": file("{%"),
    "a template of ERB": file("<%"),
    "a word beside a value": lambda pieces: surroundings.joined(["a" * 2 * pieces, ("v", "")]),
    "values in a text": references("", "abcdefgh "),
    "values in quotes": references("json", '\\"abcdefgh '),
    "values in a line of YAML": references("yaml", "abcdefgh "),
    "blank lines of an INI file": lambda pieces: ini.parse(b"\n" * 2 * pieces + b"x", file="a.ini", limits=Limits()),
    "keys that begin": lambda pieces: pgp_packets.secret_keys(b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n" * pieces),
    "a field that was refused": lambda pieces: errors.safe_field("[=" * pieces),
    "an answer that breaks off": lambda pieces: wire.decode(b"[" * 1100 + b'"' + b'\\"' * pieces),
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_text_is_read_in_a_time_that_grows_as_it_does(read: Callable[[int], object]) -> None:
    def seconds(pieces: int) -> float:
        began = time.thread_time()
        with contextlib.suppress(AgentError, ValueError):
            read(pieces)
        return time.thread_time() - began

    seconds(10)
    once = min(seconds(PIECES) for _ in range(3))
    assert min(seconds(4 * PIECES) for _ in range(3)) < 9 * max(once, 0.02)
