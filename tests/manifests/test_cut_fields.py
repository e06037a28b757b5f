"""Which fields a replacement of kustomize cuts at a delimiter, or puts a part of a text into."""

from __future__ import annotations

import pytest

from agent.manifests import cut_fields


def replacement(paths, *, source=None, target=None):
    """One with these fields, and the options of its source and its target."""
    return {
        "replacements": [
            {
                "source": {"options": source or {}},
                "targets": [{"fieldPaths": paths, "options": target or {}}],
            }
        ]
    }


DELIMITER = {"delimiter": "/"}


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        (replacement(["spec.url"], source=DELIMITER), [("spec", "url")]),
        (replacement(["spec.url"], target=DELIMITER), [("spec", "url")]),
        (replacement(["spec.url"]), []),
        (replacement(["a.b", 1, "c"], source=DELIMITER), [("a", "b"), ("c",)]),
        (replacement("a.b", source=DELIMITER), []),
        (replacement([r"metadata.labels.a\.b/c"], source=DELIMITER), [("metadata", "labels", "a.b/c")]),
        (replacement(["spec.list.[name=a.b].x"], source=DELIMITER), [("spec", "list", "x")]),
        (replacement(["spec.list.0.*.x"], source=DELIMITER), [("spec", "list", "x")]),
        (replacement(["data.key"], source=DELIMITER), [("stringData", "key")]),
    ],
)
def test_fields_that_are_cut(tree, expected):
    assert list(cut_fields.of(tree)) == expected


@pytest.mark.parametrize(
    ("path", "cut"),
    [
        (("spec", "list", 0, "x"), True),
        (("spec", "list", 0), False),
        (("data", "key"), True),
        (("stringData", "key"), True),
        (("other",), False),
    ],
)
def test_a_leaf_that_is_cut(path, cut):
    assert cut_fields.cuts({("spec", "list", "x"), ("stringData", "key")}, path) is cut
    assert not cut_fields.cuts(set(), path)
