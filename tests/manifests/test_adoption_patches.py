"""The patch by which what other tools applied becomes ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent.api import names
from agent.manifests.builtin import LAST_APPLIED
from agent.manifests.people import Takeover

if TYPE_CHECKING:
    from agent.values.tree import Object

KUBECTL = {
    "manager": "kubectl-client-side-apply",
    "operation": "Update",
    "apiVersion": "v1",
    "time": "2026-01-01T00:00:00Z",
}
OTHER = {"manager": "editor", "operation": "Update", "apiVersion": "v1", "fieldsV1": {"f:data": {"f:b": {}}}}
ANNOTATION = {f"f:{LAST_APPLIED}": {}}
CASES: dict[str, tuple[Object, Object]] = {
    "data": ({"f:data": {"f:a": {}}}, {"f:data": {"f:a": {}}}),
    "its own annotation alone": (
        {"f:metadata": {"f:annotations": {".": {}, **ANNOTATION}, "f:labels": {"f:x": {}}}},
        {"f:metadata": {"f:labels": {"f:x": {}}}},
    ),
    "its own annotation and another": (
        {"f:metadata": {"f:annotations": {".": {}, **ANNOTATION, "f:y": {}}}},
        {"f:metadata": {"f:annotations": {".": {}, "f:y": {}}}},
    ),
    "another annotation": (
        {"f:metadata": {"f:annotations": {"f:y": {}}}},
        {"f:metadata": {"f:annotations": {"f:y": {}}}},
    ),
    "a Secret's texts": (
        {"f:stringData": {"f:a": {}}, "f:data": {"f:b": {}}},
        {"f:data": {"f:a": {}, "f:b": {}}},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("owned", "expected"), CASES.values(), ids=CASES)
def test_what_kubectl_owned_is_ours_as_we_shall_apply_it(owned: Object, expected: Object) -> None:
    metadata: Object = {"resourceVersion": "7", "managedFields": [{**KUBECTL, "fieldsV1": owned}, OTHER]}
    ours = {**KUBECTL, "manager": "signet", "operation": "Apply", "fieldsV1": expected}
    assert Takeover({}, names.PEOPLE, first=True).patch({"metadata": metadata}) == [
        {"op": "replace", "path": "/metadata/managedFields", "value": [ours, OTHER]},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"},
    ]
