"""A value that the API server refuses is never shown; what its field takes is, as far as the schema says it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.adapters.kubernetes import allowed
from agent.adapters.kubernetes.errors import Call, translate
from agent.adapters.kubernetes.resources import CONFIG_MAP
from agent.manifests.kinds import Resource
from agent.values.errors import ObjectInvalidError
from testbed.processes import wait_until

CANARY = "canary7d20e"
PROPERTIES = {
    "choice": {"type": "string", "enum": ["Always", "Never", "If Not Present"]},
    "range": {"type": "integer", "minimum": 3, "maximum": 9},
    "open": {"type": "number", "minimum": 0, "exclusiveMinimum": True},
    "factor": {"type": "integer", "multipleOf": 5},
    "short": {"type": "string", "maxLength": 4},
    "long": {"type": "string", "minLength": 40},
    "pattern": {"type": "string", "pattern": "^[a-c]+'x'$"},
    "format": {"type": "string", "format": "date-time"},
    "few": {"type": "array", "maxItems": 1, "items": {"type": "string"}},
    "many": {"type": "array", "minItems": 3, "items": {"type": "string"}},
    "rule": {
        "type": "string",
        "maxLength": 64,
        "x-kubernetes-validations": [
            {"rule": "self == 'a'", "messageExpression": "'must be less than or equal to 5, not ' + self"},
        ],
    },
    "digits": {
        "type": "string",
        "maxLength": 64,
        "x-kubernetes-validations": [{"rule": "self == 'a'", "messageExpression": "'must be less than ' + self"}],
    },
}
REFUSED = {
    "enum": ("choice", CANARY, "Always, Never, If Not Present"),
    "enum in a value": ("choice", f'x": supported values: "{CANARY}', "Always, Never, If Not Present"),
    "minimum": ("range", -7046, "3 or more"),
    "maximum": ("range", 7046, "9 or less"),
    "exclusive minimum": ("open", -7046.5, "more than 0"),
    "multiple": ("factor", 7046, "multiples of 5"),
    "longest": ("short", CANARY, "at most 4 characters"),
    "shortest": ("long", CANARY, "at least 40 characters"),
    "pattern": ("pattern", CANARY, "text that matches ^[a-c]+'x'$"),
    "pattern in a value": ("pattern", f"a in body should match '{CANARY}", "text that matches ^[a-c]+'x'$"),
    "format": ("format", CANARY, "a value of type date-time"),
    "format in a value": ("format", f"x in body must be of type {CANARY}", "a value of type date-time"),
    "most items": ("few", [CANARY, CANARY], "at most 1 items"),
    "fewest items": ("many", [CANARY], "at least 3 items"),
    "a rule": ("rule", CANARY, None),
    "a rule that is computed": ("digits", "7046", None),
}


@pytest.fixture(scope="module")
def gadget(controlplane) -> Resource:
    spec = {"type": "object", "properties": {"spec": {"type": "object", "properties": PROPERTIES}}}
    controlplane.apply(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "limiteds.allowed.example.com"},
            "spec": {
                "group": "allowed.example.com",
                "scope": "Namespaced",
                "names": {"kind": "Limited", "plural": "limiteds"},
                "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": spec}}],
            },
        }
    )
    path = "/apis/allowed.example.com/v1/limiteds"
    wait_until(lambda: controlplane.request("GET", path)[0] == 200, 30, "the kind is served")
    return Resource("allowed.example.com", "v1", "Limited", "limiteds", True)


async def refusal(cluster, resource: Resource, tree: dict) -> ObjectInvalidError:
    with pytest.raises(ObjectInvalidError) as caught:
        await cluster.apply(resource, tree)
    shown = f"{caught.value} {caught.value.facts} {caught.value.hint}"
    assert CANARY not in shown
    assert "7046" not in shown
    return caught.value


@pytest.mark.parametrize("row", REFUSED)
async def test_what_a_schema_allows_is_said_and_the_value_is_not(row, cluster, gadget, namespace):
    field, value, takes = REFUSED[row]
    tree = {
        "apiVersion": "allowed.example.com/v1",
        "kind": "Limited",
        "metadata": {"name": "a", "namespace": namespace},
        "spec": {field: value},
    }
    error = await refusal(cluster, gadget, tree)
    assert error.facts["field"] == f"spec.{field}"
    assert error.facts.get("allowed") == takes
    assert "allowed" in error.hint or takes is None


async def test_built_in_kinds_say_it_too(cluster, namespace):
    service = Resource("", "v1", "Service", "services", True)

    def written(**spec) -> dict:
        metadata = {"name": "web", "namespace": namespace}
        return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [{"port": 80}], **spec}}

    kind = await refusal(cluster, service, written(type=CANARY))
    assert "ClusterIP" in str(kind.facts["allowed"])
    port = await refusal(cluster, service, written(ports=[{"port": 70460}]))
    assert (port.facts["field"], port.facts["allowed"]) == ("spec.ports[0].port", "1 to 65535")
    key = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": namespace}}
    name = await refusal(cluster, CONFIG_MAP, {**key, "data": {"a/b": CANARY}})
    assert "text that matches [-._a-zA-Z0-9]+" in str(name.facts.get("allowed"))


@given(
    value=st.text(max_size=30),
    lead=st.sampled_from(
        [": supported values: ", " in body should match '", ": must be less than ", " regex used for validation is '"]
    ),
    tail=st.sampled_from(["", "'", '"', "')", "\\"]),
)
def test_no_text_of_a_value_is_taken_for_what_is_allowed(value, lead, tail):
    quoted = json.dumps(f"{value}{lead}{CANARY}{tail}")
    for ending in (
        "",
        ": spec.a in body should match '^a$'",
        ': supported values: "A", "B"',
        ": must be between 1 and 9, inclusive",
    ):
        for reason in ("FieldValueInvalid", "FieldValueNotSupported", "FieldValueTooLong", "FieldValueTypeInvalid"):
            for kind in ("Invalid", "Unsupported"):
                assert CANARY not in allowed.of(reason, f"{kind} value: {quoted}{ending}", built_in=True)
    causes = [{"reason": "FieldValueInvalid", "field": "spec.a", "message": f"Invalid value: {quoted}"}]
    body = json.dumps({"kind": "Status", "reason": "Invalid", "details": {"causes": causes}}).encode()
    error = translate(422, body, Call("PATCH", "apply"))
    assert CANARY not in f"{error} {error.facts} {error.hint}"
