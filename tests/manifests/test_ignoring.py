"""Which fields `spec.ignore` leaves to others: as Git writes an object, and as the API server says who owns what."""

import json

import pytest

from agent.api.application import IgnoreRule
from agent.manifests import elements, fields, handover, ignoring
from agent.values.ids import ObjectId
from agent.values.secret import Sealed

WEB = ObjectId("apps", "Deployment", "shop", "web")
WEB_NAME = 'k:{"name":"web"}'
POD = ("f:spec", "f:template", "f:spec")
LOG = 'k:{"name":"LOG"}'


def deployment():
    containers = [
        {"name": "web", "image": "web:1", "env": [{"name": "LOG", "value": "x"}, {"name": "B", "value": "y"}]},
        {"name": "side", "image": "side:1", "ports": [{"containerPort": 80}]},
    ]
    pod = {"containers": containers, "nodeSelector": {"disk": "ssd", "zone": "a"}, "tolerations": [{"key": "x"}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "annotations": {"a/b": "1", "signet-gitops.dev/wave": "2"}},
        "spec": {"replicas": 3, "template": {"metadata": {"labels": {"app": "web"}}, "spec": pod}},
    }


def rule(*pointers, managers=(), **selectors):
    return IgnoreRule(json_pointers=pointers, managers=tuple(managers), **selectors)


def ignored(*pointers, key=WEB):
    return ignoring.of([rule(*pointers)], key)


@pytest.mark.parametrize(
    ("pointer", "expected"),
    [
        ("/spec/replicas", [("f:spec", "f:replicas")]),
        ("/spec/missing", []),
        ("/metadata/annotations/a~1b", [("f:metadata", "f:annotations", "f:a/b")]),
        ("/metadata/annotations", [("f:metadata", "f:annotations", "f:a/b")]),
        ("/spec/template/spec/containers/0/image", [(*POD, "f:containers", WEB_NAME, "f:image")]),
        ("/spec/template/spec/containers/name=web/image", [(*POD, "f:containers", WEB_NAME, "f:image")]),
        (
            "/spec/template/spec/containers/*/image",
            [(*POD, "f:containers", f'k:{{"name":"{name}"}}', "f:image") for name in ("web", "side")],
        ),
        ("/spec/template/spec/containers/name=side", [(*POD, "f:containers", 'k:{"name":"side"}')]),
        ("/spec/template/spec/containers/name=none/image", []),
        ("/spec/template/spec/containers/7/image", []),
        ("/spec/template/spec/containers/-/image", []),
        ("/spec/template/spec/containers/0/name", []),
        (
            "/spec/template/spec/containers/0/env/name=LOG/value",
            [(*POD, "f:containers", WEB_NAME, "f:env", LOG, "f:value")],
        ),
        (
            "/spec/template/spec/containers/1/ports/containerPort=80,protocol=TCP",
            [(*POD, "f:containers", 'k:{"name":"side"}', "f:ports", 'k:{"containerPort":80,"protocol":"TCP"}')],
        ),
        ("/spec/template/spec/nodeSelector/disk", [(*POD, "f:nodeSelector")]),
        ("/spec/template/spec/tolerations/0/key", [(*POD, "f:tolerations")]),
    ],
)
def test_a_pointer_leads_to_what_has_a_manager_of_its_own(pointer, expected):
    assert sorted(ignored(pointer).fields(deployment())) == sorted(expected)


@pytest.mark.parametrize(
    ("selectors", "fits"),
    [
        ({}, True),
        ({"kind": "Deployment"}, True),
        ({"kind": "StatefulSet"}, False),
        ({"group": "apps", "kind": "*", "name": "w*", "namespace": "shop"}, True),
        ({"group": ""}, False),
        ({"name": "we"}, False),
        ({"namespace": ""}, False),
    ],
)
def test_a_rule_is_for_the_objects_that_all_its_selectors_fit(selectors, fits):
    assert bool(ignoring.of([rule("/spec/replicas", **selectors)], WEB)) is fits


def test_without_what_is_ignored_a_tree_keeps_the_rest_and_no_empty_map():
    tree = deployment()
    tree["spec"]["strategy"] = {"type": "Recreate"}
    kept = elements.without(
        tree,
        ignored(
            "/spec/strategy/type", "/spec/template/spec/containers/0/image", "/spec/template/spec/tolerations"
        ).fields(tree),
    )
    assert "strategy" not in kept["spec"]
    assert "tolerations" not in kept["spec"]["template"]["spec"]
    first, second = kept["spec"]["template"]["spec"]["containers"]
    assert (first["name"], "image" in first, second["image"]) == ("web", False, "side:1")


