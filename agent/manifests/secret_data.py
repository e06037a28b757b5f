"""The data of a `v1/Secret`: one home, always base64, always sealed.

`stringData` becomes `data` before the first apply: the API server records `stringData` as what we own and then sees neither edits
nor removed keys of `data`. A value that holds a reference is a template: what it gives is encoded for its author.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.manifests import references
from agent.values import derive
from agent.values.errors import ManifestError, SecretValueError
from agent.values.secret import Sealed, Secret
from agent.values.tree import format_path, get_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.manifests.references import Reference
    from agent.values.tree import Object, Tree

FIELDS = ("data", "stringData")


def encode(tree: Object, values: Mapping[Reference, Secret], made: Mapping[str, Secret]) -> Object:
    """The Secret with references substituted, everything under `data`, each value a Secret that holds canonical base64.

    A leaf that is still sealed is one of `made`, which is searched for no references.
    Raises ManifestError for values that are no strings or not base64; also what `references.substitute` raises.
    """
    data: Object = {}
    for field in FIELDS:
        given = tree.get(field)
        if given is None:
            continue
        if not isinstance(given, dict):
            raise ManifestError("field takes a map", field=field)
        for key, value in given.items():
            if isinstance(value, Sealed) and value.id in made:
                data[key] = _in_base64(field, key, made[value.id], encode=field == "stringData")
                continue
            encoded = _encoded(tree, field, key, value, values)
            if encoded is not None:
                data[key] = encoded
    result = references.substitute({key: value for key, value in tree.items() if key not in FIELDS}, values)
    assert isinstance(result, dict)
    if any(field in tree for field in FIELDS):
        result["data"] = data
    return result


def _encoded(tree: Object, field: str, key: str, value: Tree, values: Mapping[Reference, Secret]) -> Secret | None:
    place = format_path((field, key))
    if value is None:
        return None
    if isinstance(value, dict | list):
        raise ManifestError("value of a Secret takes a string", field=place)
    is_template = isinstance(value, str | Secret) and references.has_reference(value)
    if not is_template and not _is_text(value):
        raise ManifestError("value of a Secret takes a string", hint="quote the value", field=place)
    filled = references.substitute({field: {key: value}}, values)
    assert isinstance(filled, dict)
    given = filled[field]
    assert isinstance(given, dict)
    if key not in given:
        return None
    result = given[key]
    if isinstance(result, str):
        result = Secret(
            result,
            f"git:v1/Secret/{get_text(tree, 'metadata', 'namespace')}/{get_text(tree, 'metadata', 'name')}#{place}",
        )
    assert isinstance(result, Secret)
    return _in_base64(field, key, result, encode=field == "stringData" or is_template)


def _in_base64(field: str, key: str, result: Secret, *, encode: bool) -> Secret:
    """A value as `data` holds it: encoded here, or as its author did. Raises ManifestError."""
    if encode:
        return derive.base64_encode(result)
    try:
        return derive.base64_encode(derive.base64_decode(result))
    except SecretValueError:
        raise ManifestError(
            "value in data of a Secret is not base64",
            hint="use stringData for plain text",
            field=format_path((field, key)),
        ) from None


def _is_text(value: Tree) -> bool:
    if not isinstance(value, Secret):
        return isinstance(value, str)
    try:
        # A Secret equals its own text only where it is text: the type is part of equality.
        return derive.text(value) == value
    except SecretValueError:
        return True
