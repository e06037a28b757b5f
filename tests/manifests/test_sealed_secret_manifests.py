"""A SealedSecret becomes the Secret that its controller would make, its values still sealed."""

from __future__ import annotations

import pytest
from written import KINDS, merged, parsed, tree

from agent.desired import compiler
from agent.engine.record import ApplicationRecord
from agent.manifests import layers, sealed_secrets
from agent.manifests.kinds import Kinds, Resource
from agent.manifests.places import Places
from agent.manifests.sealed_secrets import Scope, Unsealing
from agent.values.errors import AgentError, ManifestError, UnknownKindError
from agent.values.ids import ObjectId, Revision
from agent.values.secret import Sealed

DB = ObjectId("", "Secret", "shop", "db")
SEALED = """\
apiVersion: bitnami.com/v1alpha1
kind: SealedSecret
metadata:
  name: db
  namespace: shop
  annotations: {signet-gitops.dev/prune: disabled, example.com/own: x}
  resourceVersion: "12"
spec:
  encryptedData:
    password: QUFB
    token: QkJC
  template:
    type: example.com/kind
    immutable: true
    metadata:
      name: ignored
      namespace: ignored
      creationTimestamp: null
      labels: {team: a}
      annotations: {note: kept, kubectl.kubernetes.io/last-applied-configuration: "{}"}
    data:
      mode: fast
status: {observedGeneration: 1}
"""
MINIMAL = "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: db}\nspec: {encryptedData: {password: QUFB}}\n"
WORKLOAD = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: a}}
  template:
    metadata: {labels: {app: a}}
    spec: {containers: [{name: a, image: a, envFrom: [{secretRef: {name: db}}]}]}
