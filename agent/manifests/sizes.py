"""How much a Secret or ConfigMap holds: an API server refuses more than 1 MiB of values, in words that may quote them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agent.manifests import builtin
from agent.values import derive
from agent.values.errors import ManifestError
from agent.values.secret import Secret
from agent.values.tree import get_object

if TYPE_CHECKING:
    from agent.values.tree import Object

MOST: Final = 1024 * 1024
"""Bytes of all values together, decoded (`MaxSecretSize` in k8s.io/api/core/v1)."""


def check(tree: Object) -> None:
    """Of an object as it is applied. Raises ManifestError."""
    secret = builtin.is_core_secret(tree)
    if not secret and (tree.get("apiVersion"), tree.get("kind")) != ("v1", "ConfigMap"):
        return
    plain = [] if secret else _values(tree, "data")
    encoded = _values(tree, "data") if secret else _values(tree, "binaryData")
    if derive.larger_than(MOST, plain, encoded):
        raise ManifestError(
            "the values are larger than 1 MiB, which is all that a Secret or ConfigMap can hold",
            hint="split it, or mount what is that large from elsewhere",
            field="data",
        )


def _values(tree: Object, field: str) -> list[str | Secret]:
    return [value for value in get_object(tree, field).values() if isinstance(value, str | Secret)]
