import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.values import tree
from agent.values.ids import ObjectId

TREES = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=3), below, max_size=3),
    max_leaves=10,
)


@given(TREES)
def test_every_leaf_is_where_its_path_says(given_tree):
    for path, leaf in tree.walk(given_tree):
        assert tree.get(given_tree, *path) == leaf


@given(TREES)
def test_changing_nothing_gives_an_equal_tree(given_tree):
    assert tree.map_leaves(given_tree, lambda _, leaf: leaf) == given_tree


@pytest.mark.parametrize("path", [("a", "x"), ("l", 5), ("l", "0"), ("a", 0), ("s", 0), ("a", "b", "c")])
def test_a_step_that_leads_nowhere_gives_nothing(path):
    assert tree.get({"a": {"b": 1}, "l": [1], "s": "text"}, *path) is None


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("spec", "containers", 0, "image"), "spec.containers[0].image"),
        (("data", "tls.crt"), 'data["tls.crt"]'),
        (("data", ""), 'data[""]'),
        ((0, "a"), "[0].a"),
        ((), ""),
    ],
)
def test_paths_are_readable(path, text):
    assert tree.format_path(path) == text


@given(st.builds(ObjectId, *(st.text(st.characters(exclude_characters="/"), max_size=5) for _ in range(4))))
def test_the_key_of_an_identity_reads_back(object_id):
    assert ObjectId.from_key(object_id.key) == object_id


@pytest.mark.parametrize(
    ("given_tree", "large"),
    [
        ({"a": 1}, False),
        ([0] * 9, False),
        ([0] * 10, True),
        ({"a": "x" * 799}, False),
        ({"a": "x" * 900}, True),
        (["x" * 450] * 2, True),
    ],
)
def test_a_tree_is_large_by_its_nodes_and_by_its_text(given_tree, large):
    assert tree.is_large([given_tree], 10) is large


def test_trees_are_large_together():
    assert not tree.is_large(["x" * 300, [0, 0]], 10)
    assert tree.is_large(["x" * 300, [0, 0], "x" * 400], 10)


@pytest.mark.parametrize(
    ("given_tree", "found"),
    [("a", 1), ({}, 1), ([], 1), ({"a": "b"}, 3), (["a", "b"], 3), ({"a": [{"b": None}, []], "c": 1}, 9)],
)
def test_keys_and_values_are_counted(given_tree, found):
    assert tree.size(given_tree) == found
