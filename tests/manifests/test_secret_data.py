import base64

import pytest
from written import shown, tree

from agent.manifests import references, resolve
from agent.manifests.references import Reference
from agent.values.errors import ManifestError, ReferenceSyntaxError, SecretValueError
from agent.values.secret import Secret

REFERENCE = Reference("main", "kv/db", "k")
TEXT = str(REFERENCE)


def b64(value: str | bytes) -> str:
    return base64.b64encode(value if isinstance(value, bytes) else value.encode()).decode()


def secret(**fields):
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": "shop"}, **fields}


def finished(given, value="hunter2"):
    return resolve.fill(given, {REFERENCE: Secret(value, "vault:k")})


@pytest.mark.parametrize(
    ("fields", "value", "expected"),
    [
        ({"stringData": {"k": "text"}}, "", {"k": b64("text")}),
        ({"stringData": {"k": ""}}, "", {"k": ""}),
        ({"data": {"k": b64("text")}}, "", {"k": b64("text")}),
        ({"data": {"k": "dGV4\ndA=="}}, "", {"k": b64("text")}),
        ({"data": {"k": "AAH/"}}, "", {"k": "AAH/"}),
        ({"data": {"k": b64("old"), "l": b64("x")}, "stringData": {"k": "new"}}, "", {"k": b64("new"), "l": b64("x")}),
        ({"data": {"k": TEXT}}, "hunter2", {"k": b64("hunter2")}),
        ({"data": {"k": f"u:${{{TEXT}}}"}}, "hunter2", {"k": b64("u:hunter2")}),
        ({"stringData": {"k": TEXT}}, 5432, {"k": b64("5432")}),
        ({"stringData": {"k": TEXT}}, True, {"k": b64("true")}),
        ({"stringData": {"k": TEXT}}, b"\x00\xff", {"k": b64(b"\x00\xff")}),
        ({"data": {"k": f"$${{{TEXT}}}"}}, "", {"k": b64(f"${{{TEXT}}}")}),
        ({"stringData": {"k": Secret("opened", "sops:k")}}, "", {"k": b64("opened")}),
        ({"stringData": {"k": Secret(b"\x00\xff", "sops:k")}}, "", {"k": b64(b"\x00\xff")}),
        ({"data": {"k": Secret(b64("opened"), "sops:k")}}, "", {"k": b64("opened")}),
        ({"data": {"k": Secret(f"u:${{{TEXT}}}", "sops:k")}}, "hunter2", {"k": b64("u:hunter2")}),
        ({"data": {"k": None, "l": b64("x")}}, "", {"l": b64("x")}),
        ({"stringData": None}, "", {}),
    ],
)
def test_everything_ends_as_base64_in_data_and_sealed(fields, value, expected):
    result = finished(secret(**fields), value)
    assert "stringData" not in result
    assert all(isinstance(leaf, Secret) for leaf in result["data"].values())
    assert shown(result["data"]) == expected


def test_a_secret_without_data_stays_without():
    assert finished(secret(type="Opaque")) == secret(type="Opaque")


def test_an_optional_value_that_is_missing_leaves_its_key_out():
    optional = Reference("main", "kv/db", "k", optional=True)
    assert resolve.fill(secret(stringData={"k": str(optional)}), {})["data"] == {}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"data": {"password": 12345678}}, "data.password"),
        ({"data": {"password": "not base64!"}}, "data.password"),
        ({"data": {"password": Secret("canary text", "sops:k")}}, "data.password"),
        ({"data": {"password": Secret(12345678, "sops:k")}}, "data.password"),
        ({"stringData": {"password": 12345678}}, "stringData.password"),
        ({"stringData": {"password": True}}, "stringData.password"),
        ({"stringData": {"password": Secret(12345678, "sops:k")}}, "stringData.password"),
        ({"stringData": {"password": {"a": "b"}}}, "stringData.password"),
        ({"stringData": ["a"]}, "stringData"),
    ],
)
def test_what_the_apiserver_would_quote_is_refused_before_it(fields, field):
    with pytest.raises(ManifestError) as caught:
        finished(secret(**fields))
    assert caught.value.facts == {"field": field}
    assert "12345678" not in str(caught.value)
    assert "canary" not in f"{caught.value} {caught.value.__context__!r}"


def test_numbers_become_text_in_string_fields_and_keep_their_type_elsewhere():
    deployment = tree("""
        apiVersion: apps/v1
        kind: Deployment
        spec: {template: {spec: {containers: [{name: a, args: ['vault://main/kv/db#k'], env: [{name: A, value: 'vault://main/kv/db#k'}]}]}}}
    """)
    (container,) = shown(finished(deployment, 5432))["spec"]["template"]["spec"]["containers"]
    assert container == {"name": "a", "args": ["5432"], "env": [{"name": "A", "value": "5432"}]}
    deployment["spec"]["template"]["spec"] = {"containers": [{"name": "a", "ports": [{"containerPort": TEXT}]}]}
    (container,) = shown(finished(deployment, 5432))["spec"]["template"]["spec"]["containers"]
    assert container["ports"] == [{"containerPort": 5432}]
    config = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"k": TEXT}}
    assert shown(finished(config, 5432))["data"] == {"k": "5432"}
    custom = {"apiVersion": "example.com/v1", "kind": "Database", "spec": {"port": TEXT}}
    assert shown(finished(custom, 5432))["spec"] == {"port": 5432}


def test_bytes_where_text_is_needed_name_the_field():
    for given in (
        {"apiVersion": "v1", "kind": "ConfigMap", "data": {"k": TEXT}},
        {"apiVersion": "v1", "kind": "ConfigMap", "data": {"k": f"x${{{TEXT}}}"}},
    ):
        with pytest.raises(SecretValueError) as caught:
            finished(given, b"\xff")
        assert caught.value.facts["field"] == "data.k"


def test_a_malformed_reference_in_data_is_an_error():
    with pytest.raises(ReferenceSyntaxError):
        finished(secret(data={"k": "vault://main"}))


def test_finding_and_finishing_agree():
    given = secret(data={"a": TEXT}, stringData={"b": f"x${{{TEXT}}}"})
    assert references.find(given) == {REFERENCE: [("data", "a"), ("stringData", "b")]}


LONGEST = "x" * (1 << 20)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("Secret", {"stringData": {"k": LONGEST}}),
        ("Secret", {"data": {"k": b64(LONGEST)}}),
        ("ConfigMap", {"data": {"k": LONGEST}}),
        ("ConfigMap", {"binaryData": {"k": b64(LONGEST)}}),
    ],
)
def test_the_values_of_an_object_are_a_mebibyte_together(kind, fields):
    given = {**secret(**fields), "kind": kind}
    assert resolve.fill(given, {})["kind"] == kind
    field = next(iter(fields))
    with pytest.raises(ManifestError, match="larger than 1 MiB"):
        resolve.fill({**given, field: {**fields[field], "l": "YQ=="}}, {})


def test_only_secrets_and_config_maps_have_a_limit_on_their_data():
    large = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "t"}, "data": {"k": "x" * (2 << 20)}}
    assert resolve.fill(large, {}) == large
