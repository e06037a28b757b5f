from datetime import datetime

import pytest
from written import tree

from agent.manifests import definitions, health, known_kinds


def case(api_version: str, kind: str, text: str, metadata: str = "{generation: 2}"):
    return f"apiVersion: {api_version}\nkind: {kind}\nmetadata: {metadata}\n{text}"


def conditions(*pairs: str) -> str:
    return (
        "conditions: ["
        + ", ".join(
            f"{{type: {t}, status: '{s}', reason: Why, message: canary}}" for t, s in (p.split("=") for p in pairs)
        )
        + "]"
    )


SEEN = "observedGeneration: 2"
CASES = [
    ("apps/v1", "Deployment", "spec: {replicas: 2}", "Progressing"),
    (
        "apps/v1",
        "Deployment",
        f"spec: {{replicas: 2}}\nstatus: {{{SEEN}, replicas: 2, updatedReplicas: 2, availableReplicas: 2}}",
        "Healthy",
    ),
    ("apps/v1", "Deployment", f"spec: {{replicas: 0}}\nstatus: {{{SEEN}}}", "Healthy"),
    (
        "apps/v1",
        "Deployment",
        "spec: {replicas: 2}\nstatus: {observedGeneration: 1, replicas: 2, updatedReplicas: 2, availableReplicas: 2}",
        "Progressing",
    ),
    (
        "apps/v1",
        "Deployment",
        f"spec: {{replicas: 2}}\nstatus: {{{SEEN}, replicas: 2, updatedReplicas: 1, availableReplicas: 2}}",
        "Progressing",
    ),
    (
        "apps/v1",
        "Deployment",
        f"spec: {{replicas: 2}}\nstatus: {{{SEEN}, replicas: 3, updatedReplicas: 2, availableReplicas: 2}}",
        "Progressing",
    ),
    (
        "apps/v1",
        "Deployment",
        f"spec: {{replicas: 2}}\nstatus: {{{SEEN}, replicas: 2, updatedReplicas: 2, availableReplicas: 1}}",
        "Progressing",
    ),
    ("apps/v1", "Deployment", f"status: {{{SEEN}, {conditions('Progressing=False')}}}", "Degraded"),
    ("apps/v1", "Deployment", f"status: {{{SEEN}, {conditions('ReplicaFailure=True')}}}", "Degraded"),
    (
        "apps/v1",
        "StatefulSet",
        f"spec: {{replicas: 1}}\nstatus: {{{SEEN}, readyReplicas: 1, currentRevision: a, updateRevision: a}}",
        "Healthy",
    ),
    (
        "apps/v1",
        "StatefulSet",
        f"spec: {{replicas: 1}}\nstatus: {{{SEEN}, readyReplicas: 1, currentRevision: a, updateRevision: b}}",
        "Progressing",
    ),
    ("apps/v1", "StatefulSet", f"spec: {{replicas: 2}}\nstatus: {{{SEEN}, readyReplicas: 1}}", "Progressing"),
    (
        "apps/v1",
        "StatefulSet",
        f"spec: {{replicas: 3, updateStrategy: {{rollingUpdate: {{partition: 2}}}}}}\nstatus: {{{SEEN}, readyReplicas: 3, updatedReplicas: 1}}",
        "Healthy",
    ),
    ("apps/v1", "StatefulSet", "spec: {updateStrategy: {type: OnDelete}}", "Healthy"),
    (
        "apps/v1",
        "DaemonSet",
        f"status: {{{SEEN}, desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberReady: 2, numberAvailable: 2}}",
        "Healthy",
    ),
    (
        "apps/v1",
        "DaemonSet",
        f"status: {{{SEEN}, desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberReady: 1, numberAvailable: 2}}",
        "Progressing",
    ),
    ("apps/v1", "DaemonSet", f"status: {{{SEEN}, desiredNumberScheduled: 0}}", "Healthy"),
    ("apps/v1", "ReplicaSet", f"spec: {{replicas: 1}}\nstatus: {{{SEEN}, readyReplicas: 0}}", "Progressing"),
    ("apps/v1", "ReplicaSet", f"spec: {{replicas: 1}}\nstatus: {{{SEEN}, readyReplicas: 1}}", "Healthy"),
    ("v1", "Pod", f"status: {{phase: Running, {conditions('Ready=True')}}}", "Healthy"),
    ("v1", "Pod", f"status: {{phase: Running, {conditions('Ready=False')}}}", "Progressing"),
    ("v1", "Pod", "status: {phase: Succeeded}", "Healthy"),
    ("v1", "Pod", "status: {phase: Failed, message: canary}", "Degraded"),
    (
        "v1",
        "Pod",
        "status: {phase: Running, containerStatuses: [{state: {waiting: {reason: CrashLoopBackOff, message: canary}}}]}",
        "Degraded",
    ),
    ("v1", "Pod", "", "Progressing"),
    ("batch/v1", "Job", f"status: {{{conditions('Complete=True')}}}", "Healthy"),
    ("batch/v1", "Job", f"status: {{{conditions('Failed=True')}}}", "Degraded"),
    ("batch/v1", "Job", "spec: {suspend: true}", "Healthy"),
    ("batch/v1", "Job", "spec: {completions: 3}\nstatus: {succeeded: 1}", "Progressing"),
    ("batch/v1", "CronJob", "", "Healthy"),
    ("v1", "PersistentVolumeClaim", "status: {phase: Bound}", "Healthy"),
    ("v1", "PersistentVolumeClaim", "status: {phase: Pending}", "Progressing"),
    ("v1", "PersistentVolumeClaim", "status: {phase: Lost}", "Degraded"),
    ("apps/v1", "DaemonSet", "status: {desiredNumberScheduled: 0}", "Progressing"),
    ("v1", "PersistentVolume", "status: {phase: Available}", "Healthy"),
    ("v1", "PersistentVolume", "status: {phase: Failed}", "Degraded"),
    ("v1", "Service", "spec: {type: ClusterIP}", "Healthy"),
    ("v1", "Service", "spec: {type: LoadBalancer}\nstatus: {loadBalancer: {}}", "Progressing"),
    ("v1", "Service", "spec: {type: LoadBalancer}\nstatus: {loadBalancer: {ingress: [{ip: 1.2.3.4}]}}", "Healthy"),
    ("networking.k8s.io/v1", "Ingress", "", "Healthy"),
    ("autoscaling/v2", "HorizontalPodAutoscaler", "", "Progressing"),
    (
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        f"status: {{{conditions('AbleToScale=True', 'ScalingActive=True')}}}",
        "Healthy",
    ),
    (
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        f"status: {{{conditions('AbleToScale=True', 'ScalingActive=False')}}}",
        "Degraded",
    ),
    ("policy/v1", "PodDisruptionBudget", f"status: {{{SEEN}, currentHealthy: 1, desiredHealthy: 2}}", "Progressing"),
    ("policy/v1", "PodDisruptionBudget", f"status: {{{SEEN}, currentHealthy: 2, desiredHealthy: 2}}", "Healthy"),
    (
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        f"status: {{{conditions('NamesAccepted=True', 'Established=True')}}}",
        "Healthy",
    ),
    (
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        f"status: {{{conditions('NamesAccepted=False')}}}",
        "Degraded",
    ),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "Progressing"),
    ("v1", "Namespace", "status: {phase: Active}", "Healthy"),
    ("v1", "ConfigMap", "", "Healthy"),
    ("v1", "Secret", "", "Healthy"),
    (
        "apps/v1",
        "StatefulSet",
        f"spec: {{replicas: 1}}\nstatus: {{{SEEN}, replicas: 2, readyReplicas: 2, currentRevision: a, updateRevision: a}}",
        "Progressing",
    ),
    ("apps/v1", "ReplicaSet", f"spec: {{replicas: 0}}\nstatus: {{{SEEN}, replicas: 1}}", "Progressing"),
    ("apps/v1", "ReplicaSet", f"status: {{{SEEN}, {conditions('ReplicaFailure=True')}}}", "Degraded"),
    ("apps/v1", "DaemonSet", f"status: {{{SEEN}, {conditions('Stalled=True')}}}", "Degraded"),
    ("v1", "ConfigMap", f"status: {{{conditions('Reconciling=True')}}}", "Progressing"),
    ("example.com/v1", "Database", "", "Healthy"),
    ("example.com/v1", "Database", "spec: {size: 1}", "Healthy"),
    ("example.com/v1", "Database", "status: {url: canary}", "Healthy"),
    ("example.com/v1", "Database", "status: {observedGeneration: 2}", "Healthy"),
    ("example.com/v1", "Database", "status: {observedGeneration: 1}", "Progressing"),
    ("example.com/v1", "Database", "status: {observedGeneration: 3}", "Progressing"),
    ("example.com/v1", "Database", "status: {conditions: []}", "Healthy"),
    ("example.com/v1", "Database", f"status: {{{conditions('Synced=False', 'Available=False')}}}", "Healthy"),
    ("example.com/v1", "Database", f"status: {{{conditions('Reconciling=False', 'Stalled=False')}}}", "Healthy"),
    ("example.com/v1", "Database", f"status: {{{conditions('Reconciling=True')}}}", "Progressing"),
    ("example.com/v1", "Database", f"status: {{{conditions('Reconciling=Unknown', 'Ready=True')}}}", "Healthy"),
    ("example.com/v1", "Database", f"status: {{observedGeneration: 1, {conditions('Stalled=True')}}}", "Progressing"),
    ("example.com/v1", "Database", f"status: {{{conditions('Ready=True')}}}", "Healthy"),
    ("example.com/v1", "Database", f"status: {{{conditions('Ready=False')}}}", "Progressing"),
    ("example.com/v1", "Database", f"status: {{{conditions('Ready=Unknown')}}}", "Progressing"),
    ("example.com/v1", "Database", f"status: {{{conditions('Reconciling=True', 'Ready=True')}}}", "Progressing"),
    ("example.com/v1", "Database", f"status: {{{conditions('Stalled=True', 'Ready=False')}}}", "Degraded"),
    ("example.com/v1", "Database", f"status: {{observedGeneration: 1, {conditions('Ready=True')}}}", "Progressing"),
]


