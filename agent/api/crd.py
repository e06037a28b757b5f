"""The CustomResourceDefinition of `Application`, from the models.

A structural schema has no `$ref`, no `anyOf` with null and no `additionalProperties: false`; what pydantic says by those, it says by
omission. See KEP-1693 and https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agent.api import names
from agent.api.application import ApplicationSpec
from agent.api.schema import inline
from agent.api.status import ApplicationStatus
from agent.values.tree import get_text
from agent.yaml.write import render

if TYPE_CHECKING:
    from agent.values.tree import Object, Tree

_COLUMNS: Final[tuple[tuple[str, str, str, int], ...]] = (
    ("Ready", "string", '.status.conditions[?(@.type=="Ready")].status', 0),
    ("Healthy", "string", '.status.conditions[?(@.type=="Healthy")].status', 0),
    ("Drifted", "string", '.status.conditions[?(@.type=="Drifted")].status', 1),
    ("Checked", "string", ".status.checkedRevision", 0),
    ("Revision", "string", ".status.revision", 0),
    ("Age", "date", ".metadata.creationTimestamp", 0),
    ("Message", "string", '.status.conditions[?(@.type=="Ready")].message', 0),
)


def structural(schema: Tree) -> Tree:
    """An inlined JSON Schema as Kubernetes takes it.

    Without defaults: the server would add those of a new version to what the agents of the version before read, and they know no such field.
    """
    if isinstance(schema, list):
        return [structural(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    out: Object = {}
    for key, value in schema.items():
        if key == "properties" and isinstance(value, dict):
            out[key] = {name: structural(part) for name, part in value.items()}
        elif key == "const":
            out["enum"] = [value]
        elif key == "pattern" and any(str(value) in get_text(rule, "rule") for rule in _rules(schema)):
            continue  # the rule says what is wrong, where a pattern would only be quoted
        elif key != "default" and not (key == "additionalProperties" and value is False):
            out[key] = structural(value)
    return out


def _rules(schema: Object) -> list[Tree]:
    rules = schema.get("x-kubernetes-validations")
    return rules if isinstance(rules, list) else []


def definition() -> Object:
    """The whole CustomResourceDefinition object."""
    version: Object = {
        "name": names.VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [
            {"name": name, "type": kind, "jsonPath": path, **({"priority": priority} if priority else {})}
            for name, kind, path, priority in _COLUMNS
        ],
        "schema": {
            "openAPIV3Schema": {
                "description": "A folder of a Git repository that the agent keeps applied. Its secrets stay sealed until the API call.",
                "type": "object",
                "required": ["spec"],
                "properties": {
                    "apiVersion": {"type": "string"},
                    "kind": {"type": "string"},
                    "metadata": {"type": "object"},
                    "spec": structural(inline(ApplicationSpec)),
                    "status": structural(inline(ApplicationStatus)),
                },
            }
        },
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": names.CRD_NAME},
        "spec": {
            "group": names.GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": names.KIND,
                "listKind": f"{names.KIND}List",
                "plural": names.PLURAL,
                "singular": names.SINGULAR,
                "shortNames": [names.SHORT_NAME],
                "categories": [names.CATEGORY],
            },
            "versions": [version],
        },
    }


def text() -> str:
    """The definition as YAML."""
    return render.manifest(definition())
