"""Health as real controllers bring it about."""

import pytest
from written import tree

from agent.manifests import health
from testbed.processes import wait_until

TEMPLATE = "template: {metadata: {labels: {app: a}}, spec: {containers: [{name: a, image: registry.example/a:1}]}}"
WORKLOAD = f"selector: {{matchLabels: {{app: a}}}}, {TEMPLATE}"
OBJECTS = {
    "Deployment": f"apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: a}}\nspec: {{replicas: 2, {WORKLOAD}}}",
    "StatefulSet": f"apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{name: a}}\nspec: {{serviceName: a, {WORKLOAD}}}",
    "DaemonSet": f"apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {{name: a}}\nspec: {{{WORKLOAD}}}",
    "ConfigMap": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}",
    "Service": "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 80}]}",
    "PodDisruptionBudget": "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: a}\n"
    "spec: {minAvailable: 0, selector: {matchLabels: {app: none}}}",
}
PATHS = {
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments/a",
    "StatefulSet": "/apis/apps/v1/namespaces/{}/statefulsets/a",
    "DaemonSet": "/apis/apps/v1/namespaces/{}/daemonsets/a",
    "ConfigMap": "/api/v1/namespaces/{}/configmaps/a",
    "Service": "/api/v1/namespaces/{}/services/a",
    "PodDisruptionBudget": "/apis/policy/v1/namespaces/{}/poddisruptionbudgets/a",
}


@pytest.mark.parametrize("kind", OBJECTS)
def test_what_runs_becomes_healthy(controlplane, namespace, kind):
    given = tree(OBJECTS[kind])
    given["metadata"]["namespace"] = namespace
    controlplane.apply(given)
    path = PATHS[kind].format(namespace)
    wait_until(lambda: health.compute(controlplane.get(path)).status == "Healthy", 60, f"a healthy {kind}")


def test_what_cannot_run_is_not_healthy_and_says_why(controlplane, namespace):
    given = tree(OBJECTS["Deployment"])
    given["metadata"]["namespace"] = namespace
    given["spec"]["template"]["spec"]["serviceAccountName"] = "missing"
    controlplane.apply(given)
    path = PATHS["Deployment"].format(namespace)
    wait_until(lambda: health.compute(controlplane.get(path)).status == "Degraded", 60, "a degraded Deployment")
    assert health.compute(controlplane.get(path)).message == "condition ReplicaFailure: FailedCreate"
