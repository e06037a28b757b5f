"""One input out of a seed and a number: a file changed in places, two joined, a soup of tokens, or a large one."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.sops.stores import NAMES, named
from agent.values.errors import AgentError
from bench.fuzz import large, trees

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bench.fuzz.seeds import Seed

LARGEST: Final = 1024 * 1024 + 1024
"""Bytes of an input, at most."""

_SMALL: Final = 64 * 1024
_TOKENS: Final[dict[str, tuple[bytes, ...]]] = {
    "yaml": (
        b"- ", b": ", b"? ", b"&a ", b"*a", b"<<: ", b"!!binary ", b"!!merge ", b"!!float ", b"!x ",
        b"!<tag:yaml.org,2002:int> ", b"|", b">-", b"|2+", b"---\n", b"...\n", b"%YAML 1.1\n", b"%TAG ! !x\n", b"[",
        b"]", b"{", b"}", b",", b"# c\n", b" #", b"#", b"'", b'"', b"\\", b"\\/", b"\\u0000", b"\\N", b"\t", b"    ",
        b"  ", b"a", b"sops", b"sops:\n  mac: ", b"key: value\n", b"\xef\xbb\xbf", b"\xff\xfe", b"0x", b"1e999",
        b".nan", b"-.inf", b"0b", b"1_0", b"9223372036854775808", b"2001-02-30", b"~", b"\xe2\x80\xa8", b"\xc2\x85",
        b"=", b"`", b"@", b"\x00", b"\x07",
    ),
    "json": (
        b"{", b"}", b"[", b"]", b",", b":", b'"', b'"a":', b"\\u", b"\\ud800", b"\\", b"1e999", b"-0", b"1E400",
        b"NaN", b"Infinity", b"null", b"true", b"0.1", b"9223372036854775808", b'"sops":{', b" ", b"\n", b"\x00",
        b"\xff", b'"data":',
    ), "dotenv": (b"=", b"#", b"\n", b"\r\n", b"\\n", b"sops_", b"__list_", b"__map_", b"sops_age__list_1=",
    b"sops_mac", b"\x00", b"A"),
    "ini": (
        b"[", b"]", b"[sops]\n", b"=", b":", b";", b"#", b'"""', b"'", b'"', b"`", b"\\", b"\\\n", b"\n", b"\r\n",
        b" ", b"\t", b"-", b"__list_0", b"__map_", b"[DEFAULT]\n", b"a", b"\x00", b"\xff", b"%(a)s",
    ), "markers": (b"<<<<<<< a\n", b"=======\n", b"||||||| b\n", b">>>>>>> c\n", b"<<<<<<<<<<\n", b"\n", b"\r\n",
    b"a: b\n"),
    "age": (
        b"age-encryption.org/v1\n", b"-> X25519 ", b"-> scrypt ", b"-> mlkem768x25519 ", b"-> ", b"--- ", b"\n", b"A" * 43, b"QUFB", b"=",
        b"-----BEGIN AGE ENCRYPTED FILE-----\n", b"-----END AGE ENCRYPTED FILE-----\n", b"\r\n", b" ", b"\x00", b"\x7f", b"\xff",
        b"AGE-SECRET-KEY-1", b"AGE-SECRET-KEY-PQ-1", b"AGE-PLUGIN-A-1", b"# ", b"ssh-ed25519 ", b"-----BEGIN OPENSSH PRIVATE KEY-----\n",
    ),
}  # fmt: skip
_TARGETS: Final = {
    "yaml": 12,
    "json": 4,
    "dotenv": 4,
    "ini": 5,
    "binary": 1,
    "rules": 2,
    "manifests": 4,
    "markers": 1,
    "age": 3,
    "identities": 1,
}
"""How often each is asked, beside the others."""
_DIALECTS: Final = {"binary": "json", "rules": "yaml", "manifests": "yaml", "identities": "age"}
_WITHOUT_TREE: Final = {"markers", "age", "identities"}
_TYPES: Final = (b"str", b"int", b"float", b"bool", b"time", b"comment", b"bytes")


@dataclass(frozen=True, slots=True)
class Input:
    """What a target is given; `chance` decides whatever the target leaves open."""

    target: str
    data: bytes
    chance: random.Random


