"""What managedFields tell, as a real API server writes them."""

import json
from textwrap import dedent

import pytest
from written import shown, tree

from agent.api import names
from agent.manifests import fields, live, people
from agent.manifests.fields import Writer
from agent.manifests.people import Takeover
from testbed.processes import wait_until

SSA = "application/apply-patch+yaml"
DEPLOYMENT = dedent("""
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: web, labels: {app: web, tier: front}, finalizers: [example.com/keep]}
    spec:
      replicas: 2
      selector: {matchLabels: {app: web}}
      template:
        metadata: {labels: {app: web}}
        spec:
          securityContext: {}
          containers:
          - name: web
            image: registry.example/web:1
            ports: [{containerPort: 80}]
            resources: {requests: {cpu: 0.1}}
            env: [{name: A, value: '1'}, {name: B, value: '2'}]
            args: [one, two]
          - name: side
            image: registry.example/side:1
          volumes: [{name: scratch, emptyDir: {}}]
""")


class Cluster:
    def __init__(self, controlplane, namespace):
        self.plane, self.namespace = controlplane, namespace

    def path(self, resource: str, name: str) -> str:
        group = "apis/apps/v1" if resource == "deployments" else "api/v1"
        return f"/{group}/namespaces/{self.namespace}/{resource}/{name}"

    def _request(self, method, path, body, content_type):
        status, answer = self.plane.request(method, path, body, content_type=content_type)
        assert status < 300, answer
        return live.wrap(answer)

    def apply(self, text: str, resource="deployments", manager="signet"):
        given = text if isinstance(text, dict) else tree(text)
        path = self.path(resource, given["metadata"]["name"])
        return self._request("PATCH", f"{path}?fieldManager={manager}&force=true", given, SSA)

    def get(self, resource="deployments", name="web"):
        return live.wrap(self.plane.get(self.path(resource, name)))

    def edit(self, patch, manager="kubectl-edit", resource="deployments", name="web", subresource=""):
        path = f"{self.path(resource, name)}{subresource}?fieldManager={manager}"
        return self._request("PATCH", path, patch, "application/strategic-merge-patch+json")

    def json_patch(self, patch, resource="deployments", name="web"):
        path = f"{self.path(resource, name)}?fieldManager=signet"
        return self._request("PATCH", path, patch, "application/json-patch+json")

    def adopt(self, resource="deployments", name="web"):
        """Controllers write the status meanwhile: then the object is read again."""

        def adopted() -> bool:
            patch = adoption(self.get(resource, name))
            assert patch is not None
            path = f"{self.path(resource, name)}?fieldManager=signet"
            status, answer = self.plane.request("PATCH", path, patch, content_type="application/json-patch+json")
            assert status in {200, 409}, answer
            return status == 200

        wait_until(adopted, 10, "the adoption")


@pytest.fixture
def cluster(controlplane, namespace):
    return Cluster(controlplane, namespace)


def adoption(live):
    """The patch of a first meeting."""
    return Takeover(tree(DEPLOYMENT), names.PEOPLE, first=True).patch(live)


def owned(object_):
    return shown(fields.owned_values(object_, "signet"))


def spec(container=None, **pod):
    containers = {"containers": [{"name": "web", **container}]} if container else {}
    return {"spec": {"template": {"spec": {**containers, **pod}}}}


def test_the_owned_fields_are_the_same_in_every_answer(cluster):
    first = owned(cluster.apply(DEPLOYMENT))
    assert owned(cluster.get()) == first
    assert owned(cluster.apply(DEPLOYMENT)) == first
    container = first["f:spec"]["f:template"]["f:spec"]["f:containers"]['k:{"name":"web"}']
    assert container["f:image"] == "registry.example/web:1"
    assert container["f:args"] == ["one", "two"]
    assert container["f:resources"]["f:requests"]["f:cpu"] == "100m"


IGNORED = {
    "a foreign annotation": {"metadata": {"annotations": {"x": "y"}}},
    "a foreign label": {"metadata": {"labels": {"x": "y"}}},
    "a foreign finalizer": {"metadata": {"finalizers": ["example.com/keep", "example.com/other"]}},
    "an added environment variable": spec({"env": [{"name": "C", "value": "3"}]}),
    "an injected container": spec(containers=[{"name": "mesh", "image": "registry.example/mesh:1"}]),
    "a field inside an empty map of ours": spec(securityContext={"runAsUser": 1000}),
    "a field of an empty volume of ours": spec(volumes=[{"name": "scratch", "emptyDir": {"sizeLimit": "1Gi"}}]),
    "the same value again": {"spec": {"replicas": 2}},
}


@pytest.mark.parametrize("patch", IGNORED.values(), ids=IGNORED)
def test_what_others_add_is_no_drift(cluster, patch):
    first = owned(cluster.apply(DEPLOYMENT))
    assert owned(cluster.edit(patch)) == first
    assert owned(cluster.apply(DEPLOYMENT)) == first


