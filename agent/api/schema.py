"""JSON Schemas (2020-12) of what users write: for editors, for `docs/reference`, and as the source of the CRD."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from agent.api import descriptions, names
from agent.api.application import ApplicationSpec
from agent.api.operator import OperatorSettings

if TYPE_CHECKING:
    from agent.api.model import Model
    from agent.values.tree import Object, Tree

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_NULL: Final[Tree] = {"type": "null"}


def inline(model: type[Model]) -> Object:
    """The model's schema without `$ref`, `title` and null: a field that may be left out is simply not required."""
    descriptions.fill()
    schema = cast("Object", model.model_json_schema(by_alias=True, mode="validation"))
    definitions = schema.pop("$defs", {})
    return _mapping(_inline(schema, definitions if isinstance(definitions, dict) else {}))


def application() -> Object:
    """Of a whole Application as a user writes it."""
    return {
        "$schema": DIALECT,
        "title": names.KIND,
        "description": "A folder of a Git repository that the agent keeps applied. Its secrets stay sealed until the API call.",
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "properties": {
            "apiVersion": {"const": names.API_VERSION},
            "kind": {"const": names.KIND},
            "metadata": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"type": "string"}, "namespace": {"type": "string"}},
            },
            "spec": _editor(inline(ApplicationSpec)),
        },
    }


def operator() -> Object:
    """Of the operator's file."""
    return {"$schema": DIALECT, "title": "OperatorSettings", **_mapping(_editor(inline(OperatorSettings)))}


def _mapping(tree: Tree) -> Object:
    assert isinstance(tree, dict)
    return tree


def _inline(schema: Tree, definitions: Object) -> Tree:
    if isinstance(schema, list):
        return [_inline(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    reference = schema.get("$ref")
    if isinstance(reference, str):
        target = _mapping(definitions[reference.removeprefix("#/$defs/")])
        beside: Object = {key: value for key, value in schema.items() if key != "$ref"}
        return _inline({**target, **beside}, definitions)
    choices = schema.get("anyOf")
    if isinstance(choices, list) and _NULL in choices:
        (only,) = [choice for choice in choices if choice != _NULL]
        outside: Object = {key: value for key, value in schema.items() if key not in {"anyOf", "default"}}
        return _inline({**_mapping(only), **outside}, definitions)
    out: Object = {}
    for key, value in schema.items():
        if key == "properties":
            out[key] = {name: _inline(part, definitions) for name, part in _mapping(value).items()}
        elif key == "description" and isinstance(value, str):
            out[key] = " ".join(value.split())
        elif key == "default":
            out[key] = _given(value)
        elif key != "title":
            out[key] = _inline(value, definitions)
    return out


def _given(default: Tree) -> Tree:
    if isinstance(default, dict):
        return {key: _given(value) for key, value in default.items() if value is not None}
    return default


def _editor(schema: Tree) -> Tree:
    """Without the rules that only an API server understands."""
    if isinstance(schema, list):
        return [_editor(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: _editor(value) for key, value in schema.items() if not key.startswith("x-kubernetes-")}
