"""A field of `managedFields` as messages name it: as the API server writes a path, on one line, of a length that no tenant chooses."""

from __future__ import annotations

import pytest

from agent.manifests import field_trees
from agent.values.text import LONGEST


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (("f:spec", "f:replicas"), "spec.replicas"),
        (("f:metadata", "f:annotations", "f:example.com/a"), 'metadata.annotations["example.com/a"]'),
        (("f:spec", "f:ports", 'k:{"port":83,"protocol":"TCP"}'), 'spec.ports[port=83,protocol="TCP"]'),
        (("f:spec", "f:ports", 'k:{"port":83}', "."), "spec.ports[port=83]"),
        (("f:spec", "f:ports", 'k:{"port":83}', "f:name"), "spec.ports[port=83].name"),
        (("f:metadata", "f:finalizers", 'v:"canary"'), "metadata.finalizers[]"),
        (("f:spec", "f:args", "i:2"), "spec.args[2]"),
        (("f:spec", "k:no json"), "spec[]"),
        (("f:a\u202eb\n",), "a\\u202eb\\n"),
    ],
)
def test_a_field_is_written_as_a_path(at: tuple[str, ...], text: str) -> None:
    assert field_trees.show(at) == text


@pytest.mark.parametrize(
    "at", [("f:" + "x" * 100_000,), ("f:x",) * 100_000, ("f:a", 'k:{"name":"' + "x" * 100_000 + '"}')]
)
def test_a_field_is_cut(at: tuple[str, ...]) -> None:
    assert len(field_trees.show(at)) <= LONGEST