NEEDS_A_CONTROLLER = {
    "APIService",
    "CustomResourceDefinition",
    "DaemonSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "Job",
    "Namespace",
    "PersistentVolumeClaim",
    "Pod",
    "PodDisruptionBudget",
    "ReplicaSet",
    "ReplicationController",
    "StatefulSet",
}
"""Built-in kinds of which nothing is known before a controller says something."""


@pytest.mark.parametrize("resource", known_kinds.BUILT_IN, ids=lambda each: f"{each.api_version} {each.kind}")
def test_without_a_status_every_other_built_in_kind_is_healthy(resource):
    found = health.compute(tree(case(resource.api_version, resource.kind, ""))).status
    by_annotation = (resource.api_version, resource.kind) == ("autoscaling/v1", "HorizontalPodAutoscaler")
    assert found == ("Progressing" if resource.kind in NEEDS_A_CONTROLLER and not by_annotation else "Healthy")


MADE, LATER = "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def managed(*entries: tuple[str, str]) -> str:
    """`spec` and `status` as they were written, each with the second."""
    written = (
        f"{{manager: m, operation: Update, time: '2026-01-01T00:00:{second}Z', fieldsType: FieldsV1, "
        f"fieldsV1: {{{', '.join(f'{name!r}: {{}}' for name in sorted({'f:metadata', f'f:{part}'}))}}}}}"
        for part, second in entries
    )
    return f"{{generation: 2, creationTimestamp: '{MADE}', managedFields: [{', '.join(written)}]}}"


