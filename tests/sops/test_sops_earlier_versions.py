"""Files that earlier versions of sops wrote open to the text that sops gives; tests/vectors says how they were made."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from sops_documents import assert_same

from agent.adapters.keys.age import AgeKeys
from agent.sops import stores
from agent.sops.files import decrypt
from agent.sops.format.groups import unwrap_data_key
from agent.values.errors import DataKeyError
from agent.values.secret import Secret

FILES = sorted((Path(__file__).parents[1] / "vectors/sops").glob("*.jsonl"))
VERSIONS = {file.stem: [json.loads(line) for line in file.read_text().splitlines()] for file in FILES}
CASES = [(version, number) for version, lines in VERSIONS.items() for number in range(1, len(lines))]


def label(case: tuple[str, int]) -> str:
    version, number = case
    vector = VERSIONS[version][number]
    return " ".join([version, vector["name"], *(f"{name}={value}" for name, value in vector["rule"].items())])


def keys(version: str, *, first: int = 0) -> AgeKeys:
    identities = VERSIONS[version][0]["identities"][first:]
    return AgeKeys.parse(Secret("\n".join(identities) + "\n", "age key"), source="test")


def data(field: str | dict[str, str]) -> bytes:
    return field.encode() if isinstance(field, str) else base64.b64decode(field["base64"])


def opened(version: str, vector: dict[str, Any], held: AgeKeys) -> bytes:
    """With the MAC verified, as always."""
    name = vector["name"]
    store = stores.of(name)
    file = decrypt.read(data(vector["sealed"]), file=name, store=store)
    assert file.metadata.version == version
    data_key = unwrap_data_key(file.metadata.data_key, held, file=name)
    return store.emit(decrypt.decrypt(file, data_key).documents)


@pytest.mark.parametrize("case", CASES, ids=map(label, CASES))
def test_a_file_opens_as_it_did(case: tuple[str, int]) -> None:
    version, number = case
    vector = VERSIONS[version][number]
    assert_same(opened(version, vector, keys(version)), data(vector["opened"]))


def test_those_versions_printed_the_same_except_for_empty_lines() -> None:
    def written(field: str | dict[str, str]) -> list[bytes]:
        return [line for line in data(field).split(b"\n") if line]

    then = [vector for lines in VERSIONS.values() for vector in lines[1:] if "then" in vector]
    assert then
    for vector in then:
        assert written(vector["then"]) == written(vector["opened"])


@pytest.mark.parametrize("version", VERSIONS)
def test_key_groups_ask_for_each_group(version: str) -> None:
    (vector, *_) = [each for each in VERSIONS[version][1:] if "groups" in each["rule"]]
    with pytest.raises(DataKeyError):
        opened(version, vector, keys(version, first=1))


def test_all_vectors_are_here() -> None:
    counts = {version: len(lines) - 1 for version, lines in VERSIONS.items()}
    assert counts == {"3.7.3": 27, "3.8.1": 27, "3.9.4": 35, "3.11.0": 37, "3.12.2": 37}