SEEN = {
    "a label changed": ({"metadata": {"labels": {"tier": "x"}}}, ("metadata", "labels", "tier")),
    "a label removed": ({"metadata": {"labels": {"tier": None}}}, ("metadata", "labels", "tier")),
    "replicas": ({"spec": {"replicas": 5}}, ("spec", "replicas")),
    "an image": (spec({"image": "registry.example/web:2"}), ("spec", "template", "spec", "containers", 0, "image")),
    "an atomic list": (spec({"args": ["one", "two", "three"]}), ("spec", "template", "spec", "containers", 0, "args")),
    "an environment variable": (spec({"env": [{"name": "A", "value": "9"}]}), ("spec", "template", "spec")),
    "a container removed": (
        spec(containers=[{"name": "side", "$patch": "delete"}]),
        ("spec", "template", "spec", "containers"),
    ),
    "an order of containers": (
        {"spec": {"template": {"spec": {"$setElementOrder/containers": [{"name": "side"}, {"name": "web"}]}}}},
        ("spec",),
    ),
    "our finalizer removed": (
        {"metadata": {"$deleteFromPrimitiveList/finalizers": ["example.com/keep"]}},
        ("metadata", "finalizers"),
    ),
}


@pytest.mark.parametrize(("patch", "path"), SEEN.values(), ids=SEEN)
def test_what_others_change_is_seen_and_healed_by_an_apply(cluster, patch, path):
    first = owned(cluster.apply(DEPLOYMENT))
    edited = cluster.edit(patch)
    assert owned(edited) != first
    writer = fields.last_writer(edited, [path], besides="signet")
    assert writer is None or (writer.manager, writer.operation) == ("kubectl-edit", "Update")
    assert owned(cluster.apply(DEPLOYMENT)) == first


def test_the_writer_of_a_field_is_distinguished_from_writers_of_others(cluster):
    cluster.apply(DEPLOYMENT)
    cluster.edit({"spec": {"replicas": 5}}, manager="scaler")
    edited = cluster.edit({"metadata": {"annotations": {"x": "y"}}}, manager="annotator")
    writer = fields.last_writer(edited, [("spec", "replicas")], besides="signet")
    assert writer is not None
    assert (writer.manager, writer.operation, writer.subresource) == ("scaler", "Update", "")
    assert writer.time.startswith("20")


def test_the_scale_subresource_is_seen_with_its_writer(cluster):
    first = owned(cluster.apply(DEPLOYMENT))
    path = f"{cluster.path('deployments', 'web')}/scale?fieldManager=scaler"
    cluster.plane.request("PATCH", path, {"spec": {"replicas": 7}}, content_type="application/merge-patch+json")
    edited = cluster.get()
    assert owned(edited) != first
    writer = fields.last_writer(edited, [("spec", "replicas")], besides="signet")
    assert writer is not None
    assert (writer.manager, writer.subresource) == ("scaler", "scale")


def test_wiped_managed_fields_are_seen_and_adopted(cluster):
    first = owned(cluster.apply(DEPLOYMENT))
    wiped = cluster.json_patch([{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}])
    assert owned(wiped) == {}
    again = cluster.apply(DEPLOYMENT)
    assert owned(again) == first
    cluster.adopt()
    adopted = cluster.apply(DEPLOYMENT)
    assert owned(adopted) == first
    assert "before-first-apply" not in {entry["manager"] for entry in fields.entries(adopted)}
    assert adoption(adopted) is None


@pytest.mark.parametrize("flags", [[], ["--server-side"]], ids=["client-side", "server-side"])
def test_after_adoption_a_field_deleted_in_git_is_deleted_in_the_cluster(cluster, flags):
    cluster.plane.kubectl("apply", "-n", cluster.namespace, *flags, "-f", "-", input=DEPLOYMENT)
    cluster.adopt()
    without = DEPLOYMENT.replace(", tier: front", "").replace(", {name: B, value: '2'}", "")
    applied = cluster.apply(without)
    assert applied["metadata"]["labels"] == {"app": "web"}
    assert [env["name"] for env in applied["spec"]["template"]["spec"]["containers"][0]["env"]] == ["A"]
    assert "annotations" not in applied["metadata"] or not any(
        "kubectl" in a for a in applied["metadata"]["annotations"]
    )
    assert adoption(applied) is None


@pytest.mark.parametrize("flags", [[], ["--server-side"]], ids=["client-side", "server-side"])
def test_after_adoption_a_key_dropped_from_a_secret_is_deleted(cluster, flags):
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "stringData": {"a": "x", "b": "x"}}
    cluster.plane.kubectl("apply", "-n", cluster.namespace, *flags, "-f", "-", input=json.dumps(secret))
    cluster.adopt("secrets", "db")
    applied = cluster.apply({**secret, "stringData": None, "data": {"a": "eA=="}}, "secrets")
    assert list(applied["data"]) == ["a"]


