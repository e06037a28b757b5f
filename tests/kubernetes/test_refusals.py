"""Answers as they were seen from real servers, and hostile ones: fields and names come out, values never."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.adapters.kubernetes.errors import Call, safe_field, translate
from agent.values.errors import (
    AgentError,
    ClusterUnavailableError,
    ExpiredError,
    FieldConflictError,
    ForbiddenError,
    NotFoundError,
    ObjectInvalidError,
    StaleObjectError,
)
from agent.values.ids import ObjectId

CANARY = "canary5f77c1"
APPLY = Call("PATCH", "apply", ObjectId("apps", "Deployment", "shop", "web"))
TYPED = "failed to create typed patch object (shop/web; apps/v1, Kind=Deployment): "


def body(message: str = "", reason: str = "", causes: list | None = None, kind: str = "deployments") -> bytes:
    details = {"name": "web", "kind": kind, "causes": causes or []}
    return json.dumps({"kind": "Status", "message": message, "reason": reason, "details": details}).encode()


def cause(reason: str, field: str, message: str = "") -> dict:
    return {"reason": reason, "field": field, "message": message}


CASES = {
    "plain text": (429, f"Too many {CANARY}".encode(), ClusterUnavailableError, {}),
    "empty": (503, b"", ClusterUnavailableError, {}),
    "typed": (
        500,
        body(f"{TYPED}.spec.x: expected numeric (int or float), got {CANARY}"),
        ObjectInvalidError,
        {"field": "spec.x", "expected": "numeric"},
    ),
    "typed, several": (
        500,
        body(f"{TYPED}errors:\n  .spec.x: expected string, got {CANARY}\n  .y: field not declared in schema"),
        ObjectInvalidError,
        {"field": "spec.x"},
    ),
    "typed, a set's item": (
        500,
        body(f'{TYPED}.spec.set[="{CANARY}"]: expected string, got 5'),
        ObjectInvalidError,
        {"field": "spec.set[]"},
    ),
    "typed, unknown wording": (500, body(f"{TYPED}.spec {CANARY} is odd"), ObjectInvalidError, {}),
    "conversion": (500, body(f"failed to convert new object (shop/web): {CANARY}"), ObjectInvalidError, {}),
    "internal": (500, body(f"etcd says {CANARY}", "InternalError"), ClusterUnavailableError, {}),
    "strict decoding": (
        400,
        body(
            'Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: unknown field "spec.foo"',
            "BadRequest",
        ),
        ObjectInvalidError,
        {"field": "spec.foo"},
    ),
    "unknown field": (
        400,
        body('strict decoding error: unknown field "spec.foo"', "BadRequest"),
        ObjectInvalidError,
        {"field": "spec.foo"},
    ),
    "webhook": (
        403,
        body(f'admission webhook "check.example.com" denied the request: {CANARY}', "Forbidden"),
        ObjectInvalidError,
        {"webhook": "check.example.com"},
    ),
    "webhook, bad request": (
        400,
        body(f'admission webhook "check.example.com" denied the request: {CANARY}', "BadRequest"),
        ObjectInvalidError,
        {"webhook": "check.example.com"},
    ),
    "policy": (
        422,
        body(
            f"deployments.apps \"web\" is forbidden: ValidatingAdmissionPolicy 'no-root' with binding 'b' denied request: {CANARY}",
            "Invalid",
        ),
        ObjectInvalidError,
        {"policy": "no-root"},
    ),
    "quota": (403, body(f"exceeded quota: {CANARY}", "Forbidden"), ForbiddenError, {}),
    "terminating": (
        403,
        body(CANARY, "Forbidden", [cause("NamespaceTerminating", "metadata.namespace")]),
        ForbiddenError,
        {},
    ),
    "namespace": (404, body(f'namespaces "{CANARY}" not found', "NotFound", kind="namespaces"), NotFoundError, {}),
    "object": (404, body(CANARY, "NotFound"), NotFoundError, {}),
    "path": (404, b"404 page not found", NotFoundError, {}),
    "expired": (410, body(CANARY, "Expired"), ExpiredError, {}),
    "stateful set": (
        422,
        body(
            "",
            "Invalid",
            [cause("FieldValueForbidden", "spec", f"Forbidden: updates to statefulset spec for fields {CANARY}")],
        ),
        ObjectInvalidError,
        {"field": "spec"},
    ),
    "no dry run": (
        400,
        body(f'admission webhook "check.example.com" does not support dry run {CANARY}', "BadRequest"),
        ObjectInvalidError,
        {"webhook": "check.example.com"},
    ),
    "required": (
        422,
        body(
            "", "Invalid", [cause("FieldValueRequired", "spec.a", CANARY), cause("FieldValueInvalid", "spec.b", CANARY)]
        ),
        ObjectInvalidError,
        {"field": "spec.a", "fields": "spec.a, spec.b"},
    ),
    "field of odd characters": (
        422,
        body("", "Invalid", [cause("FieldValueInvalid", "data[a\x1b[31m b]", CANARY)]),
        ObjectInvalidError,
        {"field": "data[a?[31m?b]"},
    ),
    "conflict": (
        409,
        body(
            "",
            "Conflict",
            [
                cause(
                    "FieldManagerConflict",
                    ".spec.replicas",
                    'conflict with "kube-controller-manager" with subresource "scale" using apps/v1',
                )
            ],
        ),
        FieldConflictError,
        {"fields": "spec.replicas", "managers": "kube-controller-manager"},
    ),
    "changed": (409, body(CANARY, "Conflict"), StaleObjectError, {}),
    "uid": (
        422,
        body("", "Invalid", [cause("FieldValueInvalid", "metadata.uid", "field is immutable")]),
        StaleObjectError,
        {},
    ),
    "not a map": (422, b"[1]", ObjectInvalidError, {}),
    "odd types": (422, b'{"kind":"Status","details":[],"message":5,"reason":null}', ObjectInvalidError, {}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_refusal_is_reported_by_class_and_field(case):
    code, answer, expected, facts = CASES[case]
    error = translate(code, answer, APPLY)
    assert type(error) is expected
    assert {name: error.facts.get(name) for name in facts} == facts
    assert error.facts["object"] == APPLY.object
    assert CANARY not in f"{error} {error.facts} {error.hint}"


@given(
    code=st.sampled_from([400, 401, 403, 404, 409, 410, 413, 422, 429, 500, 503]),
    lead=st.sampled_from([TYPED, f"{TYPED}errors:\n  ", "failed to convert new object", "strict decoding error: ", ""]),
    noise=st.text(max_size=40),
    reason=st.sampled_from(["", "Invalid", "Conflict", "FieldManagerConflict"]),
    field=st.sampled_from(["", "spec.x", f'spec.x[="{CANARY}"]', f"spec.x[={CANARY}]"]),
)
def test_no_value_leaves_whatever_the_words_around_it(code, lead, noise, reason, field):
    words = f"{lead}{noise} {CANARY} {noise}"
    error: AgentError = translate(code, body(words, reason, [cause(reason, field, words)]), APPLY)
    assert CANARY not in f"{error} {error.facts} {error.hint}"


@given(st.text())
def test_a_field_is_safe_to_show(text):
    shown = safe_field(text)
    assert shown.isprintable()
    assert len(shown) <= 256


@pytest.mark.parametrize("code", [409, 422])
def test_a_refusal_says_the_same_in_whatever_order_the_server_gives_its_causes(code):
    conflicts = [("a", ".spec.x"), ("b", ".spec.a"), ("c", ".data.k")]
    causes = {
        409: [cause("FieldManagerConflict", field, f'conflict with "{manager}"') for manager, field in conflicts],
        422: [
            cause("FieldValueInvalid", "spec.x"),
            cause("FieldValueRequired", "spec.a"),
            cause("FieldValueInvalid", "a"),
        ],
    }[code]
    messages = {str(translate(code, body(causes=order), APPLY)) for order in itertools.permutations(causes)}
    assert len(messages) == 1


@pytest.mark.parametrize(
    ("said", "rule"),
    [
        (
            'cannot patch resource "configmaps" in API group "" in the namespace "bank"',
            'apiGroups: [""], resources: [configmaps], verbs: [create, patch]',
        ),
        (
            'cannot delete resource "deployments" in API group "apps" in the namespace "bank"',
            'apiGroups: ["apps"], resources: [deployments], verbs: [delete]',
        ),
        (f'cannot patch resource "{CANARY} x" in API group ""', None),
        (f'cannot {CANARY} resource "secrets" in API group ""', None),
        (CANARY, None),
    ],
)
def test_a_missing_right_is_reported_as_the_rule_that_gives_it(said: str, rule: str | None):
    message = f'deployments.apps "web" is forbidden: User "system:serviceaccount:shop:signet-applier" {said}'
    error = translate(403, body(message, "Forbidden"), APPLY)
    assert isinstance(error, ForbiddenError)
    assert error.facts.get("rule") == rule
    assert CANARY not in str(error) + error.hint
