"""One installation in three forms: `agent install`, deploy/kustomize and the chart give the same objects, and an API server takes them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from agent.installation import objects
from agent.installation.choices import Choices, Mode
from testbed import binaries

if TYPE_CHECKING:
    from testbed.controlplane import ControlPlane

DEPLOY = Path(__file__).parents[2] / "deploy"
Objects = dict[tuple[str, str], dict[str, Any]]


def keyed(documents: list[dict[str, Any]]) -> Objects:
    """By kind and name: none is there twice."""
    found = {(each["kind"], each["metadata"]["name"]): each for each in documents if each}
    assert len(found) == len([each for each in documents if each])
    return found


def chosen(**choices: Any) -> Objects:
    return keyed(objects.of(Choices(**choices)))


def helm(*arguments: str, values: object = None) -> subprocess.CompletedProcess[str]:
    command = [binaries.path("helm"), *arguments, *(() if values is None else ("--values", "-"))]
    return subprocess.run(command, input=json.dumps(values), capture_output=True, text=True, check=False)


def template(values: object = None, *arguments: str) -> Objects:
    result = helm("template", "any", str(DEPLOY / "chart"), "--namespace", "signet-system", *arguments, values=values)
    assert result.returncode == 0, result.stderr
    return keyed(list(yaml.safe_load_all(result.stdout)))


def without_namespace(found: Objects) -> Objects:
    """A release is stored in its namespace, so a chart cannot make it."""
    return {key: each for key, each in found.items() if key[0] != "Namespace"}


def test_install_yaml_is_what_the_command_prints_by_default():
    assert keyed(list(yaml.safe_load_all((DEPLOY / "install.yaml").read_text()))) == chosen()


@pytest.mark.parametrize(
    ("folder", "choices"),
    [
        ("base", {}),
        ("daemonset", {"mode": Mode.DAEMON_SET}),
        ("high-availability", {"available": True}),
        ("prometheus-operator", {"available": True, "monitored": True}),
        ("webhooks", {"available": True, "webhooks": True}),
    ],
)
def test_overlays_give_the_objects_of_the_command(controlplane: ControlPlane, folder: str, choices: dict[str, Any]):
    built = controlplane.kubectl("kustomize", str(DEPLOY / "kustomize" / folder))
    assert keyed(list(yaml.safe_load_all(built))) == chosen(**choices)


@pytest.mark.parametrize(
    ("values", "choices"),
    [
        ({}, {"available": True}),
        ({"mode": "DaemonSet", "priorityClass": {"create": False, "name": ""}}, {"mode": Mode.DAEMON_SET}),
        (
            {"podMonitor": {"enabled": True}, "prometheusRule": {"enabled": True}},
            {"available": True, "monitored": True},
        ),
        ({"webhooks": {"enabled": True}}, {"available": True, "webhooks": True}),
        ({"image": {"repository": "registry.example.com/a", "tag": "2"}}, {"available": True, "image": "registry.example.com/a:2"}),
    ],
)  # fmt: skip
def test_the_chart_gives_the_objects_of_the_command(values: dict[str, Any], choices: dict[str, Any]):
    found = template(values)
    definition = found["CustomResourceDefinition", "applications.signet-gitops.dev"]
    assert definition["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
    assert found == without_namespace(chosen(**choices))


def test_the_chart_follows_its_namespace():
    found = template({}, "--namespace", "elsewhere")
    del found["CustomResourceDefinition", "applications.signet-gitops.dev"]["metadata"]["annotations"]
    assert found == without_namespace(chosen(available=True, namespace="elsewhere"))


WORKLOAD = ("Deployment", "signet-agent")
POD = (*WORKLOAD, "spec", "template", "spec")
CONTAINER = (*POD, "containers", 0)
VALUES: dict[str, tuple[object, tuple[str | int, ...], object]] = {
    "image.repository": ("registry.example.com/a", (*CONTAINER, "image"), "registry.example.com/a:0.1.0"),
    "image.tag": ("2", (*CONTAINER, "image"), "signet:2"),
    "image.digest": (f"sha256:{'a' * 64}", (*CONTAINER, "image"), f"signet:0.1.0@sha256:{'a' * 64}"),
    "image.pullPolicy": ("Always", (*CONTAINER, "imagePullPolicy"), "Always"),
    "image.pullSecrets": ([{"name": "r"}], (*POD, "imagePullSecrets"), [{"name": "r"}]),
    "replicas": (3, (*WORKLOAD, "spec", "replicas"), 3),
    "mode": ("DaemonSet", ("DaemonSet", "signet-agent", "spec", "updateStrategy", "type"), "RollingUpdate"),
    "operator.secret": ("mine", (*POD, "volumes", 0, "secret", "secretName"), "mine"),
    "operator.file": (
        {"git": {"allowedHosts": ["git.example.com"]}},
        ("Secret", "signet-operator", "stringData", "operator.yaml"),
        "git:\n  allowedHosts:\n  - git.example.com\n",
    ),
    "vault.audience": (
        "bao",
        (*POD, "volumes", 3, "projected", "sources", 0, "serviceAccountToken", "audience"),
        "bao",
    ),
    "crds.install": (False, ("CustomResourceDefinition", "applications.signet-gitops.dev"), None),
    "serviceAccount.annotations": (
        {"a": "b"},
        ("ServiceAccount", "signet-agent", "metadata", "annotations"),
        {"a": "b"},
    ),
    "resources": ({"limits": {"memory": "4Gi"}}, (*CONTAINER, "resources", "limits", "memory"), "4Gi"),
    "memory.sizeLimit": ("32Mi", (*POD, "volumes", 1, "emptyDir", "sizeLimit"), "32Mi"),
    "state.sizeLimit": ("8Gi", (*POD, "volumes", 2, "emptyDir", "sizeLimit"), "8Gi"),
    "state.existingClaim": ("audit", (*POD, "volumes", 2, "persistentVolumeClaim"), {"claimName": "audit"}),
    "podAnnotations": ({"a": "b"}, (*WORKLOAD, "spec", "template", "metadata", "annotations", "a"), "b"),
    "podLabels": ({"a": "b"}, (*WORKLOAD, "spec", "template", "metadata", "labels", "a"), "b"),
    "priorityClass.create": (False, ("PriorityClass", "signet-agent"), None),
    "priorityClass.name": ("high", (*POD, "priorityClassName"), "high"),
    "priorityClass.value": (20000000, ("PriorityClass", "signet-agent", "value"), 20000000),
    "podDisruptionBudget.enabled": (False, ("PodDisruptionBudget", "signet-agent"), None),
    "podDisruptionBudget.maxUnavailable": (
        "50%",
        ("PodDisruptionBudget", "signet-agent", "spec", "maxUnavailable"),
        "50%",
    ),
    "networkPolicy.enabled": (False, ("NetworkPolicy", "signet-agent"), None),
    "networkPolicy.ingress": ([{"from": []}], ("NetworkPolicy", "signet-agent", "spec", "ingress"), [{"from": []}]),
    "webhooks.enabled": (True, ("Service", "signet-webhooks", "kind"), "Service"),
    "webhooks.ingress": ([{"from": []}], ("NetworkPolicy", "signet-webhooks", "spec", "ingress"), [{"from": []}]),
    "podMonitor.enabled": (True, ("PodMonitor", "signet-agent", "kind"), "PodMonitor"),
    "podMonitor.labels": ({"release": "p"}, ("PodMonitor", "signet-agent", "metadata", "labels", "release"), "p"),
    "prometheusRule.enabled": (True, ("PrometheusRule", "signet-agent", "kind"), "PrometheusRule"),
    "prometheusRule.labels": (
        {"release": "p"},
        ("PrometheusRule", "signet-agent", "metadata", "labels", "release"),
        "p",
    ),
    "nodeSelector": ({"a": "b"}, (*POD, "nodeSelector"), {"a": "b"}),
    "tolerations": ([{"operator": "Exists"}], (*POD, "tolerations"), [{"operator": "Exists"}]),
    "affinity": ({"nodeAffinity": {}}, (*POD, "affinity", "nodeAffinity"), {}),
    "topologySpreadConstraints": ([], (*POD, "topologySpreadConstraints"), None),
    "extraArgs": (["--log-level=debug"], (*CONTAINER, "args", -1), "--log-level=debug"),
    "extraEnv": ([{"name": "A", "value": "b"}], (*CONTAINER, "env", -1), {"name": "A", "value": "b"}),
    "extraVolumes": ([{"name": "ca", "emptyDir": {}}], (*POD, "volumes", -1), {"name": "ca", "emptyDir": {}}),
    "extraVolumeMounts": (
        [{"name": "ca", "mountPath": "/ca"}],
        (*CONTAINER, "volumeMounts", -1),
        {"name": "ca", "mountPath": "/ca"},
    ),
}
"""Value of the chart → what it is set to, where that shows, and as what."""


def at(found: Objects, path: tuple[str | int, ...]) -> object:
    """What is there; nothing where a step leads nowhere."""
    place: Any = found.get((str(path[0]), str(path[1])))
    for step in path[2:]:
        if place is None:
            return None
        place = place[step] if isinstance(step, int) else place.get(step)
    return place


def nested(name: str, value: object) -> dict[str, Any]:
    for key in reversed(name.split(".")):
        value = {key: value}
    return value  # pyright: ignore[reportReturnType]  # a name has at least one part


@pytest.mark.parametrize("name", VALUES)
def test_every_value_shows(name: str):
    value, path, expected = VALUES[name]
    group, _, key = name.partition(".")
    more = (
        {group: {"enabled": True, key: value}}
        if group in {"podMonitor", "prometheusRule", "webhooks"}
        else nested(name, value)
    )
    assert at(template({}), path) != expected
    assert at(template(more), path) == expected


def test_no_value_is_left_out():
    values = yaml.safe_load((DEPLOY / "chart/values.yaml").read_text())
    grouped = {name.partition(".")[0] for name in VALUES if "." in name}
    given = {f"{key}.{each}" if key in grouped else key for key, group in values.items() for each in (group if key in grouped else [""])}  # fmt: skip
    assert given == set(VALUES)


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"replica": 3}, "replica"),
        ({"mode": "StatefulSet"}, "mode"),
        ({"replicas": 0}, "replicas"),
        ({"operator": {"file": {"git": {"allowedHost": []}}}}, "allowedHost"),
        ({"image": {"digest": "sha256:short"}}, "digest"),
    ],
)
def test_wrong_values_are_refused(values: dict[str, Any], place: str):
    result = helm("template", "any", str(DEPLOY / "chart"), values=values)
    assert result.returncode == 1
    assert place in result.stderr


def test_the_chart_has_no_lint():
    result = helm("lint", "--strict", str(DEPLOY / "chart"))
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    "choices", [Choices(available=True, webhooks=True), Choices(mode=Mode.DAEMON_SET), Choices(mode=Mode.NONE)]
)
def test_an_api_server_takes_every_form(controlplane: ControlPlane, choices: Choices):
    found = keyed(objects.of(choices))
    if choices.mode is Mode.DEPLOYMENT:
        assert without_namespace(found).keys() == template({"webhooks": {"enabled": True}}).keys()
    documents = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(found.values())})
    applied = controlplane.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input=documents)
    assert applied.count("serverside-applied") == len(found)


def test_the_dashboard_goes_into_a_config_map_as_the_docs_say(controlplane: ControlPlane, namespace: str):
    text = (DEPLOY.parent / "docs/operations.md").read_text()
    written = [
        line for line in text.splitlines() if line.startswith("kubectl ") and "configmap signet-dashboard" in line
    ]
    for line in written:
        words = line.replace("-n monitoring", f"-n {namespace}").replace("=deploy/", f"={DEPLOY}/").split()
        _ = controlplane.kubectl(*words[1:])
    made = controlplane.get(f"/api/v1/namespaces/{namespace}/configmaps/signet-dashboard")
    assert made["metadata"]["labels"] == {"grafana_dashboard": "1"}
    assert json.loads(made["data"]["dashboard.json"])["title"] == "Signet"


@pytest.mark.parametrize(
    "arguments", [("--helm", "deploy/chart"), ("--kustomize", "deploy/kustomize/high-availability")]
)
def test_an_agent_can_deploy_an_agent(arguments: tuple[str, str]):
    command = [sys.executable, "-m", "agent.cli.main", "render", *arguments, "-n", "signet-system"]
    result = subprocess.run(command, cwd=DEPLOY.parent, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert ("Deployment", "signet-agent") in keyed(list(yaml.safe_load_all(result.stdout)))
