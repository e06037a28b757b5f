"""Manifests are read as kubectl reads them; vectors/PROVENANCE.md says who computed the answers."""

import pytest

from agent.values.errors import AgentError, LimitError, YamlError
from agent.yaml.limits import Limits
from agent.yaml.read import manifests
from tests.yaml import vectors

DEEP = Limits(depth=10_000)
ROWS = vectors.read("kubernetes.jsonl")

# Go decides by the order of a hash table which of `1` and `"1"` stands; we refuse the map.
UNDECIDED = {"key:int str"}
# Go's strict form takes a key of two merged maps for a duplicate; merging is made for that, and only written keys are compared.
MERGED = {"merge-list"}


def convert(data, *, strict):
    """The first document alone, as sigs.k8s.io/yaml converts a text without splitting it."""
    return manifests._document(data, manifests.Source("file.yaml"), DEEP, strict=strict)[0]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_a_document_means_what_it_means_to_kubectl(row):
    if row.get("rejected"):
        with pytest.raises((YamlError, LimitError)):
            convert(row["yaml"], strict=False)
    else:
        assert vectors.same(convert(row["yaml"], strict=False), row["json"])


@pytest.mark.parametrize("row", [row for row in ROWS if not row.get("rejected")], ids=lambda row: row["id"])
def test_only_duplicate_keys_are_refused_beyond_that(row):
    refused = (row.get("strict_rejected", False) and row["id"] not in MERGED) or row["id"] in UNDECIDED
    if refused:
        with pytest.raises(YamlError):
            convert(row["yaml"], strict=True)
    else:
        assert vectors.same(convert(row["yaml"], strict=True), row["json"])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_a_file_is_split_as_kubectl_splits_it(row):
    if any(isinstance(document, str) and document.startswith("ERR ") for document in row["documents"]):
        with pytest.raises(AgentError):
            manifests.parse(row["yaml"], file="file.yaml", limits=DEEP, strict=False)
    else:
        documents = manifests.parse(row["yaml"], file="file.yaml", limits=DEEP, strict=False)
        expected = [document for document in row["documents"] if document is not None]
        assert vectors.same([document.tree for document in documents], expected)
