"""SOPS files are read and written as sops reads and writes them; vectors/PROVENANCE.md says who computed the answers."""

import pytest

from agent.values.errors import YamlError
from agent.yaml.limits import Limits
from agent.yaml.nodes import Mapping, Sequence, Timestamp
from agent.yaml.read import yaml as sealed
from agent.yaml.write import yaml as emit
from tests.yaml import vectors

COMMENTS = vectors.read("sops-comments.jsonl")
NODES = vectors.read("kubernetes.jsonl")

# sops refuses these too, but behind go-yaml's nodes, where its decoder compares keys, merges and expands aliases.
REFUSED_BY_SOPS = {
    "key:int str", "key:true dup", "merge-badlist", "merge-twice", "alias-self", "dup", "dup-flow", "dup-quoted", "bomb9",
    "sc:{{x}}", "key:seq", "key:? seq",
}  # fmt: skip


@pytest.mark.parametrize("row", COMMENTS, ids=lambda row: row["id"])
def test_comments_stand_where_sops_finds_them(row):
    if "err" in row:
        with pytest.raises(YamlError):
            sealed.parse(row["yaml"], file="file.yaml")
    else:
        assert [vectors.sops_tree(document) for document in sealed.parse(row["yaml"], file="file.yaml")] == row["trees"]


@pytest.mark.parametrize("row", [row for row in COMMENTS if "emit" in row], ids=lambda row: row["id"])
def test_the_file_is_written_byte_for_byte(row):
    # sops writes the float -0.0 as an integer, and cannot verify the file then.
    expected = row["emit"].replace("m: -0\n", "m: -0.0\n")
    assert emit.emit(sealed.parse(row["yaml"], file="file.yaml")).decode() == expected


@pytest.mark.parametrize(
    "row", [row for row in COMMENTS if "emit" in row and row["id"] != "nums"], ids=lambda row: row["id"]
)
def test_what_sops_wrote_is_written_back_unchanged(row):
    # Except for `nums`: it is an integer now.
    assert emit.emit(sealed.parse(row["emit"].encode(), file="file.yaml")).decode() == row["emit"]


@pytest.mark.parametrize("row", NODES, ids=lambda row: row["id"])
def test_values_have_the_types_of_go_yaml_v3(row):
    nodes = row.get("v3", [])
    undecodable = any(map(has_error, nodes))
    top_level = all(node[0] in {"map", "!!null"} for node in nodes)
    if row.get("v3_rejected") or row["id"] in REFUSED_BY_SOPS or undecodable or not top_level:
        with pytest.raises(YamlError):
            sealed.parse(row["yaml"], file="file.yaml", limits=Limits(depth=10_000))
    else:
        documents = sealed.parse(row["yaml"], file="file.yaml", limits=Limits(depth=10_000))
        assert len(documents) == len(nodes)
        for node, document in zip(nodes, documents, strict=True):
            if node[0] == "map":
                check(node, document)
            else:
                assert document == Mapping()


def has_error(node):
    if isinstance(node, dict):
        return False
    return any(map(has_error, node[2:])) if node[0] in {"map", "seq"} else bool(node[4:] and node[4])


def check(node, value):
    if isinstance(node, dict):
        assert "alias" in node
    elif node[0] == "map":
        assert isinstance(value, Mapping)
        pairs = [part for entry in value.entries() for part in (entry.key, entry.value)]
        for below, part in zip(node[2:], pairs, strict=True):
            check(below, part)
    elif node[0] == "seq":
        assert isinstance(value, Sequence)
        for below, part in zip(node[2:], value.values(), strict=True):
            check(below, part)
    else:
        kind, text = vectors.go_value(value)
        assert node[2:4] == ["string" if isinstance(value, Timestamp) else kind, text]
