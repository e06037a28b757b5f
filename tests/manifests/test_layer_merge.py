import pytest
from hypothesis import given
from hypothesis import strategies as st
from written import merged, merged_one, tree

from agent.manifests import strategic
from agent.values.errors import DuplicateObjectError, ForeignNamespaceError, ManifestError, UnknownKindError
from agent.values.ids import ObjectId

DEPLOYMENT = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n"
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\n"
DATABASE = "apiVersion: example.com/v1\nkind: Database\nmetadata: {name: main}\n"


def pod(text: str) -> str:
    return DEPLOYMENT + "spec: {template: {spec: {" + text + "}}}\n"


def container(text: str) -> str:
    return pod("containers: [{name: web, " + text + "}]")


@pytest.mark.parametrize(
    ("base", "overlay", "path", "expected"),
    [
        # maps by key
        (CONFIG + "data: {a: '1', b: '2'}", CONFIG + "data: {b: '3', c: '4'}", "data", {"a": "1", "b": "3", "c": "4"}),
        (CONFIG + "data: {a: '1', b: '2'}", CONFIG + "data: {b: null}", "data", {"a": "1"}),
        (CONFIG + "data: {a: '1'}", CONFIG + "data: null", "data", None),
        (CONFIG + "data: {a: '1'}", CONFIG + "data: {$patch: replace, b: '2'}", "data", {"b": "2"}),
        (CONFIG + "data: {a: '1'}", CONFIG + "data: {$patch: delete}", "data", None),
        (CONFIG, CONFIG + "immutable: true", "immutable", True),
        # the well-known lists by their keys, in the order of the base
        (
            pod("containers: [{name: a, image: x}, {name: b, image: v}]"),
            pod("containers: [{name: c}, {name: b, image: z}]"),
            "spec.template.spec.containers",
            [{"name": "a", "image": "x"}, {"name": "b", "image": "z"}, {"name": "c"}],
        ),
        (
            pod("containers: [{name: a}, {name: b}]"),
            pod("containers: [{name: a, $patch: delete}]"),
            "spec.template.spec.containers",
            [{"name": "b"}],
        ),
        (
            pod("containers: [{name: a, image: x, tty: true}]"),
            pod("containers: [{name: a, $patch: replace, image: v}]"),
            "spec.template.spec.containers",
            [{"name": "a", "image": "v"}],
        ),
        (
            pod("containers: [{name: a}, {name: b}]"),
            pod("containers: [{$patch: replace}, {name: c}]"),
            "spec.template.spec.containers",
            [{"name": "c"}],
        ),
        (
            container("env: [{name: A, value: '1'}, {name: B, value: '2'}]"),
            container("env: [{name: B, value: '3'}, {name: C, value: '4'}]"),
            "spec.template.spec.containers.0.env",
            [{"name": "A", "value": "1"}, {"name": "B", "value": "3"}, {"name": "C", "value": "4"}],
        ),
        (
            container("env: [{name: A, value: '1'}]"),
            container("env: [{name: A, value: null, valueFrom: {secretKeyRef: {name: s, key: k}}}]"),
            "spec.template.spec.containers.0.env",
            [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
        ),
        (
            container("ports: [{containerPort: 80}, {containerPort: 80, protocol: UDP}]"),
            container("ports: [{containerPort: 80, protocol: TCP, name: http}]"),
            "spec.template.spec.containers.0.ports",
            [{"containerPort": 80, "protocol": "TCP", "name": "http"}, {"containerPort": 80, "protocol": "UDP"}],
        ),
        (
            container("volumeMounts: [{mountPath: /a, name: x}]"),
            container("volumeMounts: [{mountPath: /a, name: w}, {mountPath: /b, name: x}]"),
            "spec.template.spec.containers.0.volumeMounts",
            [{"mountPath": "/a", "name": "w"}, {"mountPath": "/b", "name": "x"}],
        ),
        (
            pod("volumes: [{name: v, emptyDir: {}}]"),
            pod("volumes: [{name: v, emptyDir: null, configMap: {name: c}}]"),
            "spec.template.spec.volumes",
            [{"name": "v", "configMap": {"name": "c"}}],
        ),
        (
            "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ports: [{port: 80}, {port: 81}]}",
            "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ports: [{port: 80, targetPort: 8080}]}",
            "spec.ports",
            [{"port": 80, "targetPort": 8080}, {"port": 81}],
        ),
        # other lists replaced
        (container("args: [a, b]"), container("args: [c]"), "spec.template.spec.containers.0.args", ["c"]),
        (
            pod("tolerations: [{key: a}]"),
            pod("tolerations: [{key: b}]"),
            "spec.template.spec.tolerations",
            [{"key": "b"}],
        ),
        (
            DATABASE + "spec: {containers: [{name: a, x: 1}]}",
            DATABASE + "spec: {containers: [{name: a, z: null}]}",
            "spec.containers",
            [{"name": "a", "z": None}],
        ),
        # one key of a Secret has one home
        (SECRET + "stringData: {k: old, l: x}", SECRET + "data: {k: bmV3}", "stringData", {"l": "x"}),
        (SECRET + "data: {k: b2xk, l: eA==}", SECRET + "stringData: {k: new}", "data", {"l": "eA=="}),
        (SECRET + "data: {k: b2xk}", SECRET + "stringData: {k: null}", "data", {}),
        (SECRET + "stringData: {k: old}", SECRET + "data: {k: null}", "stringData", {}),
        (SECRET + "stringData: {k: old}", SECRET + "data: {$patch: replace, l: eA==}", "stringData", {}),
        (SECRET + "data: {k: b2xk}", SECRET + "data: {$patch: replace}\nstringData: {k: new}", "data", {}),
        (
            SECRET + "data: {k: b2xk, l: eA==}",
            SECRET + "data: {m: eA==}\nstringData: {$patch: replace, k: new}",
            "data",
            {"m": "eA=="},
        ),
        (
            SECRET + "data: {k: b2xk}\nstringData: {n: old}",
            SECRET + "data: {$patch: merge, l: eA==}\nstringData: {k: new}",
            "data",
            {"l": "eA=="},
        ),
    ],
)
def test_later_layers_merge_onto_earlier_ones(base, overlay, path, expected):
    at = merged_one(base, overlay)
    for step in path.split("."):
        at = at[int(step)] if step.isdigit() else at.get(step)
    assert at == expected


def test_an_object_deleted_by_a_later_layer_is_gone():
    result = merged({"base/a.yaml": CONFIG}, {"prod/a.yaml": CONFIG + "$patch: delete\n"})
    assert result.objects == {}
    assert result.failures == ()


def test_a_deleted_object_may_be_declared_again_from_nothing():
    result = merged(
        {"0/a.yaml": CONFIG + "data: {a: '1'}"},
        {"1/a.yaml": CONFIG + "$patch: delete"},
        {"2/a.yaml": CONFIG + "data: {b: '2'}"},
    )
    (desired,) = result.objects.values()
    assert desired.tree["data"] == {"b": "2"}
    assert desired.files == ("0/a.yaml", "1/a.yaml", "2/a.yaml")


def test_identity_has_the_namespace_filled_in():
    result = merged({"a.yaml": CONFIG}, {"b.yaml": CONFIG.replace("name: a", "name: a, namespace: shop")})
    (object_id,) = result.objects
    assert object_id == ObjectId("", "ConfigMap", "shop", "a")
    assert result.objects[object_id].tree["metadata"]["namespace"] == "shop"


def test_cluster_scoped_objects_have_no_namespace():
    result = merged(
        {"a.yaml": "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: r, namespace: x}"}
    )
    (desired,) = result.objects.values()
    assert desired.id.namespace == ""
    assert "namespace" not in desired.tree["metadata"]


def test_one_identity_twice_in_a_layer_holds_it_and_names_both_places():
    other = CONFIG.replace("name: a", "name: b")
    result = merged({"x.yaml": CONFIG + "---\n" + other, "y.yaml": "\n" + CONFIG})
    assert [o.name for o in result.objects] == ["b"]
    (failure,) = result.failures
    assert isinstance(failure.error, DuplicateObjectError)
    assert failure.object.name == "a"
    assert failure.error.facts["file"] == "y.yaml"
    assert failure.error.facts["line"] == 2
    assert failure.error.facts["first"] == "x.yaml:1"


def test_a_foreign_namespace_is_refused_unless_granted():
    text = CONFIG.replace("name: a", "name: a, namespace: other")
    (failure,) = merged({"a.yaml": text}).failures
    assert isinstance(failure.error, ForeignNamespaceError)
    assert failure.object == ObjectId("", "ConfigMap", "other", "a")
    assert merged({"a.yaml": text}, allowed=("other",)).failures == ()


@pytest.mark.parametrize(
    ("api_version", "kind", "fact"),
    [
        ("example.org/v1", "Thing", None),
        ("apps/v1beta1", "Deployment", "apps/v1"),
        ("metrics.k8s.io/v1", "PodMetrics", None),
    ],
)
def test_a_kind_that_is_not_served_holds_its_object(api_version, kind, fact):
    result = merged({"a.yaml": f"apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: t}}", "b.yaml": CONFIG})
    assert [o.name for o in result.objects] == ["a"]
    (failure,) = result.failures
    assert isinstance(failure.error, UnknownKindError)
    assert failure.error.facts.get("served") == fact


@pytest.mark.parametrize(("scope", "namespace"), [("Namespaced", "shop"), ("Cluster", "")])
def test_a_kind_whose_definition_is_among_the_documents_is_known(scope, namespace):
    definition = f"""
    apiVersion: apiextensions.k8s.io/v1
    kind: CustomResourceDefinition
    metadata: {{name: things.example.org}}
    spec: {{group: example.org, scope: {scope}, names: {{kind: Thing, plural: things}}, versions: [{{name: v1}}]}}
    """
    result = merged({"z.yaml": definition, "a.yaml": "apiVersion: example.org/v1\nkind: Thing\nmetadata: {name: t}"})
    assert result.failures == ()
    assert ObjectId("example.org", "Thing", namespace, "t") in result.objects


def test_a_fault_in_any_layer_holds_the_object():
    result = merged({"0/a.yaml": CONFIG}, {"1/a.yaml": CONFIG + "data: {k: 'ENC[AES256_GCM,data:a'}"})
    assert result.objects == {}
    assert [failure.object.name for failure in result.failures] == ["a"]


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (pod("containers: [{image: x}]"), "spec.template.spec.containers[0]"),
        (pod("containers: [text]"), "spec.template.spec.containers[0]"),
        (pod("containers: [{name: a}, {name: a}]"), "spec.template.spec.containers[1]"),
        (CONFIG + "data: {$patch: explode}", "data.$patch"),
        (CONFIG + "data: {$retainKeys: [a]}", "data.$retainKeys"),
        (DATABASE + "spec: {users: [{name: a, $patch: delete}]}", "spec.users[0]"),
    ],
)
def test_what_cannot_be_merged_names_its_field(text, field):
    (failure,) = merged({"a.yaml": text}).failures
    assert isinstance(failure.error, ManifestError)
    assert failure.error.facts["field"] == field
    assert failure.error.facts["file"] == "a.yaml"


