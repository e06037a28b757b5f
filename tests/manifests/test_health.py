import pytest
from written import tree

from agent.manifests import health


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
    ("example.com/v1", "Database", "", "Unknown"),
    ("example.com/v1", "Database", "status: {url: canary}", "Unknown"),
    ("example.com/v1", "Database", f"status: {{{conditions('Ready=True')}}}", "Healthy"),
    ("example.com/v1", "Database", f"status: {{{conditions('Ready=False')}}}", "Progressing"),
    ("example.com/v1", "Database", f"status: {{{conditions('Ready=Unknown')}}}", "Progressing"),
    ("example.com/v1", "Database", f"status: {{{conditions('Reconciling=True', 'Ready=True')}}}", "Progressing"),
    ("example.com/v1", "Database", f"status: {{{conditions('Stalled=True', 'Ready=False')}}}", "Degraded"),
    ("example.com/v1", "Database", f"status: {{observedGeneration: 1, {conditions('Ready=True')}}}", "Progressing"),
]


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
