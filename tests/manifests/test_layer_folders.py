"""Layers are folders of the repository, side by side."""

from __future__ import annotations

import pytest

from agent.api.sources import Source
from agent.manifests import listing
from agent.values.errors import SourceError


def source(*layers: str) -> Source:
    return Source.model_construct(layers=layers, include=(), exclude=())


@pytest.mark.parametrize("layer", ["/etc", "../other", "a/../../b", "a/..", "a\x00b", "a\nb", ".git", "a/.git/hooks"])
def test_a_layer_leads_nowhere_else(layer: str):
    with pytest.raises(SourceError, match="a layer must be a folder of the repository"):
        listing.layers(source(layer))


@pytest.mark.parametrize(("one", "other"), [("a", "a"), ("a", "a/b"), ("a/b", "./a"), (".", "a")])
def test_no_layer_lies_within_another(one: str, other: str):
    with pytest.raises(SourceError, match="inside another one"):
        listing.layers(source(one, other))


def test_layers_are_written_in_one_way():
    assert [(each.number, each.path) for each in listing.layers(source("./a//b/", "ab"))] == [(0, "a/b"), (1, "ab")]
    assert [each.path for each in listing.layers(source("."))] == ["."]
