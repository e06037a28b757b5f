"""Secrets and ConfigMaps of more than 1 MiB are named before an API server refuses them."""

from __future__ import annotations

import base64

import pytest

from agent.manifests import sizes
from agent.values.errors import ManifestError

MIB = 1024 * 1024


def made(kind: str, field: str, size: int) -> dict[str, object]:
    value = "x" * size if (kind, field) == ("ConfigMap", "data") else base64.b64encode(b"x" * size).decode()
    return {"apiVersion": "v1", "kind": kind, field: {"a": value, "b": ""}}


@pytest.mark.parametrize(("kind", "field"), [("Secret", "data"), ("ConfigMap", "data"), ("ConfigMap", "binaryData")])
def test_values_count_as_they_are_decoded(kind: str, field: str):
    sizes.check(made(kind, field, MIB - 1))  # pyright: ignore[reportArgumentType]
    with pytest.raises(ManifestError, match="1 MiB"):
        sizes.check(made(kind, field, MIB + 12))  # pyright: ignore[reportArgumentType]


def test_other_kinds_may_hold_more():
    sizes.check({"apiVersion": "example.com/v1", "kind": "Secret", "data": {"a": "x" * 2 * MIB}})
