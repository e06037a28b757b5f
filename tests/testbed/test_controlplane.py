"""A real control plane: pods run, access is controlled, the API server goes away and comes back."""

import base64
import json
import os
from pathlib import Path

import pytest

from testbed.cluster import KubectlError
from testbed.controlplane import ControlPlane
from testbed.processes import wait_until
from testbed.requests import RequestError


def deployment(namespace: str, name: str, **labels: str) -> dict[str, object]:
    selector = {"app": name}
    template = {"metadata": {"labels": selector | labels}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}
    spec = {"replicas": 2, "selector": {"matchLabels": selector}, "template": template}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def test_a_deployment_becomes_available(controlplane: ControlPlane, namespace: str) -> None:
    controlplane.apply(deployment(namespace, "web"))
    controlplane.wait_available(namespace, "web")
    pods = controlplane.get(f"/api/v1/namespaces/{namespace}/pods")["items"]
    assert {pod["status"]["phase"] for pod in pods} == {"Running"}
    assert all(pod["status"]["podIP"] for pod in pods)


def test_a_pod_can_be_kept_from_ever_being_ready(controlplane: ControlPlane, namespace: str) -> None:
    controlplane.apply(deployment(namespace, "stuck", **{"testbed/never-ready": "true"}))
    controlplane.apply(deployment(namespace, "web"))
    controlplane.wait_available(namespace, "web")
    stuck = controlplane.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/stuck")
    assert stuck["status"]["unavailableReplicas"] == 2


def test_a_job_completes(controlplane: ControlPlane, namespace: str) -> None:
    pod = {"restartPolicy": "Never", "containers": [{"name": "once", "image": "once:1"}]}
    job = {"metadata": {"name": "once"}, "spec": {"template": {"spec": pod}}}
    path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
    controlplane.create(path, job)
    wait_until(lambda: controlplane.get(f"{path}/once")["status"].get("succeeded"), 60, "job succeeded")


def test_a_service_account_may_do_what_its_role_allows(controlplane: ControlPlane, namespace: str) -> None:
    controlplane.create_service_account(namespace, "reader")
    token = controlplane.service_account_token(namespace, "reader")
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    assert controlplane.request("GET", path, token=token)[0] == 403
    controlplane.kubectl("-n", namespace, "create", "role", "reader", "--verb=list", "--resource=configmaps")
    controlplane.kubectl(
        "-n", namespace, "create", "rolebinding", "reader", "--role=reader", f"--serviceaccount={namespace}:reader"
    )
    wait_until(lambda: controlplane.request("GET", path, token=token)[0] == 200, 10, "role in force")
    assert controlplane.request("GET", f"/api/v1/namespaces/{namespace}/secrets", token=token)[0] == 403


def test_tokens_carry_the_audience_that_was_asked_for(controlplane: ControlPlane, namespace: str) -> None:
    token = controlplane.service_account_token(namespace, "default", audiences=["vault"])
    payload = token.split(".")[1]
    assert json.loads(base64.urlsafe_b64decode(payload + "=="))["aud"] == ["vault"]
    assert controlplane.request("GET", "/api", token=token)[0] == 401


def test_a_kubeconfig_holds_one_identity(controlplane: ControlPlane, namespace: str, tmp_path: Path) -> None:
    token = controlplane.service_account_token(namespace, "default")
    config = controlplane.kubeconfig(tmp_path / "config", token, namespace=namespace)
    assert config.stat().st_mode & 0o777 == 0o600
    who = controlplane.kubectl(f"--kubeconfig={config}", "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}")
    assert who == f"system:serviceaccount:{namespace}:default"


def test_kubectl_takes_input_and_fails_with_its_own_words(controlplane: ControlPlane, namespace: str) -> None:
    manifest = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "app"}, "data": {"a": "b"}})
    controlplane.kubectl("-n", namespace, "apply", "-f", "-", input=manifest)
    assert controlplane.kubectl("-n", namespace, "get", "configmap", "app", "-o", "jsonpath={.data.a}") == "b"
    with pytest.raises(KubectlError, match="NotFound"):
        controlplane.kubectl("-n", namespace, "get", "configmap", "other")


def test_a_refused_request_raises_with_status_and_answer(controlplane: ControlPlane, namespace: str) -> None:
    with pytest.raises(RequestError) as refused:
        controlplane.get(f"/api/v1/namespaces/{namespace}/configmaps/none")
    assert (refused.value.status, refused.value.answer["reason"]) == (404, "NotFound")


def test_a_deleted_namespace_goes_with_its_pods(controlplane: ControlPlane) -> None:
    controlplane.create_namespace("short-lived")
    controlplane.apply(deployment("short-lived", "web"))
    controlplane.wait_available("short-lived", "web")
    controlplane.delete("/api/v1/namespaces/short-lived")
    path = "/api/v1/namespaces/short-lived"
    wait_until(lambda: controlplane.request("GET", path)[0] == 404, 60, "namespace gone")


def test_the_apiserver_goes_away_and_comes_back_at_the_same_address(controlplane: ControlPlane, namespace: str) -> None:
    token = controlplane.service_account_token(namespace, "default")
    with controlplane.apiserver_away(), pytest.raises(OSError):
        controlplane.get("/api")
    assert controlplane.request("GET", "/api", token=token)[0] == 200
    controlplane.apply(deployment(namespace, "web"))
    controlplane.wait_available(namespace, "web")


def test_a_paused_apiserver_accepts_and_does_not_answer(controlplane: ControlPlane) -> None:
    with controlplane.apiserver_paused():
        assert controlplane.apiserver.alive
        with pytest.raises(TimeoutError):
            controlplane.request("GET", "/api", timeout=0.5)
    assert controlplane.request("GET", "/api")[0] == 200


def test_every_process_ends_with_it() -> None:
    with ControlPlane() as own:
        running = [process.pid for process in own._supervisor.processes]
        assert len(running) == 4
    for pid in running:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert not own.folder.exists()