"""
CLUSTER_WIDE = MINIMAL.replace(
    "{name: db}", "{name: db, annotations: {sealedsecrets.bitnami.com/cluster-wide: 'true'}}"
)


NARROW = Unsealing()
PLACES = Places("shop", ("bank",), ("bank",))


def state(
    *by_layer: dict[str, str],
    unsealing: Unsealing | None = NARROW,
    untrusted: str = "",
    kinds: Kinds = KINDS,
    places: Places = PLACES,
) -> compiler.DesiredState:
    return compiler.compute(
        Revision("1" * 40, "main", "dev", 0),
        parsed(*by_layer),
        untrusted={untrusted: AgentError("altered")} if untrusted else {},
        refused=(),
        layered=len(by_layer) > 1,
        kinds=kinds,
        places=places,
        recorded=ApplicationRecord().of_file,
        unsealing=unsealing,
    )


def test_template_type_and_metadata_are_the_secret_s():
    unwrapped = sealed_secrets.secret(tree(SEALED), namespace="shop")
    data = unwrapped.tree.pop("data")
    assert unwrapped.tree == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "db",
            "namespace": "shop",
            "labels": {"team": "a"},
            "annotations": {"note": "kept", "signet-gitops.dev/prune": "disabled"},
        },
        "type": "example.com/kind",
        "immutable": True,
        "stringData": {"mode": "fast"},
    }
    assert isinstance(data, dict)
    assert [str(leaf) for leaf in data.values()] == [
        "<sealed sealed-secret:shop/db#password>",
        "<sealed sealed-secret:shop/db#token>",
    ]
    assert [(each.leaf, each.ciphertext) for each in unwrapped.values] == [
        (data["password"], b"AAA"),
        (data["token"], b"BBB"),
    ]


@pytest.mark.parametrize(
    ("annotations", "scope", "label"),
    [
        ({}, Scope.STRICT, b"shop/db"),
        ({"namespace-wide": "true"}, Scope.NAMESPACE_WIDE, b"shop"),
        ({"cluster-wide": "true"}, Scope.CLUSTER_WIDE, b""),
        ({"namespace-wide": "true", "cluster-wide": "true"}, Scope.CLUSTER_WIDE, b""),
        ({"namespace-wide": "True", "cluster-wide": "1"}, Scope.STRICT, b"shop/db"),
    ],
)
def test_the_scope_is_what_the_sealed_secret_is_annotated_with(annotations: dict[str, str], scope: Scope, label: bytes):
    written = tree(MINIMAL)
    written["metadata"]["annotations"] = {f"sealedsecrets.bitnami.com/{key}": text for key, text in annotations.items()}
    # What the template is annotated with says nothing: the controller does not look there either.
    written["spec"]["template"] = {"metadata": {"annotations": {"sealedsecrets.bitnami.com/cluster-wide": "true"}}}
    [value] = sealed_secrets.secret(written, namespace="shop").values
    assert value.scope is scope
    assert value.scope.label(value.namespace, value.name) == label


def test_equal_ciphertext_is_another_leaf_at_another_place():
    def ids(**change: str) -> set[str]:
        text = MINIMAL
        for old, new in change.items():
            text = text.replace(old, new)
        return {each.leaf.id for each in sealed_secrets.secret(tree(text), namespace="shop").values}

    first = ids()
    assert first == ids()
    assert not first & (ids(password="other") | ids(db="other") | ids(QUFB="QUFC"))
    assert not first & {each.leaf.id for each in sealed_secrets.secret(tree(MINIMAL), namespace="other").values}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("mode: fast", "url: 'https://{{ .password }}@x'", "a Go template over the values is not rendered"),
        ("mode: fast", "mode: [1]", "field takes a string"),
        ("    password: QUFB", "    password: {a: b}", "field takes a string"),
        ("    password: QUFB", "    password: '%%%'", "a sealed value is not base64"),
        ("  encryptedData:\n    password: QUFB\n    token: QkJC\n", "  encryptedData: [a]\n", "field takes a map"),
        ("  encryptedData:\n", "  data: QUFB\n  encryptedData:\n", "spec.data has the old format"),
    ],
)
def test_what_is_not_understood_is_refused(old: str, new: str, message: str):
    text = SEALED.replace(old, new)
    assert text != SEALED
    with pytest.raises(AgentError) as caught:
        sealed_secrets.secret(tree(text), namespace="shop")
    assert caught.value.message.startswith(message)
    assert caught.value.hint or message == "field takes a map"


def test_nulls_of_the_template_are_empty_texts():
    template = "template: {data: {mode: null}, metadata: {labels: {a: null}, annotations: {b: null}}}"
    secret = state({"db.yaml": MINIMAL.replace("spec: {", f"spec: {{{template}, ")}).objects[DB].tree
    assert secret["stringData"] == {"mode": ""}
    assert secret["metadata"]["labels"] == {"a": ""}
    assert secret["metadata"]["annotations"] == {"b": ""}


def test_without_a_namespace_only_what_is_sealed_for_the_whole_cluster_is_unwrapped():
    with pytest.raises(ManifestError, match="has no namespace"):
        sealed_secrets.secret(tree(MINIMAL), namespace="")
    assert sealed_secrets.secret(tree(CLUSTER_WIDE), namespace="").values


def test_what_the_template_does_not_say_is_not_in_the_secret():
    assert set(state({"db.yaml": MINIMAL}).objects[DB].tree) == {"apiVersion", "kind", "metadata", "data"}


@pytest.mark.parametrize(
    ("api_version", "kind", "expected"),
    [
        ("bitnami.com/v1alpha1", "SealedSecret", True),
        ("bitnami.com/v2", "SealedSecret", True),
        ("bitnami.com/v1alpha1", "Other", False),
        ("example.com/v1alpha1", "SealedSecret", False),
    ],
)
def test_a_sealed_secret_is_one_by_group_and_kind(api_version, kind, expected):
    assert sealed_secrets.is_sealed_secret({"apiVersion": api_version, "kind": kind}) is expected


@pytest.mark.parametrize(
    ("template", "expected"),
    [("{finalizers: [example.com/keep]}", ["example.com/keep"]), ("{finalizers: null}", None), ("{}", None)],
)
def test_finalizers_of_the_template_are_the_secrets(template, expected):
    text = MINIMAL.replace("spec: {", f"spec: {{template: {{metadata: {template}}}, ")
    metadata = state({"db.yaml": text}).objects[DB].tree["metadata"]
    assert metadata.get("finalizers") == expected
    assert ("finalizers" in metadata) == (expected is not None)


@pytest.mark.parametrize(("unsealing", "expected"), [(NARROW, {DB}), (None, set())], ids=["unsealed", "left to it"])
def test_the_secret_waits_with_a_sealed_secret_that_fails_where_it_is_made_of_it(unsealing, expected):
    plain = "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\n"
    found = state({"db.yaml": MINIMAL.replace("spec:", "spec: x\nsops:"), "plain.yaml": plain}, unsealing=unsealing)
    assert {key for key in found.held if key.kind == "Secret"} == expected
    assert {key for key in found.held if key.kind == "SealedSecret"}


def test_layers_merge_before_the_secret_is_made():
    over = """\
apiVersion: bitnami.com/v1alpha1
kind: SealedSecret
metadata: {name: db, annotations: {sealedsecrets.bitnami.com/namespace-wide: "true"}}
spec:
  encryptedData: {token: null, extra: Q0ND}
  template: {metadata: {labels: {stage: prod}}}
