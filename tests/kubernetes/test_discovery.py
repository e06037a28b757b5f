"""Discovery: kinds that appear, an answer that is remembered, and a group that cannot be asked."""

from __future__ import annotations

import asyncio


def definition(group: str, kind: str) -> dict:
    plural = f"{kind.lower()}s"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Cluster",
            "names": {"kind": kind, "plural": plural},
            "versions": [version],
        },
    }


async def test_builtin_kinds_are_known_by_version_and_scope(cluster):
    kinds = await cluster.kinds()
    deployment = kinds.served("apps/v1", "Deployment")
    assert (deployment.plural, deployment.namespaced, deployment.preferred) == ("deployments", True, True)
    assert not kinds.served("v1", "Namespace").namespaced
    assert "watch" in kinds.served("v1", "Secret").verbs
    assert kinds.served("apps/v1", "Scale") is None
    assert kinds.served("apps/v1beta1", "Deployment") is None


async def test_nothing_new_is_not_sent_again_and_something_new_is_seen(connect, controlplane):
    codes = []
    async with connect(observe=lambda verb, code, _: codes.append(code)) as cluster:
        first = await cluster.kinds()
        assert codes == [200, 200]
        assert await cluster.kinds() is first
        assert codes == [200, 200]
        again = await cluster.kinds(fresh=True)
        assert (again is first) == (codes[2:] == [304, 304])
        controlplane.apply(definition("discovery.example.com", "Gadget"))
        try:
            async with asyncio.timeout(30):
                while (found := (await cluster.kinds(fresh=True)).served("discovery.example.com/v1", "Gadget")) is None:
                    pass
            assert not found.namespaced
        finally:
            controlplane.delete("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gadgets.discovery.example.com")


async def test_a_group_whose_server_is_away_is_unavailable_not_absent(cluster, controlplane):
    service = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1.dead.example.com"},
        "spec": {
            "group": "dead.example.com",
            "version": "v1",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "insecureSkipTLSVerify": True,
            "service": {"namespace": "default", "name": "none"},
        },
    }
    controlplane.apply(service)
    try:
        async with asyncio.timeout(30):
            while "dead.example.com" not in (kinds := await cluster.kinds(fresh=True)).unavailable:
                pass
        assert kinds.unavailable == {"dead.example.com"}
    finally:
        controlplane.delete("/apis/apiregistration.k8s.io/v1/apiservices/v1.dead.example.com")
