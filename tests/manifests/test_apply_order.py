import pytest
from written import tree

from agent.manifests import order
from agent.values.errors import ManifestError
from agent.values.ids import ObjectId


def of(kind: str, group: str = "", name: str = "a", wave: object = None):
    annotations = {} if wave is None else {"annotations": {"signet-gitops.dev/wave": wave}}
    return ObjectId(group, kind, "shop", name), {"kind": kind, "metadata": {"name": name, **annotations}}


def test_kinds_come_in_waves():
    objects = dict(
        [
            of("ValidatingWebhookConfiguration", "admissionregistration.k8s.io"),
            of("Deployment", "apps"),
            of("Service"),
            of("Database", "example.com"),
            of("Secret"),
            of("ConfigMap"),
            of("ServiceAccount"),
            of("RoleBinding", "rbac.authorization.k8s.io"),
            of("StorageClass", "storage.k8s.io"),
            of("Namespace"),
            of("CustomResourceDefinition", "apiextensions.k8s.io"),
        ]
    )
    assert [[object_id.kind for object_id in wave] for wave in order.waves(objects)] == [
        ["Namespace", "CustomResourceDefinition"],
        ["ServiceAccount", "RoleBinding", "StorageClass"],
        ["ConfigMap", "Secret"],
        ["Service", "Deployment", "Database"],
        ["ValidatingWebhookConfiguration"],
    ]


@pytest.mark.parametrize(
    ("given", "number"),
    [
        (of("Namespace"), 0),
        (of("Role", "rbac.authorization.k8s.io"), 10),
        (of("ConfigMap"), 20),
        (of("Deployment", "apps"), 30),
        (of("APIService", "apiregistration.k8s.io"), 40),
    ],
)
def test_waves_have_the_numbers_that_annotations_name(given, number):
    assert order.wave_of(*given) == number


def test_an_annotation_places_an_object_between():
    objects = dict(
        [of("Job", "batch", wave="25"), of("Secret"), of("Deployment", "apps"), of("Secret", name="z", wave="-5")]
    )
    assert [[(o.kind, o.name) for o in wave] for wave in order.waves(objects)] == [
        [("Secret", "z")],
        [("Secret", "a")],
        [("Job", "a")],
        [("Deployment", "a")],
    ]
    assert [order.is_explicit(one) for one in objects.values()] == [True, False, False, True]


@pytest.mark.parametrize("wave", ["x", "", "1.5", "1001", "-1001", "٣", 5, True, "1" * 50])
def test_a_wave_that_is_no_number_is_an_error(wave):
    with pytest.raises(ManifestError):
        order.wave_of(*of("Secret", wave=wave))


WORKLOAD = """
serviceAccountName: runner
imagePullSecrets: [{name: pull}]
volumes:
- {name: a, secret: {secretName: s1}}
- {name: b, configMap: {name: c1}}
- {name: c, persistentVolumeClaim: {claimName: p1}}
- {name: d, projected: {sources: [{secret: {name: s2}}, {configMap: {name: c2}}, {serviceAccountToken: {path: x}}]}}
- {name: e, emptyDir: {}}
initContainers:
- {name: i, env: [{name: A, valueFrom: {secretKeyRef: {name: s3, key: k}}}]}
containers:
- name: m
  env: [{name: B, valueFrom: {configMapKeyRef: {name: c3, key: k}}}, {name: C, value: x}]
  envFrom: [{secretRef: {name: s4, optional: true}}, {configMapRef: {name: c4}}]
"""


@pytest.mark.parametrize(
    ("api_version", "kind", "path"),
    [
        ("v1", "Pod", ["spec"]),
        ("apps/v1", "Deployment", ["spec", "template", "spec"]),
        ("apps/v1", "StatefulSet", ["spec", "template", "spec"]),
        ("apps/v1", "DaemonSet", ["spec", "template", "spec"]),
        ("batch/v1", "Job", ["spec", "template", "spec"]),
        ("batch/v1", "CronJob", ["spec", "jobTemplate", "spec", "template", "spec"]),
    ],
)
def test_workloads_depend_on_what_they_name(api_version, kind, path):
    given = tree(WORKLOAD)
    for step in reversed(path):
        given = {step: given}
    given = {"apiVersion": api_version, "kind": kind, "metadata": {"namespace": "shop"}, **given}
    assert {(o.kind, o.name) for o in order.depends_on(given)} == {
        ("ServiceAccount", "runner"),
        ("PersistentVolumeClaim", "p1"),
        *(("Secret", name) for name in ("pull", "s1", "s2", "s3", "s4")),
        *(("ConfigMap", name) for name in ("c1", "c2", "c3", "c4")),
    }
    assert {o.namespace for o in order.depends_on(given)} == {"shop"}


def test_an_ingress_depends_on_its_certificates():
    ingress = tree(
        "{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {namespace: shop}, spec: {tls: [{secretName: t}, {}]}}"
    )
    assert order.depends_on(ingress) == {ObjectId("", "Secret", "shop", "t")}


@pytest.mark.parametrize(
    "spec", ["[]", "text", "{containers: text}", "{containers: [1, {env: 5}, {env: [null]}], volumes: {a: b}}"]
)
def test_malformed_workloads_depend_on_nothing(spec):
    assert order.depends_on(tree(f"{{apiVersion: v1, kind: Pod, spec: {spec}}}")) == frozenset()


def test_a_restart_token_changes_the_pod_template_alone():
    given = tree(
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {replicas: 1, template: {metadata: {labels: {a: b}}}}}"
    )
    rolled = order.set_restart_token(given, "abc")
    assert rolled["spec"]["template"]["metadata"] == {
        "labels": {"a": "b"},
        "annotations": {"signet-gitops.dev/secrets-version": "abc"},
    }
    assert "annotations" not in given["spec"]["template"]["metadata"]
    assert order.set_restart_token(rolled, "abc") == rolled


@pytest.mark.parametrize("kind", ["Job", "CronJob", "Pod", "ConfigMap"])
def test_kinds_that_do_not_roll_stay(kind):
    given = {"apiVersion": "batch/v1" if "Job" in kind else "v1", "kind": kind, "spec": {"template": {"spec": {}}}}
    assert order.set_restart_token(given, "abc") is given
