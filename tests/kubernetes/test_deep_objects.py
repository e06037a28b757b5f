"""Objects that are nested as deep as the API server takes them: a tenant makes one, and the others are still served."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import cost
import pytest

from agent.adapters.kubernetes import wire
from agent.adapters.kubernetes.resources import APPLICATION
from agent.api import names
from agent.manifests import people
from agent.manifests.field_trees import DEEPEST
from agent.manifests.kinds import Resource
from agent.values.errors import ClusterUnavailableError
from agent.values.tree import get, get_text, walk
from testbed import agent as agents

if TYPE_CHECKING:
    from agent.adapters.kubernetes.cluster import Cluster
    from testbed.controlplane import ControlPlane


def nested(levels: int, leaf: str = '"]{"') -> str:
    return '{"a":' * levels + leaf + "}" * levels


@pytest.mark.parametrize("levels", [1, 500, 1023, 1024, 5_000, 100_000])
def test_what_is_deep_is_cut_and_the_rest_is_read(levels: int):
    body = f'{{"before": [1, "\\\\\\"{{"], "deep": {nested(levels)}, "after": "[["}}'.encode()
    found = wire.decode(body)
    assert (found["before"], found["after"]) == ([1, '\\"{'], "[[")
    (leaf,) = [leaf for path, leaf in walk(found["deep"])]
    assert leaf == ('"]{"'.strip('"') if levels < 1024 else None)


@pytest.mark.parametrize("body", [b"", b"[", b"null", b"<html>", b"[" * 2_000, b'{"a": "' + b"[" * 2_000])
def test_what_is_no_object_is_an_error(body: bytes):
    with pytest.raises(ClusterUnavailableError):
        wire.decode(body)


async def test_an_application_of_thousands_of_levels_hides_no_other(cluster: Cluster, controlplane: ControlPlane):
    agents.install(controlplane)
    agents.tenant(controlplane, "deep")
    source = {"url": "https://git.example.com/deep.git", "revision": {"branch": "main"}}
    agents.Deployed(controlplane, "deep", "shallow").apply({"source": source})
    values = json.loads('{"a": 1}')
    chart = {"chart": {"path": "chart"}, "values": values}
    body = json.dumps(
        {
            "apiVersion": "signet-gitops.dev/v1alpha1",
            "kind": "Application",
            "metadata": {"name": "deep", "namespace": "deep"},
            "spec": {"source": source, "render": {"helm": chart}},
        }
    ).replace('{"a": 1}', nested(5_000))
    controlplane.kubectl("create", "--validate=false", "-f", "-", input=body)
    try:
        found = {get_text(each, "metadata", "name"): each for each in await cluster.list(APPLICATION, namespace="deep")}
    finally:
        controlplane.kubectl("delete", "sgapp", "deep", "-n", "deep")  # what else reads all objects need not bear it
    assert set(found) == {"shallow", "deep"}
    assert get(found["deep"], "spec", "source", "url") == source["url"]


async def test_deep_fields_that_a_manager_says_it_owns_are_looked_at_in_seconds(
    cluster: Cluster, controlplane: ControlPlane
):
    fields = ",".join(f'"f:{number:x}":{{}}' for number in range(60_000))
    entry = {"manager": "kubectl-edit", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1"}
    metadata = {"name": "deep", "namespace": "default", "managedFields": [{**entry, "fieldsV1": {"f:data": 0}}]}
    body = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    deep = nested(900, f"{{{fields}}}").replace('"a"', '"f:a"')
    controlplane.kubectl("create", "-f", "-", input=body.replace("0}", f"{deep}}}"))
    found = await cluster.get(Resource("", "v1", "ConfigMap", "configmaps", namespaced=True), "default", "deep")
    assert found is not None
    with cost.at_most(seconds=4):
        beside = people.beside(found, names.PEOPLE)
    assert [len(each.at) for each in beside.additions] == [DEEPEST]
