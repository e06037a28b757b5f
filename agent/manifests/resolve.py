"""The last steps before the API call: a desired object with what its files and the stores gave → what is applied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.manifests import builtin, references, secret_data, sizes
from agent.values import derive
from agent.values.errors import HeldError, SecretValueError
from agent.values.secret import Sealed, Secret
from agent.values.tree import format_path, map_leaves

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.manifests.references import Reference
    from agent.values.tree import Leaf, Object, Path


def unseal(tree: Object, opened: Mapping[str, Secret]) -> Object:
    """`tree` with every Sealed leaf replaced by its opened Secret. Raises HeldError where one was not opened."""

    def leaf(path: Path, value: Leaf) -> Leaf:
        if not isinstance(value, Sealed):
            return value
        if value.id not in opened:
            raise HeldError("value is not decrypted", field=format_path(path))
        return opened[value.id]

    result = map_leaves(tree, leaf)
    assert isinstance(result, dict)
    return result


def fill(tree: Object, values: Mapping[Reference, Secret]) -> Object:
    """The object as it is applied: references substituted, a `v1/Secret`'s data encoded and sealed, numbers as text in string fields.

    `tree` is unsealed. Errors name the field: ManifestError, ReferenceSyntaxError, SecretValueError; HeldError where a value is missing.
    """
    if builtin.is_core_secret(tree):
        encoded = secret_data.encode(tree, values)
        sizes.check(encoded)
        return encoded
    filled = references.substitute(tree, values)
    assert isinstance(filled, dict)
    group, kind = builtin.group_of(str(tree.get("apiVersion"))), str(tree.get("kind"))

    def as_text(path: Path, leaf: Leaf) -> Leaf:
        if not isinstance(leaf, Secret) or not _takes_text(group, kind, path):
            return leaf
        try:
            return derive.text(leaf)
        except SecretValueError as error:
            raise error.with_facts(field=format_path(path)) from None

    result = map_leaves(filled, as_text)
    assert isinstance(result, dict)
    sizes.check(result)
    return result


def _takes_text(group: str, kind: str, path: Path) -> bool:
    if (group, kind) == ("", "ConfigMap"):
        return path[0] == "data"
    return builtin.pod_template(group, kind) is not None and (
        path[-1] == "value" or (len(path) > 1 and path[-2] in {"args", "command"})
    )
