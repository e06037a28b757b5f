"""What a CustomResourceDefinition says of its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.values.tree import get, get_object, get_text

if TYPE_CHECKING:
    from agent.values.tree import Object


def has_conditions(definition: Object, version: str) -> bool:
    """Whether the schema of this version has `status.conditions`: then a controller says what it makes of an object."""
    versions = get(definition, "spec", "versions")
    for each in versions if isinstance(versions, list) else []:
        if get_text(each, "name") == version:
            status = get(each, "schema", "openAPIV3Schema", "properties", "status")
            return "conditions" in get_object(status, "properties")
    return False
