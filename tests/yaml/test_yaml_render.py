"""Rendered manifests are for people, and mean the same to every reader."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from agent.values.secret import Sealed, Secret
from agent.yaml.read import manifests
from agent.yaml.write import render

TEXTS = st.one_of(
    st.text(max_size=12),
    st.text("\n \t:#-'\"|>ay0\r\x85\u2028", max_size=8),
    st.sampled_from(
        [
            "yes",
            "n",
            "null",
            "~",
            "1_000",
            "0x1F",
            "12:30:45",
            "2001-01-01",
            "<<",
            "=",
            "---",
            "",
            ".inf",
            "1e3",
            "{{ x }}",
            "k" * 300,
        ]
    ),
)
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), TEXTS,
    st.floats(allow_nan=False, allow_infinity=False).filter(lambda value: not value.is_integer()),
)  # fmt: skip
TREES = st.recursive(
    LEAVES, lambda below: st.lists(below, max_size=4) | st.dictionaries(TEXTS, below, max_size=4), max_leaves=15
).filter(lambda tree: tree is not None)


@given(TREES)
def test_a_rendered_tree_is_read_back_as_it_was(tree):
    documents = manifests.parse(render.manifest(tree).encode(), file="f")
    assert [document.tree for document in documents] == [tree]


def flat(tree):
    return {f"k{number}": leaf for number, leaf in enumerate(tree)}


@given(st.lists(TEXTS, max_size=6).map(flat))
def test_text_stays_text_to_a_reader_of_yaml_1_1(tree):
    assert yaml.load(render.manifest(tree), yaml.CSafeLoader) == tree


def test_the_layout_is_kubectls():
    tree = {
        "kind": "ConfigMap",
        "metadata": {"name": "web", "labels": {}, "finalizers": []},
        "data": {"port": "8080", "script": "#!/bin/sh\n\nexit 0\n", "on": "yes"},
        "containers": [{"name": "a", "args": ["-x", "y z"]}, ["n", 1], "plain"],
    }
    assert render.manifest(tree) == (
        "kind: ConfigMap\n"
        "metadata:\n"
        "  name: web\n"
        "  labels: {}\n"
        "  finalizers: []\n"
        "data:\n"
        '  port: "8080"\n'
        "  script: |\n"
        "    #!/bin/sh\n"
        "\n"
        "    exit 0\n"
        '  "on": "yes"\n'
        "containers:\n"
        "- name: a\n"
        "  args:\n"
        "  - -x\n"
        "  - y z\n"
        '- - "n"\n'
        "  - 1\n"
        "- plain\n"
    )


@pytest.mark.parametrize("leaf", [Secret("x", "label"), Sealed("00", "label", "str")])
def test_a_secret_is_never_rendered(leaf):
    with pytest.raises(TypeError):
        render.manifest({"data": {"password": leaf}})
