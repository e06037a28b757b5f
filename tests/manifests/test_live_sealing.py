import pytest
from written import shown, tree

from agent.manifests import health, live
from agent.values.secret import Secret
from agent.values.tree import secrets

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def test_data_of_a_secret_is_sealed_under_labels_of_its_place():
    given = tree("""
        apiVersion: v1
        kind: Secret
        metadata: {name: db, namespace: shop, labels: {a: b}}
        type: Opaque
        data: {password: aHVudGVyMg==, tls.crt: eA==}
    """)
    wrapped = live.wrap(given)
    assert [secret.label for _, secret in secrets(wrapped)] == [
        "live:v1/Secret/shop/db#data.password",
        'live:v1/Secret/shop/db#data["tls.crt"]',
    ]
    assert wrapped["type"] == "Opaque"
    assert wrapped["metadata"] == given["metadata"]
    assert shown(wrapped) == given
    assert live.wrap(wrapped) == wrapped


def test_the_copy_that_kubectl_keeps_is_sealed_on_any_kind():
    given = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a", "annotations": {LAST_APPLIED: "{}", "b": "c"}},
    }
    annotations = live.wrap(given)["metadata"]["annotations"]
    assert isinstance(annotations[LAST_APPLIED], Secret)
    assert annotations["b"] == "c"
    assert given["metadata"]["annotations"][LAST_APPLIED] == "{}"


def test_other_objects_are_passed_as_they_are():
    given = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "v"}}
    assert live.wrap(given) is given


DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop, generation: 2}
spec: {replicas: 2, template: {spec: {containers: [{name: a, env: [{name: A, value: canary}]}]}}}
status:
  observedGeneration: 2
  replicas: 2
  updatedReplicas: 2
  availableReplicas: 1
  conditions: [{type: Available, status: 'False', reason: MinimumReplicasUnavailable, message: canary}]
"""


def test_a_whole_object_is_sealed_except_for_what_health_is_judged_by():
    wrapped = live.wrap(tree(DEPLOYMENT), whole=True)
    assert "canary" not in repr(wrapped)
    assert "MinimumReplicasUnavailable" in repr(wrapped)
    assert health.compute(wrapped) == health.compute(tree(DEPLOYMENT))
    assert shown(wrapped) == tree(DEPLOYMENT)


def test_of_a_custom_resource_only_condition_types_stay_clear():
    wrapped = live.wrap(
        tree("""
            apiVersion: example.com/v1
            kind: Database
            metadata: {name: a, generation: 1}
            spec: {pin: 1234, enabled: true}
            status: {observedGeneration: 1, phase: canary, pin: 1234, conditions: [{type: Ready, status: 'True', reason: canary}]}
        """),
        whole=True,
    )
    assert "canary" not in repr(wrapped)
    assert "1234" not in repr(wrapped)
    assert "True" not in repr(wrapped["spec"])
    assert health.compute(wrapped).status == "Healthy"


@pytest.mark.parametrize(("observed", "status"), [(1, "Progressing"), (2, "Healthy")])
def test_which_generation_a_controller_has_seen_stays_clear(observed, status):
    conditions = [{"type": "Ready", "status": "True"}]
    given = {"apiVersion": "example.com/v1", "kind": "Database", "metadata": {"name": "a", "generation": 2}}
    wrapped = live.wrap({**given, "status": {"observedGeneration": observed, "conditions": conditions}}, whole=True)
    assert health.compute(wrapped).status == status


@pytest.mark.parametrize(
    "given", [{}, {"kind": "Secret", "apiVersion": "v1", "data": None}, {"metadata": {"annotations": None}}]
)
def test_odd_objects_are_taken(given):
    assert shown(live.wrap(given)) == given
    assert shown(live.wrap(given, whole=True)) == given
