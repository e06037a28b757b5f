"""Files of earlier versions of sops are changed by the commands, and sops of today opens what becomes of them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Shell

FILES = sorted((Path(__file__).parents[1] / "vectors/sops").glob("*.jsonl"))
NAMES = ("comments.yaml", "values.json", "values.env", "values.ini", "values.bin")


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.fixture(params=FILES, ids=[file.stem for file in FILES])
def vectors(request: pytest.FixtureRequest, shell: Shell) -> dict[str, bytes]:
    """By name, the file in the folder and what it held, with its key in the environment."""
    head, *found = lines(request.param)
    shell.env("SOPS_AGE_KEY", "\n".join(head["identities"]))
    plain = {each["name"]: each for each in found if not each["rule"]}
    for name in NAMES:
        shell.write(name, data(plain[name]["sealed"]))
    return {name: data(plain[name]["opened"]) for name in NAMES}


def data(field: str | dict[str, str]) -> bytes:
    return field.encode() if isinstance(field, str) else base64.b64decode(field["base64"])


def test_a_rotated_file_opens_to_the_same(shell: Shell, vectors: dict[str, bytes]) -> None:
    for name, text in vectors.items():
        before = (shell.folder / name).read_bytes()
        assert shell.agent("rotate", "-i", name).code == 0
        assert (shell.folder / name).read_bytes() != before
        assert shell.sops("decrypt", name).out == text


def test_a_value_is_set_and_the_rest_stays(shell: Shell, vectors: dict[str, bytes]) -> None:
    for name, path, value, old, new in (
        ("comments.yaml", '["a"]', "7", b"a: 1", b"a: 7"),
        ("values.json", '["i"]', "7", b'"i": 5', b'"i": 7'),
        ("values.env", '["A"]', '"7"', b"A=1", b"A=7"),
        ("values.ini", '["section"]["empty"]', '"7"', b"empty         = \n", b"empty         = 7\n"),
    ):
        assert shell.agent("set", name, path, value).code == 0
        opened = shell.sops("decrypt", name)
        assert opened.code == 0, opened.err
        assert old in vectors[name]
        assert opened.out == vectors[name].replace(old, new, 1)


def test_verify_finds_nothing_wrong(shell: Shell, vectors: dict[str, bytes]) -> None:
    result = shell.agent("verify", *vectors)
    assert result.code == 0, result.err