@pytest.mark.parametrize("pointer", ["/data/password", "/stringData/password"])
@pytest.mark.parametrize("field", ["data", "stringData"])
def test_the_data_of_a_secret_is_one_map_and_its_values_are_not_looked_at(pointer, field):
    key = ObjectId("", "Secret", "shop", "db")
    tree = {"apiVersion": "v1", "kind": "Secret", field: {"password": Sealed("1", "db.yaml", "str"), "user": "u"}}
    found = ignored(pointer, key=key)
    assert elements.without(tree, found.fields(tree))[field] == {"user": "u"}
    assert found.among([("f:data", "f:password"), ("f:data", "f:user")]) == {("f:data", "f:password")}


OWNED = [
    ("f:metadata", "f:annotations", "f:a/b"),
    ("f:metadata", "f:annotations", "f:signet-gitops.dev/owner"),
    ("f:spec", "f:replicas"),
    (*POD, "f:nodeSelector"),
    (*POD, "f:containers", WEB_NAME, "."),
    (*POD, "f:containers", WEB_NAME, "f:image"),
]


@pytest.mark.parametrize(
    ("pointer", "expected"),
    [
        ("/spec/replicas", [2]),
        ("/metadata/annotations", [0]),
        ("/spec/template/spec/nodeSelector/disk", [3]),
        ("/spec/template/spec/containers/name=web/image", [5]),
        ("/spec/template/spec/containers/*/image", [5]),
        ("/spec/template/spec/containers/name=web", [4, 5]),
        ("/spec/template/spec/containers", [4, 5]),
        ("/spec/template/spec/containers/0/image", []),
        ("/spec", [2, 3, 4, 5]),
        ("/specs", []),
    ],
)
def test_a_pointer_leads_to_what_is_owned_whether_or_not_git_still_has_it(pointer, expected):
    assert ignored(pointer).among(OWNED) == {OWNED[index] for index in expected}


def live(**owned):
    return {
        "metadata": {
            "managedFields": [
                {"manager": name.replace("_", "-"), "operation": "Update", "fieldsV1": elements.node(fields)}
                for name, fields in owned.items()
            ]
        }
    }


def test_what_an_ignored_manager_owns_is_left_to_it_and_never_what_is_the_agents_own():
    found = ignoring.of([rule(managers=["*"])], WEB)
    tree = live(vpa=[("f:spec", "f:a")], signet=[("f:spec", "f:b")], signet_released=[("f:spec", "f:c")])
    assert found.of_managers(tree) == {("f:spec", "f:a")}
    assert ignoring.of([rule(managers=["vpa-*"])], WEB).of_managers(tree) == frozenset()


def test_an_item_goes_with_the_last_of_its_fields_where_its_owner_is_ignored():
    tree = {"env": [{"name": "LOG", "value": "x"}, {"name": "B", "value": "y"}]}
    of_other = {("f:env", LOG, "."), ("f:env", LOG, "f:name"), ("f:env", LOG, "f:value")}
    assert elements.without(tree, of_other) == {"env": [{"name": "B", "value": "y"}]}
    assert elements.without(tree, {("f:env", LOG, "f:value")})["env"][0] == {"name": "LOG"}
    assert elements.without(tree, {("f:env", LOG, "."), ("f:env", LOG, "f:name")}) == tree


def test_an_item_is_named_as_the_api_server_names_it():
    assert elements.of_item({"containerPort": 80}, ("containerPort", "protocol")) == (
        'k:{"containerPort":80,"protocol":"TCP"}'
    )
    assert json.loads(elements.of_item({"name": "größe"}, ("name",))[2:]) == {"name": "größe"}


def test_what_does_not_move_stays_as_it_is_written_however_deep_it_is():
    deep = {"f:x": {}, "f:y": {}}
    for _ in range(100):
        deep = {"f:a": deep}
    entries = [
        {"manager": name, "operation": "Apply", "fieldsV1": {"f:data": deep, "f:spec": {"f:replicas": {}}}}
        for name in ("signet", "other")
    ]
    live = {"metadata": {"resourceVersion": "1", "managedFields": entries}}
    move = handover.Move({elements.REPLICAS}, lambda entry: fields.is_apply_of(entry, "signet"), "signet-released")
    ours, theirs, released = handover.patch(live, [move])[0]["value"]
    assert theirs == entries[1]
    assert "f:spec" not in ours["fieldsV1"]
    assert released["fieldsV1"] == {"f:spec": {"f:replicas": {}}}
