import pytest
from written import tree

from agent.manifests import sinks
from agent.manifests.sinks import AllowedSinks
from agent.values.errors import SinkError
from agent.values.ids import ObjectId
from agent.values.secret import Sealed, Secret
from agent.values.tree import map_leaves

ALL = AllowedSinks(
    config_maps=True,
    env=True,
    args=True,
    custom_fields=frozenset(
        {
            ("example.com", "Database", "spec.users[*].password"),
            ("example.com", "Database", "spec.*.token"),
            ("example.com", "Database", "spec.deep.**"),
            ("", "Service", "spec.externalName"),
        }
    ),
)
NONE = AllowedSinks()

CASES = [
    # where, allowed with opt-in, allowed without
    ("v1", "Secret", "{data: {k: X}}", True, True),
    ("v1", "Secret", "{stringData: {k: X}}", True, True),
    ("v1", "Secret", "{type: X}", False, False),
    ("v1", "Secret", "{metadata: {annotations: {a: X}}}", False, False),
    ("v1", "ConfigMap", "{data: {k: X}}", True, False),
    ("v1", "ConfigMap", "{metadata: {labels: {a: X}}}", False, False),
    ("v1", "Pod", "{spec: {containers: [{env: [{name: a, value: X}]}]}}", True, False),
    ("v1", "Pod", "{spec: {initContainers: [{args: [X]}]}}", True, False),
    ("v1", "Pod", "{spec: {containers: [{command: [X]}]}}", True, False),
    ("v1", "Pod", "{spec: {containers: [{image: X}]}}", False, False),
    ("v1", "Pod", "{spec: {containers: [{env: [{name: X, value: a}]}]}}", False, False),
    ("v1", "Pod", "{spec: {hostAliases: [{ip: X}]}}", False, False),
    ("apps/v1", "Deployment", "{spec: {template: {spec: {containers: [{env: [{value: X}]}]}}}}", True, False),
    ("apps/v1", "Deployment", "{spec: {template: {metadata: {annotations: {a: X}}}}}", False, False),
    ("apps/v1", "Deployment", "{spec: {containers: [{env: [{value: X}]}]}}", False, False),
    ("v1", "Service", "{spec: {externalName: X}}", False, False),
    ("networking.k8s.io/v1", "Ingress", "{spec: {rules: [{host: X}]}}", False, False),
    ("example.com/v1", "Database", "{spec: {users: [{password: X}]}}", True, False),
    ("example.com/v1", "Database", "{spec: {users: {password: X}}}", False, False),
    ("example.com/v1", "Database", "{spec: {a: {token: X}}}", True, False),
    ("example.com/v1", "Database", "{spec: {a: {b: {token: X}}}}", False, False),
    ("example.com/v1", "Database", "{spec: {deep: [{a: X}]}}", True, False),
    ("example.com/v1", "Database", "{spec: {password: X}}", False, False),
    ("example.com/v1", "Database", "{metadata: {annotations: {a: X}}}", False, False),
    ("example.org/v1", "Database", "{spec: {users: [{password: X}]}}", False, False),
]
LEAVES = [Secret("canary", "sops:x"), Sealed("id", "sops:x", "str"), "vault://main/kv/a#k", "a ${vault://main/kv/a#k}"]


@pytest.mark.parametrize("leaf", LEAVES, ids=["secret", "sealed", "reference", "inline"])
@pytest.mark.parametrize(("api_version", "kind", "text", "with_opt_in", "without"), CASES)
def test_a_secret_stands_only_where_it_may(api_version, kind, text, with_opt_in, without, leaf):
    given = map_leaves(tree(text), lambda _, value: leaf if value == "X" else value)
    given = {"apiVersion": api_version, "kind": kind, **given}
    object_id = ObjectId(api_version.rpartition("/")[0], kind, "shop", "a")
    for allowed, may in ((ALL, with_opt_in), (NONE, without)):
        if may:
            sinks.check(object_id, given, allowed)
            continue
        with pytest.raises(SinkError) as caught:
            sinks.check(object_id, given, allowed)
        assert caught.value.facts["object"] == object_id
        assert caught.value.facts["field"]
        assert caught.value.hint
        assert "canary" not in str(caught.value)


def test_objects_without_secrets_pass():
    sinks.check(
        ObjectId("", "Pod", "a", "b"), tree("{metadata: {labels: {a: b}}, spec: {containers: [{image: x}]}}"), NONE
    )


@pytest.mark.parametrize(
    ("glob", "path", "matches"),
    [
        ("spec.a", ("spec", "a"), True),
        ("spec.a", ("spec", "a", "b"), False),
        ("spec.a", ("spec",), False),
        ("spec.*", ("spec", "a"), True),
        ("spec.*", ("spec", 0), True),
        ("spec.pass*", ("spec", "password"), True),
        ("spec.users[*].password", ("spec", "users", 3, "password"), True),
        ("spec.users[*].password", ("spec", "users", "x", "password"), False),
        ("spec.users.password", ("spec", "users", 0, "password"), False),
        ('spec["tls.key"]', ("spec", "tls.key"), True),
        ('data["tls.key"].x', ("data", "tls.key", "x"), True),
        ("spec.tls.key", ("spec", "tls.key"), False),
        ("spec.**", ("spec", "a", 0, "b"), True),
        ("spec.**.b", ("spec", "a", 0, "b"), True),
        ("spec.**.b", ("spec", "b"), True),
        ("spec.**.b", ("spec", "b", "c"), False),
    ],
)
def test_the_operators_paths_match_as_written(glob, path, matches):
    given = "secret"
    for step in reversed(path):
        given = [None] * step + [given] if isinstance(step, int) else {step: given}
    given = map_leaves(given, lambda _, leaf: Secret("x", "l") if leaf == "secret" else leaf)
    allowed = AllowedSinks(custom_fields=frozenset({("example.com", "Database", glob)}))
    object_id = ObjectId("example.com", "Database", "shop", "a")
    if matches:
        sinks.check(object_id, given, allowed)
    else:
        with pytest.raises(SinkError):
            sinks.check(object_id, given, allowed)