def test_what_only_a_server_writes_is_dropped():
    given = merged_one(
        CONFIG.replace(
            "name: a",
            "name: a, uid: x, resourceVersion: '1', creationTimestamp: null, managedFields: [], annotations: "
            "{kubectl.kubernetes.io/last-applied-configuration: '{}', b: c}",
        )
        + "status: {}\n"
    )
    assert given == tree(CONFIG.replace("name: a", "name: a, annotations: {b: c}, namespace: shop"))


KEYS = st.sampled_from(["a", "b", "c"])
CONTAINER_LISTS = st.lists(
    st.fixed_dictionaries(
        {"name": KEYS},
        optional={
            "image": KEYS,
            "env": st.lists(
                st.fixed_dictionaries({"name": KEYS}, optional={"value": KEYS}),
                max_size=3,
                unique_by=lambda e: e["name"],
            ),
        },
    ),
    max_size=3,
    unique_by=lambda c: c["name"],
)
OBJECTS = st.fixed_dictionaries(
    {},
    optional={
        "metadata": st.fixed_dictionaries({}, optional={"labels": st.dictionaries(KEYS, KEYS)}),
        "spec": st.fixed_dictionaries(
            {}, optional={"nodeSelector": st.dictionaries(KEYS, KEYS), "containers": CONTAINER_LISTS}
        ),
    },
)


def fold(*trees):
    merge = strategic.Merge("", "Pod")
    for one in trees:
        merge.add(one)
    return merge.result()


@given(OBJECTS, OBJECTS, OBJECTS)
def test_the_merge_is_associative(one, two, three):
    assert fold(fold(one, two), three) == fold(one, fold(two, three))


@given(OBJECTS, OBJECTS)
def test_a_layer_merged_twice_changes_nothing_and_its_inputs_stay(one, two):
    before = repr((one, two))
    assert fold(one, two, two) == fold(one, two)
    assert fold(one) == one
    assert repr((one, two)) == before
