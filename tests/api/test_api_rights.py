"""The roles and the network policy of deploy/ on a real API server: what the agent and a tenant may do by them, and who may connect."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.api import names
from agent.installation import objects
from testbed.processes import wait_until

if TYPE_CHECKING:
    from testbed.controlplane import ControlPlane

ROOT = Path(__file__).resolve().parents[2]


def may(
    controlplane: ControlPlane, token: str, verb: str, resource: str, *, namespace="", name="", group="", sub=""
) -> bool:
    attributes = {
        "verb": verb,
        "resource": resource,
        "namespace": namespace,
        "name": name,
        "group": group,
        "subresource": sub,
    }
    status, answer = controlplane.request(
        "POST",
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        },
        token=token,
    )
    assert status == 201
    return answer["status"]["allowed"]


AGENT_MAY = [
    ("get", "secrets", {"namespace": "shop"}, True),
    ("watch", "deployments", {"group": "apps"}, True),
    ("list", "customresourcedefinitions", {"group": "apiextensions.k8s.io"}, True),
    ("patch", "applications", {"group": names.GROUP, "namespace": "shop", "sub": "status"}, True),
    ("create", "events", {"group": "events.k8s.io", "namespace": "shop"}, True),
    ("impersonate", "serviceaccounts", {"namespace": "shop", "name": "signet-applier"}, True),
    ("create", "secrets", {"namespace": "signet-system"}, True),
    ("patch", "configmaps", {"namespace": "signet-system"}, True),
    ("update", "leases", {"group": "coordination.k8s.io", "namespace": "signet-system"}, True),
    ("impersonate", "serviceaccounts", {"namespace": "kube-system", "name": "default"}, False),
    ("impersonate", "users", {"name": "admin"}, False),
    ("impersonate", "groups", {"name": "system:masters"}, False),
    ("create", "applications", {"group": names.GROUP, "namespace": "shop"}, False),
    ("patch", "deployments", {"group": "apps", "namespace": "shop"}, False),
    ("create", "secrets", {"namespace": "shop"}, False),
    ("delete", "configmaps", {"namespace": "shop"}, False),
    ("create", "pods", {"namespace": "signet-system", "sub": "exec"}, False),
    ("create", "serviceaccounts", {"namespace": "signet-system", "sub": "token"}, False),
    ("create", "clusterrolebindings", {"group": "rbac.authorization.k8s.io"}, False),
    ("list", "ingresses", {"group": "networking.k8s.io"}, True),
    ("watch", "clusterroles", {"group": "rbac.authorization.k8s.io"}, True),
    *(
        (verb, resource, {"namespace": place, "sub": sub}, False)
        for verb in ("get", "create")
        for resource, sub in (
            ("pods", "exec"),
            ("pods", "attach"),
            ("pods", "portforward"),
            ("pods", "proxy"),
            ("pods", "log"),
            ("pods", "ephemeralcontainers"),
            ("services", "proxy"),
            ("serviceaccounts", "token"),
        )
        for place in ("shop", "kube-system", "signet-system")
    ),
    *(("get", "nodes", {"sub": sub}, False) for sub in ("proxy", "log", "metrics", "stats", "configz", "pods")),
    ("create", "nodes", {"sub": "proxy"}, False),
    ("list", "widgets", {"group": "example.com"}, False),
    ("get", "virtualmachineinstances", {"group": "subresources.kubevirt.io", "namespace": "shop", "sub": "vnc"}, False),
    ("get", "pods", {"group": "metrics.k8s.io", "namespace": "shop"}, False),
]


@pytest.mark.parametrize(("verb", "resource", "where", "allowed"), AGENT_MAY)
def test_agent_may_do_what_it_needs_and_no_more(installed: ControlPlane, verb, resource, where, allowed):
    token = installed.service_account_token("signet-system", "signet-agent")
    assert may(installed, token, verb, resource, **where) is allowed


READS = {"get", "list", "watch"}
VERBS = (*sorted(READS), "create", "update", "patch", "delete", "deletecollection")
VIRTUAL = [
    *(("impersonate", resource, "") for resource in ("users", "groups", "serviceaccounts")),
    *(("impersonate", f"{resource}", "authentication.k8s.io") for resource in ("uids", "userextras")),
    *((verb, kind, "rbac.authorization.k8s.io") for verb in ("escalate", "bind") for kind in ("roles", "clusterroles")),
    *((verb, "signers", "certificates.k8s.io") for verb in ("approve", "sign", "attest")),
    ("request-serviceaccounts-token-audience", "https://kubernetes.default.svc", ""),
    ("use", "podsecuritypolicies", "policy"),
    ("*", "*", "*"),
]
"""Verbs that no resource of discovery names, and what they are about."""


@pytest.fixture(scope="module")
def served(installed: ControlPlane) -> list[tuple[str, str, str]]:
    """Group, resource and subresource of all that the API server serves."""
    groups = [("", "/api/v1")]
    for group in installed.get("/apis")["groups"]:
        groups += [(group["name"], f"/apis/{each['groupVersion']}") for each in group["versions"]]
    found = {
        (group, *each["name"].partition("/")[::2])
        for group, path in groups
        for each in installed.get(path)["resources"]
    }
    assert {("", "nodes", "proxy"), ("", "pods", "ephemeralcontainers"), ("", "serviceaccounts", "token")} <= found
    return sorted(each for each in found if not each[1].startswith("selfsubject"))  # what anyone may ask about itself


def test_agent_may_read_objects_and_change_none_of_anything_that_is_served(
    installed: ControlPlane, served: list[tuple[str, str, str]]
) -> None:
    token = installed.service_account_token("signet-system", "signet-agent")
    writes: set[tuple[str, str, str, str]] = set()
    for group, resource, sub in served:
        for verb in VERBS:
            allowed = may(installed, token, verb, resource, group=group, sub=sub, namespace="shop")
            if allowed and verb not in READS:
                writes.add((verb, group, resource, sub))
            assert not (allowed and group == "" and sub), (verb, resource, sub)
    assert writes == {
        *((verb, names.GROUP, "applications", sub) for verb in ("update", "patch") for sub in ("", "status")),
        *((verb, "events.k8s.io", "events", "") for verb in ("create", "patch")),
    }


def test_applier_reads_and_writes_objects_of_tenants_and_nothing_below_them(
    installed: ControlPlane, served: list[tuple[str, str, str]]
) -> None:
    token = installed.service_account_token("shop", "signet-applier")
    found: set[str] = set()
    for group, resource, sub in served:
        for verb in VERBS:
            if may(installed, token, verb, resource, group=group, sub=sub, namespace="shop"):
                assert not sub, (verb, group, resource, sub)
                found.add(f"{resource}.{group}".rstrip("."))
    assert found == {
        *("configmaps", "persistentvolumeclaims", "pods", "podtemplates", "replicationcontrollers"),
        *("secrets", "serviceaccounts", "services", "cronjobs.batch", "jobs.batch"),
        *(f"{each}.apps" for each in ("daemonsets", "deployments", "replicasets", "statefulsets")),
        *("horizontalpodautoscalers.autoscaling", "poddisruptionbudgets.policy"),
        *(f"{each}.networking.k8s.io" for each in ("ingresses", "networkpolicies")),
        *(f"{each}.rbac.authorization.k8s.io" for each in ("roles", "rolebindings")),
    }
    for group, resource, sub in served:
        for verb in ("get", "create", "patch"):
            assert not may(installed, token, verb, resource, group=group, sub=sub, namespace="kube-system")


@pytest.mark.parametrize("account", ["signet-system/signet-agent", "shop/signet-applier"])
@pytest.mark.parametrize("namespace", ["", "shop", "kube-system"])
def test_none_of_them_impersonates_escalates_signs_or_does_everything(
    installed: ControlPlane, account: str, namespace: str
) -> None:
    token = installed.service_account_token(*account.split("/"))
    for verb, resource, group in VIRTUAL:
        assert not may(installed, token, verb, resource, group=group, namespace=namespace), (verb, resource)


def test_what_an_installation_adds_is_a_cluster_role_with_a_label(installed: ControlPlane):
    token = installed.service_account_token("signet-system", "signet-agent")
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "widgets", "labels": {"signet-gitops.dev/aggregate-to-agent": "true"}},
        "rules": [{"apiGroups": ["added.example.com"], "resources": ["widgets"], "verbs": ["get", "list", "watch"]}],
    }
    place = {"group": "added.example.com"}
    assert not may(installed, token, "watch", "widgets", **place)
    installed.apply(role)
    wait_until(lambda: may(installed, token, "watch", "widgets", **place), 30, "the rule is aggregated")
    assert not may(installed, token, "patch", "widgets", **place)
    for document in objects.read("rbac.yaml"):
        installed.apply(document)  # an upgrade leaves it
    assert may(installed, token, "watch", "widgets", **place)


@pytest.mark.parametrize(
    ("verb", "resource", "where", "allowed"),
    [
        ("patch", "deployments", {"group": "apps", "namespace": "shop"}, True),
        ("create", "secrets", {"namespace": "shop"}, True),
        ("delete", "services", {"namespace": "shop"}, True),
        ("patch", "deployments", {"group": "apps", "namespace": "default"}, False),
        ("get", "secrets", {"namespace": "signet-system"}, False),
        ("create", "pods", {"namespace": "shop", "sub": "exec"}, False),
        ("impersonate", "serviceaccounts", {"namespace": "shop", "name": "default"}, False),
        ("create", "serviceaccounts", {"namespace": "shop", "sub": "token"}, False),
        ("create", "namespaces", {}, False),
        *(
            (verb, resource, {"group": group, "namespace": "shop"}, False)
            for verb in ("create", "update", "patch", "delete")
            for group, resource in (("", "endpoints"), ("discovery.k8s.io", "endpointslices"))
        ),
    ],
)
def test_applier_keeps_to_its_namespace(installed: ControlPlane, verb, resource, where, allowed):
    token = installed.service_account_token("shop", "signet-applier")
    assert may(installed, token, verb, resource, **where) is allowed


def test_only_who_scrapes_metrics_may_connect_to_the_agent(installed: ControlPlane):
    policies = "/apis/networking.k8s.io/v1/namespaces/signet-system/networkpolicies/signet-agent"
    spec = installed.get(policies)["spec"]
    pod = installed.get("/apis/apps/v1/namespaces/signet-system/deployments/signet-agent")["spec"]["template"]
    assert spec["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    assert spec["policyTypes"] == ["Ingress"]
    (rule,) = spec["ingress"]
    assert [set(peer) for peer in rule["from"]] == [{"namespaceSelector"}]
    assert [port["port"] for port in rule["ports"]] == [pod["spec"]["containers"][0]["ports"][0]["name"]]


def test_agent_writes_as_the_applier_and_not_as_itself(installed: ControlPlane, tmp_path: Path):
    token = installed.service_account_token("signet-system", "signet-agent")
    config = installed.kubeconfig(tmp_path / "agent.kubeconfig", token=token)
    configmap = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: applied, namespace: shop}\ndata: {key: value}\n"
    arguments = (f"--kubeconfig={config}", "apply", "--server-side", "--field-manager=signet", "-f", "-")
    acting_as = "--as=system:serviceaccount:{}:signet-applier"
    for refused in ((), (acting_as.format("default"),), ("--as=system:serviceaccount:shop:default",), ("--as=admin",)):
        assert "applied" not in installed.kubectl(*arguments, *refused, input=configmap, check=False)
    assert "serverside-applied" in installed.kubectl(*arguments, acting_as.format("shop"), input=configmap)
