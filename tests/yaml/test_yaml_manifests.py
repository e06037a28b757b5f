"""Manifests: what documents a file holds and where they begin."""

import pytest

from agent.values.errors import YamlError
from agent.yaml.read import manifests


def places(data):
    return [(document.index, document.line) for document in manifests.parse(data, file="f")]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"---\n", []),
        (b"# only a comment\n", []),
        (b"a: 1", [(0, 1)]),
        (b"---\na: 1\n", [(0, 2)]),
        (b"# head\n\na: 1\n---\n# c\nb: 2\n", [(0, 3), (1, 6)]),
        (b"a: 1\n---\n---\nb: 2\n", [(0, 1), (1, 4)]),
        (b"a: 1\r\n--- # second\r\nb: 2\r\n", [(0, 1), (1, 3)]),
        (b'\xef\xbb\xbf{"a": 1}', [(0, 1)]),
    ],
)
def test_documents_carry_their_place(data, expected):
    assert places(data) == expected


def test_json_is_read_by_the_same_function():
    data = b'{\n\t"kind": "List",\n\t"items": [{"n": 1.0, "s": "\\u00e9\\n", "t": "yes"}]\n}'
    assert manifests.parse(data, file="f")[0].tree == {"kind": "List", "items": [{"n": 1, "s": "é\n", "t": "yes"}]}


def test_keys_are_text():
    tree = manifests.parse(b"1: a\nyes: b\n1.5: c\n0x10: d\n2001-01-01: e\n", file="f")[0].tree
    assert list(tree) == ["1", "true", "1.5", "16", "2001-01-01"]


def test_a_merge_gives_way_to_what_is_written():
    data = b"base: &base {a: 1, b: 2}\nuse:\n  <<: *base\n  b: 3\n"
    assert manifests.parse(data, file="f")[0].tree["use"] == {"a": 1, "b": 3}


def test_aliases_give_separate_trees():
    tree = manifests.parse(b"a: &x {k: [1]}\nb: *x\n", file="f")[0].tree
    assert tree["a"] == tree["b"]
    assert tree["a"] is not tree["b"]
    assert tree["a"]["k"] is not tree["b"]["k"]


def test_equal_keys_in_different_maps_are_no_duplicates():
    assert manifests.parse(b"a: {k: 1}\nb: {k: 1}\nc: [{k: 1}, {k: 1}]\n", file="f")


def test_lenient_reading_lets_the_last_key_stand():
    assert manifests.parse(b"a: 1\na: 2\n", file="f", strict=False)[0].tree == {"a": 2}
    with pytest.raises(YamlError):
        manifests.parse(b"a: 1\na: 2\n", file="f")
