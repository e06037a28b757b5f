"""What a null comes to: it deletes what an earlier layer gave, and is else what the API server makes of it."""

import pytest
from written import merged_one, shown, tree

from agent.manifests import builtin, resolve
from testbed.processes import wait_until

RELEASE = "apiVersion: example.com/v1\nkind: Database\nmetadata: {name: main}\n"
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\n"
SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n"
DEPLOYMENT = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n"


@pytest.mark.parametrize(
    ("layers", "field", "expected"),
    [
        # a first declaration in a custom resource stays, however deep
        ([RELEASE + "spec: {cpu: null, memory: 1Gi}"], "spec", {"cpu": None, "memory": "1Gi"}),
        ([RELEASE + "spec: {a: {b: {c: ~}}, d: }"], "spec", {"a": {"b": {"c": None}}, "d": None}),
        ([RELEASE + "spec: {l: [null, {a: null}]}"], "spec", {"l": [None, {"a": None}]}),
        ([RELEASE + "spec: null"], "spec", None),
        # so it does in a later layer, where no earlier one gave a value
        ([RELEASE + "spec: {a: 1}", RELEASE + "spec: {b: null}"], "spec", {"a": 1, "b": None}),
        ([RELEASE, RELEASE + "spec: {b: {c: null}}"], "spec", {"b": {"c": None}}),
        ([RELEASE + "spec: {a: 1}", RELEASE + "spec: {a: {b: null}}"], "spec", {"a": {"b": None}}),
        ([RELEASE + "spec: {a: null}", RELEASE + "spec: {a: null}"], "spec", {"a": None}),
        ([RELEASE + "spec: {a: null}", RELEASE + "spec: {a: 1}"], "spec", {"a": 1}),
        ([RELEASE + "spec: {a: null}", RELEASE + "spec: {b: 1}"], "spec", {"a": None, "b": 1}),
        # it deletes what an earlier layer gave, and what is deleted twice is not declared
        ([RELEASE + "spec: {a: 1, b: 2}", RELEASE + "spec: {a: null}"], "spec", {"b": 2}),
        ([RELEASE + "spec: {a: ''}", RELEASE + "spec: {a: null}"], "spec", {}),
        ([RELEASE + "spec: {a: false}", RELEASE + "spec: {a: null}"], "spec", {}),
        ([RELEASE + "spec: {a: {b: 1}}", RELEASE + "spec: {a: null}"], "spec", {}),
        ([RELEASE + "spec: {a: [1]}", RELEASE + "spec: {a: null}"], "spec", {}),
        ([RELEASE + "spec: {a: 1}", *[RELEASE + "spec: {a: null}"] * 2], "spec", {}),
        ([RELEASE + "spec: {a: 1}", RELEASE + "spec: {a: null}", RELEASE + "spec: {a: 2}"], "spec", {"a": 2}),
        ([RELEASE + "spec: {a: null}", RELEASE + "spec: {a: 1}", RELEASE + "spec: {a: null}"], "spec", {}),
        ([RELEASE + "spec: {a: {b: 1}}", RELEASE + "spec: {a: null}", RELEASE + "spec: {a: {c: 1}}"], "spec", {"a": {"c": 1}}),
        ([RELEASE + "spec: {a: {b: 1}}", RELEASE + "spec: {a: {$patch: delete}}", RELEASE + "spec: {a: null}"], "spec", {}),
        # maps of texts
        ([CONFIG + "data: {a: null, b: x}\nbinaryData: {c: null}"], "data", {"a": "", "b": "x"}),
        ([CONFIG + "data: {a: null, b: x}\nbinaryData: {c: null}"], "binaryData", {"c": ""}),
        ([CONFIG + "data: {b: x}", CONFIG + "data: {a: null}"], "data", {"a": "", "b": "x"}),
        ([CONFIG + "data: {a: x}", CONFIG + "data: {a: null}"], "data", {}),
        ([CONFIG + "data: {a: x}", *[CONFIG + "data: {a: null}"] * 2], "data", {}),
        ([SECRET + "data: {a: null}"], "data", {"a": ""}),
        ([SECRET + "stringData: {a: null}"], "stringData", {"a": ""}),
        ([SECRET + "data: {a: eA==}", SECRET + "stringData: {a: null}"], "stringData", {}),
        ([SECRET + "data: {a: eA==}", *[SECRET + "stringData: {a: null}"] * 2], "stringData", {}),
        ([SECRET + "data: {a: eA==}", SECRET + "stringData: {a: null}", SECRET + "data: {a: null}"], "data", {}),
        ([SECRET + "data: {a: null}", SECRET + "stringData: {a: null}"], "stringData", {"a": ""}),
        ([RELEASE.replace("main", "main, labels: {a: null}, annotations: {b: null}")], "metadata",
         {"name": "main", "labels": {"a": ""}, "annotations": {"b": ""}, "namespace": "shop"}),
        # metadata and the API server's own kinds have types in which null is no value
        ([RELEASE.replace("main", "main, labels: null, finalizers: null")], "metadata", {"name": "main", "namespace": "shop"}),
        ([DEPLOYMENT + "spec: {replicas: null, paused: false}"], "spec", {"paused": False}),
        ([DEPLOYMENT + "spec: {template: {metadata: {creationTimestamp: null, labels: {a: null}}}}"], "spec",
         {"template": {"metadata": {"labels": {"a": ""}}}}),
        ([DEPLOYMENT + "spec: {template: {spec: {containers: [{name: c, command: null, args: [null]}]}}}"], "spec",
         {"template": {"spec": {"containers": [{"name": "c", "args": [None]}]}}}),
        ([CONFIG + "data: null"], "data", None),
        # keys of maps that are no fields stay, as a selector without one would select more
        ([SERVICE + "spec: {selector: {app: null, tier: x}}"], "spec", {"selector": {"app": "", "tier": "x"}}),
        ([SERVICE + "spec: {selector: {app: a}}", SERVICE + "spec: {selector: {app: null}}"], "spec", {"selector": {}}),
        ([SERVICE + "spec: {selector: null}"], "spec", {}),
        ([DEPLOYMENT + "spec: {selector: {matchLabels: {app: null}}}"], "spec", {"selector": {"matchLabels": {"app": ""}}}),
        ([DEPLOYMENT + "spec: {selector: {matchLabels: null}}"], "spec", {"selector": {}}),
        ([DEPLOYMENT + "spec: {template: {spec: {nodeSelector: {a: null}, overhead: {cpu: null}}}}"], "spec",
         {"template": {"spec": {"nodeSelector": {"a": ""}, "overhead": {"cpu": "0"}}}}),
        ([DEPLOYMENT + "spec: {template: {spec: {containers: [{name: c, resources: {limits: {cpu: null}, requests: null}}]}}}"],
         "spec", {"template": {"spec": {"containers": [{"name": "c", "resources": {"limits": {"cpu": "0"}}}]}}}),
        # one that is part of a merge key is its default
        ([SERVICE + "spec: {ports: [{port: 1, protocol: null}, {port: 1, protocol: UDP}]}"], "spec",
         {"ports": [{"port": 1}, {"port": 1, "protocol": "UDP"}]}),
        ([SERVICE + "spec: {ports: [{port: 1, protocol: TCP, name: a}]}", SERVICE + "spec: {ports: [{port: 1, protocol: null, name: b}]}"],
         "spec", {"ports": [{"port": 1, "name": "b"}]}),
        # of a custom resource nothing is known
        ([RELEASE + "spec: {selector: {matchLabels: {a: null}}, resources: {limits: {cpu: null}}}"], "spec",
         {"selector": {"matchLabels": {"a": None}}, "resources": {"limits": {"cpu": None}}}),
    ],
)  # fmt: skip
def test_a_null_deletes_what_was_given_and_is_else_declared(layers, field, expected):
    assert merged_one(*layers).get(field) == expected


