"""A file whose bytes were damaged gives an error, or what was in it; no command makes another file of it.

What the MAC does not cover may change unnoticed, in files of sops too: comments, whose damaged ciphertext is kept as it is; names of keys
whose values are clear, null or empty; layout; and in the metadata the names of recipients, whose wrapped keys still open.
"""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING

import pytest
from refusals import PLAIN, Sealed, Witness, commands, covered

from agent.values.errors import AgentError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Shell

_SAMPLES = 16
_SEALED = re.compile(rb'[=:] ?"?ENC\[')
"""What is left of a file without it is the plaintext of another."""
_NUMERIC_VERSION = re.compile(rb"\n    version: [0-9]+(?:\.[0-9]*)?$")
"""YAML that ends within the version, which stands last, is whole where a number is left."""
_READING = {"decrypt", "extract", "exec-env", "exec-file", "textconv", "fingerprints", "filestatus", "verify", "report"}


@pytest.fixture(scope="module")
def sealed() -> Sealed:
    return Sealed()


@pytest.fixture
def witness(shell: Shell, sealed: Sealed) -> Witness:
    return Witness(shell, sealed)


def flipped(data: bytes) -> Iterator[bytes]:
    """One bit of every byte."""
    for at, byte in enumerate(data):
        yield data[:at] + bytes([byte ^ 1 << at % 8]) + data[at + 1 :]


def cut(data: bytes) -> Iterator[bytes]:
    """At every place but the end."""
    return (data[:at] for at in range(len(data)))


def gives(witness: Witness, data: bytes, name: str) -> list[tuple[str, bytes]] | None:
    """What the MAC covers of what decrypt gives; None where it gives nothing."""
    done = witness.run("decrypt", "--filename-override", name, stdin=data)
    return None if done.code else covered(done.out, name)


@pytest.mark.parametrize("name", PLAIN)
def test_a_flipped_bit_gives_an_error_or_what_was_encrypted(witness: Witness, name: str) -> None:
    genuine = covered(PLAIN[name], name)
    answers = [gives(witness, damaged, name) for damaged in flipped(witness.sealed.files[name])]
    assert [answer for answer in answers if answer not in (None, genuine)] == []
    # Without the last there would be nothing to see: a recipient's name, say, is not looked at.
    assert answers.count(None) > len(answers) * 2 // 3
    assert genuine in answers


@pytest.mark.parametrize("name", PLAIN)
def test_a_file_that_ends_early_gives_an_error(witness: Witness, name: str) -> None:
    genuine = covered(PLAIN[name], name)
    data = witness.sealed.files[name]
    opened = {damaged: answer for damaged in cut(data) if (answer := gives(witness, damaged, name)) is not None}
    whole = [left for left in cut(data) if left == data[:-1] or (name == "s.yaml" and _NUMERIC_VERSION.search(left))]
    assert list(opened) == whole
    assert list(opened.values()) == [genuine] * len(whole)


def sampled(data: bytes, chance: random.Random, *, flips_alone: bool) -> Iterator[bytes]:
    for _ in range(_SAMPLES):
        at = chance.randrange(len(data))
        yield data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]
        if not flips_alone:
            other = chance.randrange(len(data))
            yield data[:at]
            yield data[:at] + data[at + chance.randrange(1, 80) :]
            yield data[:at] + data[other : other + chance.randrange(1, 80)] + data[at:]


@pytest.mark.parametrize("name", PLAIN)
def test_what_is_left_of_an_encrypted_file_is_not_encrypted_again(witness: Witness, name: str) -> None:
    data = witness.sealed.files[name]
    damaged = [*list(cut(data))[::11], *list(flipped(data))[::11]]
    # Of a binary file any other piece might be some file of its own.
    damaged += [] if name == "s.txt" else [data[at:] for at in range(0, len(data), 11)]
    for left in filter(_SEALED.search, damaged):
        witness.fails("encrypt", "--filename-override", name, stdin=left, code={2, 203})


@pytest.mark.parametrize(
    "command", [name for name in commands("") if name != "decrypt" and not name.startswith("encrypt")]
)
@pytest.mark.parametrize("name", PLAIN)
def test_no_command_makes_anything_else_of_a_damaged_file(witness: Witness, name: str, command: str) -> None:
    genuine, arguments = witness.sealed.files[name], commands(name)[command]
    fit = changed(name, command)
    # What stands in the clear counts as written by hand to `resolve`, which says so; but damaged ciphertext does not.
    by_hand = command == "resolve"
    chance = random.Random(f"{name} {command}")
    for damaged in filter(_SEALED.search, sampled(genuine, chance, flips_alone=by_hand)):
        if command in {"merge into it", "merge it"}:
            witness.beside(name)
        path = witness.shell.write(name, damaged)
        done = witness.run(*arguments)
        if command in _READING:
            assert path.read_bytes() == damaged
        elif done.code == 0 and path.read_bytes() != damaged:
            found = afterwards(witness, name, in_clear=command in {"a tree", "decrypt in place"})
            resolved = by_hand and found and not any(b"ENC[" in value or b",iv:" in value for _, value in found)
            assert found in (None, fit) or resolved
        (witness.shell.folder / "new").unlink(missing_ok=True)


def changed(name: str, command: str) -> list[tuple[str, bytes]]:
    """What the MAC covers of a file that was whole, after a command."""
    data = PLAIN[name]
    match command:
        case "set" if name == "s.txt":
            data = b"new"
        case "set":
            data = data.replace(b"987654321012", b'"new"' if name in {"s.yaml", "s.json"} else b"new")
        case "unset" if name == "s.txt":
            return []
        case "unset":
            data = b"\n".join(line for line in data.split(b"\n") if b"98765" not in line)
            data = PLAIN[name].replace(b' "n": 987654321012,', b"") if name == "s.json" else data
        case "edit":
            data = data.replace(b"canary-of", b"chosen-of")
        case _:
            pass
    return covered(data, name)


def afterwards(witness: Witness, name: str, *, in_clear: bool) -> list[tuple[str, bytes]] | None:
    data = (witness.shell.folder / name).read_bytes()
    if in_clear:
        return covered(data, name)
    done = witness.shell.agent("decrypt", name)
    try:
        return None if done.code else covered(done.out, name)
    except AgentError:
        return []