def seen_by_condition(generation: int) -> str:
    return f"status: {{conditions: [{{type: Ready, status: 'True', observedGeneration: {generation}}}]}}"


READY = f"status: {{{conditions('Ready=True')}}}"
GRACE = [
    ("without a status", managed(), "", "00"),
    ("long after it was made", managed(("spec", "30")), "", "30"),
    ("ready, as the generation before was", managed(("status", "10"), ("spec", "30")), READY, "30"),
    ("ready, as a condition says of the generation before", managed(("spec", "30")), seen_by_condition(1), "30"),
    ("an empty status", managed(("spec", "30")), "status: {}", "30"),
    ("another wrote metadata since", managed(("spec", "30"), ("metadata", "40")), "", "30"),
]


@pytest.mark.parametrize(("metadata", "text", "since"), [each[1:] for each in GRACE], ids=[each[0] for each in GRACE])
def test_a_controller_that_reports_has_a_minute_to_look_at_a_new_generation(metadata, text, since):
    live = tree(case("example.com/v1", "Database", text, metadata))
    found = health.compute(live, reports=True)
    begun = at(f"2026-01-01T00:00:{since}Z")
    assert [found.at(begun + seconds).status for seconds in (0, 59.9, 60, 1e6)] == ["Progressing"] * 2 + ["Healthy"] * 2
    assert "canary" not in found.message
    assert health.compute(live).status == "Healthy", "without conditions in its schema no controller is waited for"