def test_a_null_of_a_custom_resource_is_there_and_not_only_not_missing():
    assert "spec" in merged_one(RELEASE + "spec: null")
    assert "data" not in merged_one(CONFIG + "data: null")


def test_data_of_a_secret_is_empty_where_it_is_null():
    assert shown(resolve.fill(merged_one(SECRET + "data: {a: null}\nstringData: {b: }"), {})["data"]) == {
        "a": "",
        "b": "",
    }


DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "databases.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"kind": "Database", "plural": "databases", "singular": "database", "listKind": "DatabaseList"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {
                                    "values": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                                    "tier": {"type": "string", "nullable": True},
                                },
                            }
                        },
                    }
                },
            }
        ],
    },
}


@pytest.fixture(scope="module")
def databases(controlplane):
    controlplane.apply(DEFINITION)
    path = "/apis/example.com/v1/namespaces/default/databases"
    wait_until(lambda: controlplane.request("GET", path)[0] == 200, 30, "databases are served")
    yield controlplane
    controlplane.delete("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/databases.example.com")


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (RELEASE + "spec: {values: {cpu: null, l: [null], memory: 1Gi}, tier: null}", "spec"),
        (RELEASE.replace("main", "main, labels: {a: null}, annotations: {b: null}"), "metadata"),
        (CONFIG + "data: {a: null, b: x}", "data"),
        (CONFIG + "data: {b: x}\nbinaryData: {c: null}", "binaryData"),
        (SECRET + "data: {a: null, b: eA==}", "data"),
        (SECRET + "data: null", "data"),
        (CONFIG + "data: null", "data"),
        (SERVICE + "spec: {clusterIP: None, selector: {app: null, tier: x}}", "spec"),
    ],
)
def test_server_side_apply_makes_the_same_of_what_we_send_and_of_what_was_written(databases, namespace, text, field):
    sent = merged_one(text)
    sent["metadata"]["namespace"] = namespace
    written = {**tree(text), "metadata": {**tree(text)["metadata"], "namespace": namespace}}
    ours = databases.apply(sent)
    databases.delete(databases.path(sent))
    theirs = databases.apply(written)
    assert (
        {key: ours.get(field, {}).get(key) for key in sent.get(field) or {}}
        == {key: theirs.get(field, {}).get(key) for key in sent.get(field) or {}}
        == (sent.get(field) or {})
    )


