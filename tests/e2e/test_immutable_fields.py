"""A field that only a new object can change: found by dry run for every kind, and the object replaced only where its author says so."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from immutable_kinds import CLUSTER_WIDE, DROPPED, KINDS, PROTECTED, RBAC, REPLACE, Kind, Tree
from manifests_written import config_map, deployment

from testbed.agent import NAMESPACE, SERVICE_ACCOUNT
from testbed.cluster import account
from testbed.processes import wait_until

if TYPE_CHECKING:
    from testbed.installation import Tenant

BY_ANNOTATION = 'signet-gitops.dev/replace: "true"'


def definition(rule: str) -> Tree:
    size = {"type": "integer", "x-kubernetes-validations": [{"rule": rule, "message": "stays as it is"}]}
    spec = {"type": "object", "properties": {"size": size}}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
            "versions": [version],
        },
    }


@pytest.fixture
def powerful(tenant: Tenant) -> Tenant:
    """A tenant who may everything, in a cluster that serves Widgets, which the agent may watch."""
    control = tenant.controlplane
    control.apply(definition("self == oldSelf"))
    label = {"signet-gitops.dev/aggregate-to-agent": "true"}
    rule = {"apiGroups": ["example.com"], "resources": ["widgets"], "verbs": ["get", "list", "watch"]}
    control.apply(
        {
            "apiVersion": RBAC,
            "kind": "ClusterRole",
            "metadata": {"name": "signet-agent-widgets", "labels": label},
            "rules": [rule],
        }
    )
    control.wait_may("", account(NAMESPACE, SERVICE_ACCOUNT), rule)
    control.bind("", tenant.account, "ClusterRole", "cluster-admin", name=f"{tenant.namespace}-admin")
    return tenant


def written(tenant: Tenant, kinds: dict[str, Kind], *, after: bool, **annotations: str) -> dict[str, str]:
    files: dict[str, str] = {}
    for name, kind in kinds.items():
        metadata: Tree = {"name": f"{tenant.namespace}-x"}
        if annotations:
            metadata["annotations"] = {f"signet-gitops.dev/{word}": text for word, text in annotations.items()}
        tree = {"apiVersion": kind.path.rpartition("/")[0], "kind": name, "metadata": metadata}
        files[f"{name}.yaml"] = json.dumps({**tree, **(kind.after if after else kind.before)})
    return files


def uids(tenant: Tenant, kinds: dict[str, Kind]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, kind in kinds.items():
        version, _, plural = kind.path.rpartition("/")
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        inside = "" if name in CLUSTER_WIDE else f"/namespaces/{tenant.namespace}"
        code, answer = tenant.controlplane.request("GET", f"{root}{inside}/{plural}/{tenant.namespace}-x")
        found[name] = answer["metadata"]["uid"] if code == 200 else f"{code}"
    return found


@pytest.mark.parametrize("kinds", [KINDS, DROPPED], ids=["changed", "dropped"])
def test_immutable_fields_of_every_kind_are_found_and_their_objects_replaced_where_the_author_says_so(
    powerful: Tenant, kinds: dict[str, Kind]
):
    tenant = powerful
    tenant.deploy(written(tenant, kinds, after=False))
    before = uids(tenant, kinds)

    report = tenant.sync(written(tenant, kinds, after=True))

    failures = {each["object"].split()[0].split(".")[0]: each for each in report.failures}
    assert {name: (each["reason"], each["field"]) for name, each in failures.items()} == {
        name: ("ImmutableField", kind.field) for name, kind in kinds.items()
    }
    assert {name for name, each in failures.items() if BY_ANNOTATION not in each["hint"]} == set()
    assert uids(tenant, kinds) == before

    tenant.sync(written(tenant, kinds, after=True, replace="true"))

    # a Pod takes its time to go
    tenant.until(lambda report: report.failures == [], "everything is replaced")
    after = uids(tenant, kinds)
    assert {name for name in kinds if after[name] == before[name]} == set()
    trail = tenant.installation.agent.audit()
    replaced = {str(each["object"]).split()[0].split(".")[0] for each in trail if each.get("action") == "replace"}
    assert replaced >= set(kinds)


def test_what_holds_data_is_replaced_only_once_that_object_is_confirmed(powerful: Tenant):
    tenant = powerful
    tenant.deploy(written(tenant, PROTECTED, after=False))
    before = uids(tenant, PROTECTED)

    plain = tenant.sync(written(tenant, PROTECTED, after=True))
    asked = tenant.sync(written(tenant, PROTECTED, after=True, replace="true"))

    for report in (plain, asked):
        failures = {each["object"].split()[0].split(".")[0]: each for each in report.failures}
        assert {name: (each["reason"], each["field"]) for name, each in failures.items()} == {
            name: ("ImmutableField", kind.field) for name, kind in PROTECTED.items()
        }
        assert {name for name, each in failures.items() if BY_ANNOTATION in each["hint"]} == set()
    assert all("--confirm-prune" in each["hint"] for each in asked.failures)
    assert uids(tenant, PROTECTED) == before

    for failure in asked.failures:
        name = failure["object"].split()[0].split(".")[0]
        (confirm,) = re.findall(r"confirm ([0-9a-f]{12}-[0-9a-f]{8})", failure["message"])
        annotations = {"signet-gitops.dev/confirm-prune": confirm}
        tenant.controlplane.merge(tenant.application.path, {"metadata": {"annotations": annotations}})
        wait_until(
            lambda name=name: uids(tenant, PROTECTED)[name] not in {before[name], "404"},
            60,
            f"the {name} is replaced",
        )
    tenant.until_ready()


def test_a_service_that_keeps_its_node_port_is_replaced_for_another_address(tenant: Tenant):
    """What the live Service holds is refused to a new one, and free once it is gone."""

    def service(**spec: object) -> str:
        tree = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "annotations": REPLACE}}
        return json.dumps({**tree, "spec": {"type": "NodePort", "ports": [{"port": 80}], **spec}})

    tenant.deploy({"web.yaml": service()})
    before = tenant.get("services", "web") or {}
    node_port = before["spec"]["ports"][0]["nodePort"]
    ports = [{"port": 80, "nodePort": node_port}]

    report = tenant.sync({"web.yaml": service(ports=ports, clusterIP="10.97.113.7")})

    assert report.failures == []
    after = tenant.get("services", "web") or {}
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert (after["spec"]["clusterIP"], after["spec"]["ports"][0]["nodePort"]) == ("10.97.113.7", node_port)


def test_an_immutable_field_stops_its_own_object_alone(tenant: Tenant):
    tenant.deploy({"web.yaml": deployment("web", app="one"), "a.yaml": config_map("a", value="1")})
    report = tenant.sync({"web.yaml": deployment("web", app="two"), "a.yaml": config_map("a", value="2")})

    report.failure(object=f"Deployment.apps {tenant.namespace}/web", reason="ImmutableField")
    assert tenant.data("a") == {"value": "2"}