def make(seeds: Mapping[str, Sequence[Seed]], seed: int, number: int) -> Input:
    """The input of this number: always the same for the same seed."""
    chance = random.Random(f"{seed}/{number}")
    kind = chance.random()
    if kind < 0.02:
        target, data = large.make(chance)
        return Input(target, data[:LARGEST], chance)
    target = chance.choices(tuple(_TARGETS), tuple(_TARGETS.values()))[0]
    tokens = _TOKENS[_DIALECTS.get(target, target)]
    if kind < 0.1:
        return Input(target, b"".join(chance.choices(tokens, k=chance.randint(1, 40))), chance)
    data = _seed(seeds[target], chance)
    if kind < 0.2:
        data = _joined(data, _seed(seeds[target], chance), chance)
    elif kind < 0.45:
        data = _changed(target, data, chance)
        if chance.random() < 0.5:
            return Input(target, data, chance)
    for _ in range(min(int(chance.expovariate(0.7)) + 1, 30)):
        data = chance.choices(_MUTATIONS, _WEIGHTS)[0](data, tokens, chance)[:_SMALL]
    return Input(target, data, chance)


def _seed(seeds: Sequence[Seed], chance: random.Random) -> bytes:
    ours = [each for each in seeds if not each.vector]
    return chance.choice(ours if chance.random() < 0.6 else seeds).data


def _changed(target: str, data: bytes, chance: random.Random) -> bytes:
    """The file with its tree changed, where it has one."""
    if target in _WITHOUT_TREE:
        return data
    store = named(target if target in NAMES else "yaml")
    try:
        documents = store.parse(data, file="seed")
        return store.emit(trees.changed(documents, chance)) if documents else data
    except AgentError:
        return data


def _joined(one: bytes, other: bytes, chance: random.Random) -> bytes:
    """The beginning of one and the end of the other, cut at lines or anywhere."""
    if chance.random() < 0.5:
        return one[: chance.randint(0, len(one))] + other[chance.randint(0, len(other)) :]
    first, second = one.splitlines(keepends=True), other.splitlines(keepends=True)
    return b"".join(first[: chance.randint(0, len(first))] + second[chance.randint(0, len(second)) :])


def _flip(data: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    if not data:
        return b"\x01"
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :]


def _replace(data: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    at = chance.randint(0, len(data))
    return data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]


def _cut(data: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    start, end = _range(data, chance)
    return data[:start] + data[end:]


def _repeat(data: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    start, end = _range(data, chance)
    return data[:end] + data[start:end] * chance.choice((1, 1, 2, 30)) + data[end:]


def _range(data: bytes, chance: random.Random) -> tuple[int, int]:
    start = chance.randint(0, len(data))
    return start, min(len(data), start + chance.choice((1, 2, 4, 16, 64, 256)))


def _truncate(data: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    return data[: chance.randint(0, len(data))]


def _token(data: bytes, tokens: Sequence[bytes], chance: random.Random) -> bytes:
    at = chance.randint(0, len(data))
    return data[:at] + chance.choice(tokens) + data[at + chance.choice((0, 0, 1, 3)) :]


def _move_line(data: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    if len(lines) < 2:
        return data + b"\n"
    line = lines.pop(chance.randrange(len(lines)))
    lines.insert(chance.randint(0, len(lines)), line)
    return b"".join(lines)


def _indent_lines(data: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    start = chance.randint(0, len(lines))
    end = start + chance.choice((1, 1, 3, 10))
    deeper = chance.random() < 0.5
    lead = b" " * chance.choice((1, 2, 4))
    return b"".join(
        (lead + line if deeper else line.removeprefix(lead)) if start <= number < end else line
        for number, line in enumerate(lines)
    )


def _line_token(data: bytes, tokens: Sequence[bytes], chance: random.Random) -> bytes:
    """A token at the beginning or end of a line, where indicators mean most."""
    lines = data.split(b"\n")
    number = chance.randrange(len(lines))
    line = lines[number]
    stripped = line.lstrip(b" ")
    lead = line[: len(line) - len(stripped)]
    token = chance.choice(tokens)
    lines[number] = lead + token + stripped if chance.random() < 0.6 else line + b" " + token
    return b"\n".join(lines)


def _swap_words(data: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    """Two values, keys or whatever stands between blanks, exchanged."""
    words = data.split(b" ")
    one, other = chance.randrange(len(words)), chance.randrange(len(words))
    words[one], words[other] = words[other], words[one]
    return b" ".join(words)


def _sealed_type(data: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    parts = data.split(b",type:")
    if len(parts) < 2:
        return data
    at = chance.randrange(1, len(parts))
    parts[at] = chance.choice(_TYPES) + parts[at][parts[at].find(b"]") :]
    return b",type:".join(parts)


_MUTATIONS: Final[tuple[Callable[[bytes, Sequence[bytes], random.Random], bytes], ...]] = (
    _flip, _replace, _cut, _repeat, _truncate, _token, _move_line, _indent_lines, _line_token, _swap_words,
    _sealed_type,
)  # fmt: skip
_WEIGHTS: Final = (3, 3, 3, 2, 1, 5, 3, 3, 4, 1, 1)
