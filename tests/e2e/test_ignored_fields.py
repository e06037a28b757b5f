"""Fields that others set, beside a real API server and a real autoscaler: what is left to them, and what is taken out of ours."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from manifests_written import config_map, deployment, secret

from testbed.processes import wait_until

if TYPE_CHECKING:
    from testbed.installation import Tenant

WEB = "apps/deployments", "web"
HORIZONTAL = "autoscaling/v2"


def workload(*, replicas: int | None = None, image: str = "registry.example/app:1", **spec: object) -> str:
    tree = json.loads(deployment("web"))
    tree["spec"] |= {**({} if replicas is None else {"replicas": replicas}), **spec}
    tree["spec"]["template"]["spec"]["containers"][0]["image"] = image
    return json.dumps(tree)


def container(**fields: object) -> str:
    tree = json.loads(deployment("web"))
    tree["spec"]["template"]["spec"]["containers"][0] |= fields
    return json.dumps(tree)


def autoscaler(least: int) -> str:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    spec = {"scaleTargetRef": target, "minReplicas": least, "maxReplicas": 9}
    return json.dumps(
        {"apiVersion": HORIZONTAL, "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"}, "spec": spec}
    )


def service(*ports: int) -> str:
    spec = {"selector": {"app": "web"}, "ports": [{"name": f"p{port % 10}", "port": port} for port in ports]}
    return json.dumps({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec})


def write(
    tenant: Tenant, resource: str, name: str, patch: object, by: str, kind: str = "strategic-merge-patch"
) -> None:
    """What another field manager writes, by update."""
    path = f"{tenant.path(resource, name)}?fieldManager={by}"
    _ = tenant.controlplane.checked("PATCH", path, patch, content_type=f"application/{kind}+json")


def replicas_of(tenant: Tenant) -> int:
    return (tenant.get(*WEB) or {})["spec"]["replicas"]


def scaled(tenant: Tenant, to: int) -> None:
    wait_until(lambda: replicas_of(tenant) == to or None, 90, f"scaled to {to}")


class TestOfSpecIgnore:
    def test_a_field_by_pointer_is_left_until_its_rule_goes(self, tenant: Tenant):
        rule = {"group": "apps", "kind": "Deployment", "jsonPointers": ["/spec/replicas"]}
        tenant.deploy({"web.yaml": workload(replicas=2)}, ignore=[rule])
        assert replicas_of(tenant) == 2
        write(tenant, *WEB, {"spec": {"replicas": 3}}, "kubectl-edit")

        report = tenant.sync({"web.yaml": workload(replicas=2, image="registry.example/app:2")})
        assert (report.ready, report.condition("Drifted")["status"], replicas_of(tenant)) == (True, "False", 3)
        assert tenant.sync({"web.yaml": workload(image="registry.example/app:3")}).ready
        assert replicas_of(tenant) == 3

        tenant.commit({"web.yaml": workload(replicas=1, image="registry.example/app:3")})
        tenant.configure()
        scaled(tenant, 1)

    def test_an_item_goes_whole_that_leaves_git_or_was_added_by_hand(self, tenant: Tenant):
        def containers() -> list[str]:
            return [each["name"] for each in (tenant.get(*WEB) or {})["spec"]["template"]["spec"]["containers"]]

        more = {"name": "more", "image": "registry.example/more:1"}
        both = json.loads(workload())
        both["spec"]["template"]["spec"]["containers"].append(more)
        rule = {"kind": "Deployment", "jsonPointers": ["/spec/template/spec/containers/*/image"]}
        tenant.deploy({"web.yaml": json.dumps(both)}, ignore=[rule])
        assert len(containers()) == 2

        assert tenant.sync({"web.yaml": workload()}).failures == []
        assert len(containers()) == 1

        write(tenant, *WEB, {"spec": {"template": {"spec": {"containers": [more]}}}}, "kubectl-edit")
        wait_until(lambda: len(containers()) == 1 or None, 60, "the added container is gone")

    def test_a_key_of_a_secret_is_left_and_its_value_shown_nowhere(self, tenant: Tenant):
        canary = tenant.installation.canaries
        canary["ignored-first"], canary["ignored-other"] = first, other = "s3cr3t-ignored-1", "s3cr3t-ignored-2"
        files = {"db.yaml": tenant.seal(secret("db", password=first, user="shop"))}
        tenant.deploy(files, ignore=[{"kind": "Secret", "name": "db", "jsonPointers": ["/data/password"]}])
        assert tenant.secret("db") == {"password": first, "user": "shop"}
        write(tenant, "secrets", "db", {"stringData": {"password": other}}, "rotator")

        report = tenant.sync({"db.yaml": tenant.seal(secret("db", password=first, user="shop2"))})
        assert (report.ready, report.condition("Drifted")["status"]) == (True, "False")
        assert tenant.secret("db") == {"password": other, "user": "shop2"}

    def test_what_an_ignored_manager_owns_is_left_to_it(self, tenant: Tenant):
        tenant.deploy({"a.yaml": config_map("a", mine="1", theirs="1")}, ignore=[{"managers": ["injector"]}])
        owned = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"theirs": "2"}}
        tenant.controlplane.kubectl(
            "apply",
            "--server-side",
            "--force-conflicts",
            "--field-manager=injector",
            "--namespace",
            tenant.namespace,
            "-f",
            "-",
            input=json.dumps(owned),
        )
        report = tenant.sync({"a.yaml": config_map("a", mine="2", theirs="1")})
        assert (report.ready, tenant.data("a")) == (True, {"mine": "2", "theirs": "2"})
        assert not [event for event in tenant.events() if event[0] == "Healed"]

    def test_a_rule_that_is_none_is_refused_by_the_api_server(self, tenant: Tenant):
        tenant.deploy({"a.yaml": config_map("a")})
        for rule in ({"kind": "Deployment"}, {"jsonPointers": ["/metadata/name"]}, {"jsonPointers": ["replicas"]}):
            patch = {"spec": {"ignore": [rule]}}
            code, _ = tenant.controlplane.request(
                "PATCH", tenant.application.path, patch, content_type="application/merge-patch+json"
            )
            assert code == 422, rule


class TestOfAutoscalers:
    def test_replicas_that_leave_git_beside_a_new_autoscaler_stay(self, tenant: Tenant):
        tenant.deploy({"web.yaml": workload(replicas=3)})
        assert tenant.sync({"web.yaml": workload(), "hpa.yaml": autoscaler(2)}).ready
        assert replicas_of(tenant) == 3

    def test_an_autoscaler_is_not_fought_over_replicas_in_git(self, tenant: Tenant):
        tenant.deploy({"web.yaml": workload(replicas=2)})
        report = tenant.sync({"web.yaml": workload(replicas=2), "hpa.yaml": autoscaler(4)})
        assert [each["reason"] for each in report.status["warnings"]] == ["AutoscaledReplicas"]
        scaled(tenant, 4)
        report = tenant.sync({"web.yaml": workload(replicas=2, image="registry.example/app:2")})
        assert (report.condition("Drifted")["status"], replicas_of(tenant)) == ("False", 4)
        assert not [event for event in tenant.events() if event[0] in {"Healed", "Fight"}]

    def test_an_autoscaler_that_git_does_not_know_is_not_fought(self, tenant: Tenant):
        tenant.deploy({"web.yaml": workload(replicas=2)})
        tenant.controlplane.kubectl("apply", "--namespace", tenant.namespace, "-f", "-", input=autoscaler(4))
        scaled(tenant, 4)
        report = tenant.sync({"web.yaml": workload(replicas=2, image="registry.example/app:2")})
        assert (report.ready, replicas_of(tenant)) == (True, 4)


def replace(path: str, value: object) -> list[dict[str, object]]:
    return [{"op": "replace", "path": path, "value": value}]


POD = "/spec/template/spec"
FIELD_REF = {"name": "X", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
ENTANGLED: dict[str, tuple[str, str, list[dict[str, object]], str]] = {
    "the port of a Service": (
        "services",
        service(80),
        replace("/spec/ports", [{"name": "p0", "port": 90}]),
        service(80),
    ),
    "a variable of another source": (
        WEB[0],
        container(env=[{"name": "X", "value": "1"}]),
        replace(f"{POD}/containers/0/env/0", FIELD_REF),
        container(env=[{"name": "X", "value": "2"}]),
    ),
    "the port of a container": (
        WEB[0],
        container(ports=[{"name": "http", "containerPort": 80}]),
        replace(f"{POD}/containers/0/ports", [{"name": "http", "containerPort": 81}]),
        container(ports=[{"name": "http", "containerPort": 82}]),
    ),
    "a probe of another kind": (
        WEB[0],
        container(livenessProbe={"exec": {"command": ["true"]}}),
        replace(f"{POD}/containers/0/livenessProbe", {"httpGet": {"path": "/", "port": 80}}),
        container(livenessProbe={"exec": {"command": ["false"]}}),
    ),
    "a strategy": (
        WEB[0],
        workload(strategy={"type": "Recreate"}),
        replace("/spec/strategy", {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}),
        workload(strategy={"type": "Recreate"}, image="registry.example/app:2"),
    ),
}


def has_what_git_says(tree: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict):
        return all(has_what_git_says(tree.get(name, []), value) for name, value in wanted.items())
    if isinstance(wanted, list):
        return len(tree) == len(wanted) and all(map(has_what_git_says, tree, wanted))
    return tree == wanted


class TestOfWhatIsEntangled:
    @pytest.mark.parametrize("case", ENTANGLED)
    def test_what_a_person_put_beside_ours_is_taken_out(self, tenant: Tenant, case: str):
        resource, before, edit, after = ENTANGLED[case]
        tenant.deploy({"web.yaml": before})
        write(tenant, resource, "web", edit, "kubectl-edit", "json-patch")
        report = tenant.sync({"web.yaml": after})
        assert (report.failures, report.ready) == ([], True)
        wanted = json.loads(after)["spec"]
        wait_until(lambda: has_what_git_says((tenant.get(resource, "web") or {})["spec"], wanted), 60, "as Git says")

    def test_what_another_manager_put_there_is_named(self, tenant: Tenant):
        tenant.deploy({"web.yaml": service(80)})
        write(tenant, "services", "web", replace("/spec/ports", [{"name": "p0", "port": 90}]), "mesh", "json-patch")
        failure = tenant.until_failure(reason="ObjectInvalid")
        assert failure["field"] == "spec.ports[1].name"
        assert "mesh" in str(failure)
        assert 'spec.ports[port=90,protocol="TCP"]' in str(failure)
        assert "spec.ignore" in failure["hint"]

    def test_settings_of_a_strategy_that_is_another_one_now_go_with_it(self, tenant: Tenant):
        tenant.deploy({"web.yaml": workload()})
        report = tenant.sync({"web.yaml": workload(strategy={"type": "Recreate"})})
        assert report.failures == []
        assert (tenant.get(*WEB) or {})["spec"]["strategy"] == {"type": "Recreate"}
