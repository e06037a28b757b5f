"""Who may write an object chooses how long its lists are and how many fields its managers own: reading them costs what they are long."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import cost
import pytest

from agent.api import names
from agent.manifests import entangled, fields, ignoring, leaving, live
from agent.manifests.field_trees import DEEPEST
from agent.manifests.people import Takeover, beside

if TYPE_CHECKING:
    from agent.values.tree import Object, Tree

MANY = 8000
"""Items of some 120 bytes with what managedFields say of them: two thirds of what an API server takes in one object."""
VARIABLES: list[Tree] = [{"name": f"v{number}", "value": "1"} for number in range(MANY)]
BY_NAME: Object = {f'k:{{"name":"v{number}"}}': {".": {}, "f:name": {}, "f:value": {}} for number in range(MANY)}


def entry(manager: str, owned: Object, operation: str = "Apply") -> Tree:
    return {"manager": manager, "operation": operation, "time": "2026-01-01T00:00:00Z", "fieldsV1": owned}


def written(items: list[Tree], *managed: Tree) -> Object:
    return {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": "x", "managedFields": list(managed)},
        "spec": {"env": items},
    }


def spec(elements: Object) -> Object:
    return {"f:spec": {"f:env": elements}}


OBJECTS = {
    "by key": written(VARIABLES, entry("signet", spec(BY_NAME)), entry("editor", spec(BY_NAME), "Update")),
    "by key among secrets": live.wrap(written(VARIABLES, entry("signet", spec(BY_NAME))), whole=True),
    "by value": written(
        [f"v{number}" for number in range(MANY)],
        entry("signet", spec({f'v:"v{number}"': {} for number in range(MANY)})),
    ),
    "by ever other keys": written(
        VARIABLES, entry("signet", spec({f'k:{{"name{number}":"v"}}': {} for number in range(MANY)}))
    ),
    "by many managers": written(
        VARIABLES,
        entry("signet", spec(BY_NAME)),
        *(entry(f"m{number}", spec({f'k:{{"name":"v{number}"}}': {"f:value": {}}})) for number in range(4000)),
    ),
    "by a person": written(VARIABLES, entry("signet", {"f:spec": {}}), entry("kubectl-edit", spec(BY_NAME), "Update")),
    "by many people": written(
        VARIABLES,
        entry("signet", spec(BY_NAME)),
        *(
            entry("kubectl-edit", spec({f'k:{{"name":"v{number}"}}': {"f:value": {}}}), "Update")
            for number in range(4000)
        ),
    ),
    "by many versions of ours": written(
        VARIABLES,
        *(entry("signet", spec({f'k:{{"name":"v{number}"}}': {"f:value": {}}})) for number in range(4000)),
    ),
}


def deep(levels: int) -> Object:
    fields: Object = {f"f:{number:x}": {} for number in range(4 * MANY)}
    for _ in range(levels):
        fields = {"f:a": fields}
    return {"f:spec": fields}


OBJECTS |= {
    f"{levels} levels by {manager}": written(
        [], entry("signet", deep(levels) if manager == "signet" else {}), entry(manager, deep(levels), "Update")
    )
    for levels in (DEEPEST - 2, 900)
    for manager in ("signet", "kubectl-edit")
}


@pytest.mark.parametrize("given", OBJECTS.values(), ids=OBJECTS)
def test_the_longest_lists_take_seconds_at_most(given: Object) -> None:
    changed = [("spec", "env", number, "value") for number in range(51)]
    with cost.at_most(seconds=4):
        fields.owned_values(given, "signet")
        fields.last_writer(given, changed, besides="signet")
        beside(given, names.PEOPLE)
        for tree in ({}, {"spec": given["spec"]}):
            for first in (False, True):
                taking = Takeover(tree, names.PEOPLE, first=first)
                taking.patch(given)
                taking.removed(given)


@pytest.mark.parametrize("given", OBJECTS.values(), ids=OBJECTS)
def test_what_is_left_to_others_of_the_longest_lists_takes_seconds_at_most(given: Object) -> None:
    with cost.at_most(seconds=4):
        for tree in ({}, {"spec": given["spec"]}):
            leaving.compute(tree, given, ignoring.NOTHING)
            entangled.find(given, tree, ["spec.env[0].name"])


FORGED = [
    f"i:{'9' * 5000}",
    "i:²",
    'v:"\\ud800"',
    f"v:{'[' * 5000}{']' * 5000}",
    f"v:{'9' * 5000}",
    'k:{"name":"\\ud800"}',
    "k:{}",
    "k:[]",
]


@pytest.mark.parametrize("element", FORGED, ids=range(len(FORGED)))
def test_elements_that_no_api_server_writes_select_nothing(element: str) -> None:
    given = written([{"name": "a", "value": "1"}], entry("signet", spec({element: {}, 'k:{"name":"a"}': {}})))
    assert fields.owned_values(given, "signet") == {
        "f:spec": {"f:env": {'k:{"name":"a"}': {"name": "a", "value": "1"}, "order": ['k:{"name":"a"}']}}
    }


SELECTED = [
    ('k:{"name":"b"}', 1),
    ('k:{"name":"b","port":2}', 1),
    ('k:{"name":1}', None),
    ('k:{"port":true}', None),
    ('k:{"on":true}', 2),
    ('k:{"name":null,"on":true}', 2),
    ('v:"text"', 3),
    ("v:5", 4),
    ("v:true", None),
    ('v:{"a":[1]}', 5),
    ("i:4", 4),
    ("i:7", None),
    ("f:name", None),
]


@pytest.mark.parametrize("whole", [False, True], ids=["clear", "sealed"])
@pytest.mark.parametrize(("element", "place"), SELECTED)
def test_an_element_selects_the_first_item_that_is_the_same(element: str, place: int | None, *, whole: bool) -> None:
    items: list[Tree] = [
        {"name": "a", "port": 1},
        {"name": "b", "port": 2},
        {"on": True},
        "text",
        5,
        {"a": [1]},
        {"name": "b", "port": 2},
    ]
    given = live.wrap(written(items, entry("signet", spec({element: {}}))), whole=whole)
    owned = fields.owned_values(given, "signet")["f:spec"]
    assert isinstance(owned, dict)
    found = owned["f:env"]
    assert isinstance(found, dict)
    expected = [] if place is None else [element]
    assert found["order"] == expected
    assert place is None or json.dumps(found[element], default=str) == json.dumps(
        given["spec"]["env"][place],
        default=str,
    )