def test_adoption_onto_an_object_that_changed_is_a_conflict(cluster):
    cluster.plane.kubectl("apply", "-n", cluster.namespace, "-f", "-", input=DEPLOYMENT)
    patch = adoption(cluster.get())
    cluster.edit({"spec": {"replicas": 4}})
    path = f"{cluster.path('deployments', 'web')}?fieldManager=signet"
    status, _ = cluster.plane.request("PATCH", path, patch, content_type="application/json-patch+json")
    assert status == 409


def test_what_people_own_by_another_version_of_a_kind_is_taken_over_too(controlplane, namespace):
    """An autoscaler that is applied as v2 and edited as v1: paths that both have are the same."""
    wanted = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}},
    }
    path, old = (
        f"/apis/autoscaling/{version}/namespaces/{namespace}/horizontalpodautoscalers/web" for version in ("v2", "v1")
    )

    def patch(to, change, content_type, by="signet"):
        query = f"{to}?fieldManager={by}" + ("&force=true" if content_type == SSA else "")
        status, answer = controlplane.request("PATCH", query, change, content_type=content_type)
        assert status < 300, answer
        return answer

    patch(path, wanted, SSA)
    added = {"metadata": {"labels": {"x": "y"}}, "spec": {"minReplicas": 2, "targetCPUUtilizationPercentage": 50}}
    patch(old, added, "application/merge-patch+json", "kubectl-edit")

    def taken() -> bool:
        change = Takeover(wanted, names.PEOPLE).patch(controlplane.get(path))
        status, answer = controlplane.request(
            "PATCH", f"{path}?fieldManager=signet", change, content_type="application/json-patch+json"
        )
        assert status in {200, 409}, answer
        return status == 200

    wait_until(taken, 10, "the takeover")
    applied = patch(path, wanted, SSA)
    assert "labels" not in applied["metadata"]
    assert applied["spec"]["minReplicas"] == 1
    assert people.beside(controlplane.get(path), names.PEOPLE).additions == ()


def test_an_object_without_another_manager_needs_no_adoption(cluster):
    assert adoption(cluster.apply(DEPLOYMENT)) is None


def test_a_secret_is_projected_sealed_and_its_edits_are_seen(cluster):
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "data": {"k": "Y2FuYXJ5", "l": "eA=="}}
    applied = cluster.apply(secret, "secrets")
    first = fields.owned_values(applied, "signet")
    assert "Y2FuYXJ5" not in repr(first)
    edited = cluster.edit({"data": {"k": "b3RoZXI="}}, resource="secrets", name="db")
    assert fields.owned_values(edited, "signet") != first
    assert fields.owned_values(cluster.apply(secret, "secrets"), "signet") == first
    dropped = cluster.apply({**secret, "data": {"l": "eA=="}}, "secrets")
    assert list(dropped["data"]) == ["l"]


def test_an_object_sealed_whole_projects_to_the_same(cluster):
    applied = cluster.apply(DEPLOYMENT)
    sealed = live.wrap(applied, whole=True)
    assert owned(sealed) == owned(applied)
    assert "registry.example" not in repr(fields.owned_values(sealed, "signet"))


def test_the_writer_of_a_list_item_is_found_by_its_index_sealed_or_not(cluster):
    cluster.apply(DEPLOYMENT)
    cluster.edit(spec({"env": [{"name": "B", "value": "9"}]}), manager="editor")
    edited = cluster.edit({"metadata": {"annotations": {"x": "y"}}}, manager="annotator")
    for shape in (edited, live.wrap(edited, whole=True)):
        writer = fields.last_writer(
            shape, [("spec", "template", "spec", "containers", 0, "env", 1, "value")], besides="signet"
        )
        assert writer is not None
        assert writer.manager == "editor"


@pytest.mark.parametrize(
    "managed",
    [
        None,
        "text",
        [None, 5, {}],
        [
            {
                "manager": "signet",
                "operation": "Apply",
                "fieldsV1": {"f:spec": 5, "x": {}, "k:{": {}, "v:": {}, "i:9": {}},
            }
        ],
        [{"manager": "kubectl", "operation": "Update", "fieldsV1": None, "time": 5}],
    ],
)
def test_malformed_managed_fields_own_nothing(managed):
    given = {"metadata": {"managedFields": managed}, "spec": [1]}
    assert fields.owned_values(given, "signet") == {}
    assert fields.last_writer(given, [("spec",)], besides="signet") in (None, Writer("kubectl", "Update", "", ""))
    assert json.dumps(adoption(given))