LOOKED_AT = [
    ("a status was written since", managed(("spec", "10"), ("status", "11")), "status: {url: canary}", "Healthy"),
    ("a status was written in the same second", managed(("spec", "10"), ("status", "10")), READY, "Healthy"),
    ("the generation was observed", managed(("spec", "10")), "status: {observedGeneration: 2}", "Healthy"),
    ("a condition is of the generation", managed(("spec", "10")), seen_by_condition(2), "Healthy"),
    ("not ready", managed(("spec", "10")), f"status: {{{conditions('Ready=False')}}}", "Progressing"),
    ("stalled", managed(("spec", "10")), f"status: {{{conditions('Stalled=True')}}}", "Degraded"),
    ("nothing tells when", "{generation: 2}", "", "Healthy"),
]


@pytest.mark.parametrize(
    ("metadata", "text", "status"), [each[1:] for each in LOOKED_AT], ids=[each[0] for each in LOOKED_AT]
)
def test_what_a_controller_looked_at_is_what_it_says(metadata, text, status):
    found = health.compute(tree(case("example.com/v1", "Database", text, metadata)), reports=True)
    assert (found.status, found.then) == (status, None)


def test_a_pod_that_no_node_takes_is_degraded_after_a_while():
    pending = "status: {phase: Pending, conditions: [{type: PodScheduled, status: 'False', reason: Unschedulable}]}"
    found = health.compute(tree(case("v1", "Pod", pending, f"{{creationTimestamp: '{MADE}'}}")))
    assert [found.at(at(MADE) + seconds).status for seconds in (0, 14.9, 15)] == ["Progressing"] * 2 + ["Degraded"]
    assert found.at(at(LATER)).message == "condition PodScheduled: Unschedulable"


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ("{properties: {status: {properties: {conditions: {type: array}}}}}", True),
        ("{properties: {status: {properties: {phase: {type: string}}}}}", False),
        ("{properties: {status: {x-kubernetes-preserve-unknown-fields: true}}}", False),
        ("{properties: {spec: {properties: {conditions: {type: array}}}}}", False),
        ("{}", False),
        ("text", False),
    ],
)
def test_a_definition_says_whether_its_objects_have_conditions(schema, expected):
    definition = tree(f"spec: {{versions: [{{name: v1beta1}}, {{name: v1, schema: {{openAPIV3Schema: {schema}}}}}]}}")
    assert definitions.has_conditions(definition, "v1") is expected
    assert not definitions.has_conditions(definition, "v1beta1")
    assert not definitions.has_conditions(definition, "v2")


@pytest.mark.parametrize(("api_version", "kind", "text", "status"), CASES)
def test_health_follows_the_rules_of_kstatus(api_version, kind, text, status):
    found = health.compute(tree(case(api_version, kind, text)))
    assert found.status == status
    assert "canary" not in found.message
    assert found.message or status == "Healthy"


def test_what_is_being_deleted_is_not_healthy():
    assert (
        health.compute(tree(case("v1", "ConfigMap", "", "{deletionTimestamp: '2026-01-01T00:00:00Z'}"))).status
        == "Progressing"
    )


@pytest.mark.parametrize(
    "status", ["text", "[]", "{conditions: text}", "{conditions: [null, 5, {type: []}]}", "{observedGeneration: x}"]
)
@pytest.mark.parametrize(("api_version", "kind"), sorted({(a, k) for a, k, _, _ in CASES}))
def test_malformed_objects_have_some_health(api_version, kind, status):
    assert health.compute(tree(case(api_version, kind, f"status: {status}\nspec: {status}"))).status in {
        "Healthy",
        "Progressing",
        "Degraded",
        "Unknown",
    }


@pytest.mark.parametrize(
    ("reason", "message"),
    [("ContainersNotReady", "condition Ready: ContainersNotReady"), ("''", "condition Ready is not True")],
)
def test_a_pod_that_is_not_ready_says_why_where_it_is_known(reason, message):
    status = f"status: {{phase: Running, conditions: [{{type: Ready, status: 'False', reason: {reason}}}]}}"
    found = health.compute(tree(case("v1", "Pod", status)))
    assert (found.status, found.message) == ("Progressing", message)


def test_a_reason_that_is_no_word_is_not_shown():
    found = health.compute(
        tree(
            case(
                "example.com/v1",
                "Database",
                "status: {conditions: [{type: Ready, status: 'False', reason: 'pass word'}]}",
            )
        )
    )
    assert "pass" not in found.message
