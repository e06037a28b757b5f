"""Requests are made as the Application's ServiceAccount: what it may not do, the agent may not do for it."""

from __future__ import annotations

import pytest

from agent.adapters.kubernetes.resources import CONFIG_MAP
from agent.engine.ports import Identity
from agent.values.errors import ForbiddenError, ObjectInvalidError
from testbed.cluster import account, group


def grant(controlplane, namespace: str, name: str, verbs: list[str], resources: list[str]) -> None:
    controlplane.grant(namespace, account(namespace, name), {"apiGroups": [""], "resources": resources, "verbs": verbs})


def body(namespace: str) -> dict:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": namespace}}


async def test_the_service_accounts_roles_decide(cluster, controlplane, namespace):
    identity = Identity(namespace, "signet-applier")
    controlplane.create_service_account(namespace, "signet-applier")
    with pytest.raises(ForbiddenError) as caught:
        await cluster.apply(CONFIG_MAP, body(namespace), identity=identity)
    assert caught.value.facts["identity"] == f"system:serviceaccount:{namespace}:signet-applier"
    assert "bind a role" in caught.value.hint
    grant(controlplane, namespace, "signet-applier", ["create", "patch", "get"], ["configmaps"])
    await cluster.apply(CONFIG_MAP, body(namespace), identity=identity)
    assert await cluster.get(CONFIG_MAP, namespace, "a", identity=identity) is not None
    with pytest.raises(ForbiddenError):
        await cluster.delete(CONFIG_MAP, namespace, "a", uid="", resource_version="", identity=identity)
    with pytest.raises(ForbiddenError):
        await cluster.apply(CONFIG_MAP, body("default"), identity=identity)


async def test_a_namespace_that_is_no_tenant_yet_lacks_the_service_account_and_no_role(
    connect, controlplane, namespace
):
    identity = Identity(namespace, "signet-applier")
    async with connect() as cluster:
        attempts = (
            cluster.apply(CONFIG_MAP, body(namespace), identity=identity),
            cluster.get(CONFIG_MAP, namespace, "a", identity=identity),
            cluster.delete(CONFIG_MAP, namespace, "a", uid="", resource_version="", identity=identity),
        )
        for attempt in attempts:
            with pytest.raises(ForbiddenError) as caught:
                await attempt
            assert caught.value.message == "the ServiceAccount that the Application acts as does not exist"
            assert caught.value.facts["identity"] == f"system:serviceaccount:{namespace}:signet-applier"
            assert "deploy/tenant.yaml" in caught.value.hint
        with pytest.raises(ForbiddenError) as caught:
            await cluster.apply(CONFIG_MAP, body("no-such-namespace"), identity=Identity("no-such-namespace", "a"))
        assert "does not exist" in caught.value.message
    controlplane.create_service_account(namespace, "signet-applier")
    async with connect() as cluster:
        with pytest.raises(ForbiddenError) as caught:
            await cluster.apply(CONFIG_MAP, body(namespace), identity=identity)
    assert caught.value.message == "RBAC does not allow it"


async def test_an_agent_that_may_not_read_service_accounts_says_what_rbac_said(connect, controlplane, namespace):
    controlplane.create_service_account(namespace, "agent")
    grant(controlplane, namespace, "agent", ["impersonate"], ["serviceaccounts"])
    async with connect(token=controlplane.service_account_token(namespace, "agent")) as cluster:
        with pytest.raises(ForbiddenError) as caught:
            await cluster.apply(CONFIG_MAP, body(namespace), identity=Identity(namespace, "signet-applier"))
    assert caught.value.message == "RBAC does not allow it"


async def test_groups_of_service_accounts_are_impersonated_too(cluster, controlplane, namespace):
    accounts = group(f"system:serviceaccounts:{namespace}")
    controlplane.bind(namespace, accounts, "ClusterRole", "cluster-admin")
    await cluster.apply(CONFIG_MAP, body(namespace), identity=Identity(namespace, "any"))


async def test_an_agent_that_may_not_impersonate_says_so(connect, controlplane, namespace):
    controlplane.create_service_account(namespace, "agent")
    token = controlplane.service_account_token(namespace, "agent")
    async with connect(token=token) as cluster:
        with pytest.raises(ForbiddenError) as caught:
            await cluster.apply(CONFIG_MAP, body(namespace), identity=Identity(namespace, "other"))
    assert caught.value.message == "the agent may not act as this ServiceAccount"


@pytest.mark.parametrize(
    "identity",
    [
        Identity("shop", "a\r\nImpersonate-Group: system:masters"),
        Identity("a:b", "c"),
        Identity("", "c"),
        Identity("shop", ""),
    ],
)
async def test_what_is_no_name_of_a_service_account_is_refused(identity, cluster):
    with pytest.raises(ObjectInvalidError):
        await cluster.apply(CONFIG_MAP, body("default"), identity=identity)