def test_a_null_of_a_type_of_the_server_leaves_the_field_to_others(controlplane, namespace):
    template = "template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}"
    text = DEPLOYMENT + f"spec: {{replicas: null, selector: {{matchLabels: {{a: b}}}}, {template}}}"
    sent = merged_one(text)
    sent["metadata"]["namespace"] = namespace
    path = controlplane.path(sent)
    controlplane.apply(sent)
    controlplane.merge(path, {"spec": {"replicas": 3}})
    assert controlplane.apply(sent)["spec"]["replicas"] == 3
    written = {**tree(text), "metadata": sent["metadata"]}
    assert controlplane.apply(written)["spec"]["replicas"] == 1, (
        "the API server takes a null that it is sent for its default"
    )


NULLS = {"string": "", "#/definitions/io.k8s.apimachinery.pkg.api.resource.Quantity": "0"}
"""By the type of a map's values."""


def maps(definitions, schema, path=(), above=()):
    """Every map and object of a schema that a declaration may reach: its path, and the type of its values where its keys are no fields."""
    name = schema.get("$ref", "").removeprefix("#/definitions/")
    if name in above or "JSONSchemaProps" in name:
        return
    schema, above = (definitions[name], (*above, name)) if name else (schema, above)
    values = schema.get("additionalProperties")
    if values is not None:
        yield path, values.get("$ref") or values.get("type")
    elif "properties" in schema:
        yield path, None
    for key, value in schema.get("properties", {}).items():
        if (*path, key) != ("status",):
            yield from maps(definitions, value, (*path, key), above)
    if "items" in schema:
        yield from maps(definitions, schema["items"], (*path, 0), above)


def reached(group, kind, path):
    """Whether layers are merged as deep as that: a list without merge keys is one value."""
    lists = [path[:end] for end, step in enumerate(path) if isinstance(step, int)]
    return all(builtin.list_keys(group, kind, each) is not None for each in lists)


def test_a_null_is_what_the_types_of_the_api_server_make_of_it_in_every_map_that_it_has(controlplane):
    _, document = controlplane.request("GET", "/openapi/v2")
    definitions = document["definitions"]
    kinds = {
        (served["group"], served["kind"]): schema
        for schema in definitions.values()
        for served in schema.get("x-kubernetes-group-version-kind", ())
        if served["group"] in builtin.GROUPS and "metadata" in schema.get("properties", {})
    }
    wrong, seen = [], 0
    for (group, kind), schema in kinds.items():
        for path, values in maps(definitions, schema):
            if reached(group, kind, path):
                seen += values in NULLS
                if builtin.null_in(group, kind, path) != NULLS.get(values):
                    wrong.append((group, kind, path, values))
    assert not wrong
    assert seen > 150