"""
    found = state({"base/db.yaml": SEALED}, {"prod/db.yaml": over})
    assert not found.incomplete
    secret = found.objects[DB]
    assert secret.files == ("base/db.yaml", "prod/db.yaml")
    assert secret.tree["metadata"]["labels"] == {"team": "a", "stage": "prod"}
    leaves = secret.tree["data"]
    assert set(leaves) == {"password", "extra"}
    assert {leaf.id for leaf in leaves.values()} == set(found.values)
    assert {value.scope for value in found.values.values()} == {Scope.NAMESPACE_WIDE}


def test_an_object_that_names_no_namespace_is_bound_to_the_destination():
    found = state({"db.yaml": MINIMAL})
    [value] = found.values.values()
    assert value.scope.label(value.namespace, value.name) == b"shop/db"
    assert found.objects[DB].tree["metadata"] == {"name": "db", "namespace": "shop"}


def test_another_namespace_is_refused_as_for_every_object():
    found = state({"db.yaml": MINIMAL.replace("{name: db}", "{name: db, namespace: other}")})
    assert found.objects == {}
    [problem] = found.problems
    assert problem.error.reason == "ForeignNamespace"


def test_without_the_operator_s_word_it_is_an_object_like_any_other():
    [failure] = merged({"db.yaml": MINIMAL}).failures
    assert isinstance(failure.error, UnknownKindError), "and its kind has to be served"
    crd = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: sealedsecrets.bitnami.com}
spec: {group: bitnami.com, scope: Namespaced, names: {kind: SealedSecret}, versions: [{name: v1alpha1}]}
"""
    found = state({"crd.yaml": crd, "db.yaml": MINIMAL}, unsealing=None)
    assert ObjectId("bitnami.com", "SealedSecret", "shop", "db") in found.objects
    assert found.values == {}
    assert not found.incomplete


def test_a_secret_of_the_same_name_holds_both():
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\nstringData: {a: b}\n"
    found = state({"a.yaml": secret, "b.yaml": MINIMAL, "web.yaml": WORKLOAD})
    [problem] = found.problems
    assert (problem.object, problem.error.reason) == (DB, "DuplicateObject")
    assert problem.error.facts["other"] == "a.yaml"
    assert DB not in found.objects
    assert {key.name for key in found.held} == {"db", "web"}


def test_cluster_wide_values_need_the_operator_s_word():
    held = state({"db.yaml": CLUSTER_WIDE, "web.yaml": WORKLOAD})
    assert [problem.error.reason for problem in held.problems] == ["SealedSecret"]
    assert {key.name for key in held.held} == {"db", "web"}
    assert held.values == {}
    allowed = state({"db.yaml": CLUSTER_WIDE}, unsealing=Unsealing(cluster_wide=True))
    assert not allowed.incomplete
    assert len(allowed.values) == 1


@pytest.mark.parametrize(
    ("files", "untrusted"),
    [
        ({"db.yaml": MINIMAL.replace("QUFB", "'%%'")}, ""),
        ({"db.yaml": MINIMAL}, "db.yaml"),
        ({"a.yaml": MINIMAL, "b.yaml": MINIMAL}, ""),
    ],
    ids=["malformed", "untrusted", "twice"],
)
def test_what_needs_the_secret_waits_with_it(files: dict[str, str], untrusted: str):
    found = state({**files, "web.yaml": WORKLOAD}, untrusted=untrusted)
    assert found.incomplete
    web = ObjectId("apps", "Deployment", "shop", "web")
    assert DB in found.held
    assert web in found.held


def test_a_layer_may_delete_it():
    found = state({"base/db.yaml": SEALED}, {"prod/db.yaml": MINIMAL.replace("spec:", "$patch: delete\nspec:")})
    assert found.objects == {}
    assert not found.incomplete


def test_leaves_are_sealed_until_they_are_opened():
    found = state({"db.yaml": MINIMAL})
    assert isinstance(found.objects[DB].tree["data"]["password"], Sealed)
    assert "AAA" not in repr(found)


def test_lists_hold_sealed_secrets_too():
    text = f"apiVersion: v1\nkind: List\nitems:\n- {MINIMAL.rstrip().replace(chr(10), chr(10) + '  ')}\n"
    result = layers.merge(
        parsed({"a.yaml": text}).documents,
        kinds=KINDS,
        places=Places("shop"),
        replaced=[(sealed_secrets.API_VERSION, sealed_secrets.KIND)],
    )
    assert set(sealed_secrets.replace(result.objects, Unsealing()).objects) == {DB}


def test_only_those_of_namespaces_that_are_served_are_unsealed():
    """One Application may have objects in several namespaces, and the operator unseals into some of them."""
    kinds = Kinds(
        [*KINDS.preferred(), Resource("bitnami.com", "v1alpha1", "SealedSecret", "sealedsecrets", namespaced=True)]
    )
    there = MINIMAL.replace("{name: db}", "{name: db, namespace: bank}")
    found = state({"db.yaml": MINIMAL, "there.yaml": there}, unsealing=Unsealing(namespaces=("shop",)), kinds=kinds)
    assert found.problems == ()
    assert found.objects.keys() == {DB, ObjectId("bitnami.com", "SealedSecret", "bank", "db")}
    assert {each.namespace for each in found.values.values()} == {"shop"}


def test_a_value_is_bound_to_the_namespace_that_its_secret_goes_to():
    """Moving a SealedSecret to another namespace gives another label, under which its value does not open."""
    moved = state({"db.yaml": MINIMAL}, places=Places("bank", only=True))
    (value,) = moved.values.values()
    assert value.scope.label(value.namespace, value.name) == b"bank/db"
