"""A preview gives an object the live values of fields that the agent leaves as they are: those alone, where they are."""

from __future__ import annotations

import pytest

from agent.manifests import elements, fields, people
from agent.manifests.lookup import Lookup

ITEM = 'k:{"name":"a"}'
LIVE = {
    "spec": {"replicas": 3, "paused": True, "containers": [{"name": "b"}, {"name": "a", "image": "x", "tty": True}]}
}


@pytest.mark.parametrize(
    ("tree", "fields", "expected"),
    [
        ({"kind": "A"}, [("f:spec", "f:replicas")], {"kind": "A", "spec": {"replicas": 3}}),
        ({"spec": {"replicas": 1, "other": 2}}, [("f:spec", "f:replicas")], {"spec": {"replicas": 3, "other": 2}}),
        ({"spec": {"replicas": 1}}, [("f:spec", "f:missing")], {"spec": {"replicas": 1}}),
        (
            {},
            [("f:spec", "f:replicas"), ("f:spec", "f:paused")],
            {"spec": {"replicas": 3, "paused": True}},
        ),
        (
            {},
            [("f:spec", "f:containers", ITEM, "f:image")],
            {"spec": {"containers": [{"name": "a", "image": "x"}]}},
        ),
        (
            {"spec": {"containers": [{"name": "c"}, {"name": "a", "image": "y"}, {"name": "d"}]}},
            [("f:spec", "f:containers", ITEM, "f:image")],
            {"spec": {"containers": [{"name": "c"}, {"name": "a", "image": "x"}, {"name": "d"}]}},
        ),
        (
            {"spec": {"containers": [{"name": "c"}]}},
            [("f:spec", "f:containers", ITEM, elements.SELF)],
            {"spec": {"containers": [{"name": "c"}, {"name": "a"}]}},
        ),
        (
            {"spec": {"containers": [{"name": "c"}]}},
            [("f:spec", "f:containers", 'k:{"name":"z"}', "f:image")],
            {"spec": {"containers": [{"name": "c"}]}},
        ),
        ({"spec": "text"}, [("f:spec", "f:replicas")], {"spec": {"replicas": 3}}),
    ],
)
def test_live_values_are_taken_over(tree, fields, expected):
    assert elements.with_values(tree, LIVE, frozenset(fields)) == expected


@pytest.mark.parametrize(
    ("tree", "path", "expected"),
    [
        ({"a": {"b": None}}, ("f:a", "f:b"), True),
        ({"a": {"b": None}}, ("f:a", "f:c"), False),
        ({"a": [{"name": "a", "x": 1}]}, ("f:a", ITEM, "f:x"), True),
        ({"a": [{"name": "a"}]}, ("f:a", ITEM, "f:x"), False),
        ({"a": [{"name": "b"}]}, ("f:a", ITEM), False),
        ({"a": [{"name": "a"}]}, ("f:a", ITEM, elements.SELF), True),
        ({"a": "text"}, ("f:a", ITEM), False),
    ],
)
def test_a_field_stands_where_its_object_has_it(tree, path, expected):
    assert elements.stands(tree, path) is expected


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ((), False),
        (("f:data", "f:a"), True),
        (("f:data", "f:b"), True),
        (("f:data", "f:c"), False),
        (("f:stringData", "f:a"), False),
        (("f:metadata", "f:b"), False),
    ],
)
def test_a_manifest_sets_a_field(at, expected):
    assert people.has(Lookup({"data": {"a": "eA=="}, "stringData": {"b": "x"}}), at) is expected


@pytest.mark.parametrize(("field", "counts"), [("containers", True), ("env", True), ("volumes", False)])
def test_order_counts_where_the_kubelet_respects_it(field: str, counts: bool):
    def live(*items: str) -> dict[str, object]:
        owned = {f'k:{{"name":"{name}"}}': {".": {}, "f:name": {}} for name in "ab"}
        entry = {"manager": "signet", "operation": "Apply", "fieldsV1": {"f:spec": {f"f:{field}": owned}}}
        return {"metadata": {"managedFields": [entry]}, "spec": {field: [{"name": name} for name in items]}}

    here, there = (fields.owned_values(live(*order), "signet") for order in ("ab", "ba"))  # pyright: ignore[reportArgumentType]
    assert (here != there) == counts
