"""The schemas of the Application and of the operator's file, and the examples that are printed beside them."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from agent.api import application, operator, reference, schema

ROOT = Path(__file__).resolve().parents[2]


def test_examples_of_the_reference_are_valid():
    tree = yaml.safe_load(reference.APPLICATION_EXAMPLE)
    assert application.parse(tree).spec.interval == 60
    assert operator.parse(yaml.safe_load(reference.OPERATOR_EXAMPLE)).stores["main"].serves("shop")


def test_operator_file_of_deploy_is_valid():
    secret = yaml.safe_load((ROOT / "deploy/operator.yaml").read_text())
    assert operator.parse(yaml.safe_load(secret["stringData"]["operator.yaml"])).stores["main"].allows("secret/shop/db")


def undescribed(tree, path=""):
    for name, field in tree.get("properties", {}).items():
        if not field.get("description"):
            yield f"{path}.{name}"
        yield from undescribed(field, f"{path}.{name}")
        yield from undescribed(field.get("items", {}), f"{path}.{name}[]")
        for values in field.get("patternProperties", {}).values():
            yield from undescribed(values, f"{path}.{name}.*")


def test_every_field_says_what_it_is_for():
    assert list(undescribed(schema.operator())) == []
    assert list(undescribed(schema.application()["properties"]["spec"])) == []


def test_schemas_are_self_contained():
    for tree in (schema.operator(), schema.application()):
        text = json.dumps(tree)
        assert "$ref" not in text
        assert "x-kubernetes" not in text
        assert '"null"' not in text
