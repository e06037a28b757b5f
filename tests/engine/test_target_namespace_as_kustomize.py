"""`spec.targetNamespace` on manifests gives what kustomize's namespace transformer gives: the same files, once as a layer and once as an overlay."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from memory_world import sources
from whole_runs import manifests as m
from whole_runs.installation import Installation

from agent.values.tree import get_object

if TYPE_CHECKING:
    from agent.adapters.render.pool import Renderers

RBAC = "rbac.authorization.k8s.io"
OPERATOR = m.operator(destinations=[{"applicationNamespace": "shop", "namespaces": ["shop-dev"]}])


def binding(kind: str, *subjects: dict[str, str]) -> str:
    role = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "view"}
    return m.other(kind, "b", f"{RBAC}/v1", roleRef=role, subjects=[*subjects])


def account(name: str, namespace: str = "") -> str:
    tree = json.loads(m.other("ServiceAccount", name))
    return json.dumps({**tree, "metadata": {**tree["metadata"], **({"namespace": namespace} if namespace else {})}})


def subject(name: str, namespace: str = "", kind: str = "ServiceAccount") -> dict[str, str]:
    return {"kind": kind, "name": name, **({"namespace": namespace} if namespace else {})}


def webhook(namespace: str) -> str:
    config = {"service": {"name": "hook", "namespace": namespace, "path": "/"}}
    hook = {"name": "a.example.com", "clientConfig": config, "sideEffects": "None", "admissionReviewVersions": ["v1"]}
    return m.other("ValidatingWebhookConfiguration", "v", "admissionregistration.k8s.io/v1", webhooks=[hook])


SERVICE = m.other("Service", "hook", spec={"ports": [{"port": 443}]})
CASES = {
    "an object with a namespace and one without": [m.config(), account("x", "elsewhere")],
    "a Namespace": [m.other("Namespace", "shop-base"), m.config()],
    "an account of the commit": [account("a", "base"), binding("RoleBinding", subject("a", "base"))],
    "an account without a namespace": [account("a"), binding("ClusterRoleBinding", subject("a", "default"))],
    "a subject without a namespace": [account("a"), binding("RoleBinding", subject("a"))],
    "an account of others": [
        account("a", "base"),
        binding("RoleBinding", subject("a", "monitoring"), subject("z", "base")),
    ],
    "the default account": [binding("ClusterRoleBinding", subject("default", "base"))],
    "a user and a group": [binding("RoleBinding", subject("u", kind="User"), subject("g", kind="Group")), account("a")],
    "a webhook of a Service of the commit": [
        SERVICE.replace('"hook"', '"hook", "namespace": "base"', 1),
        webhook("base"),
    ],
    "a webhook of another Service": [webhook("base")],
    "an APIService": [
        m.other(
            "APIService",
            "v1.metrics.example.com",
            "apiregistration.k8s.io/v1",
            spec={"service": {"name": "x", "namespace": "base"}, "group": "metrics.example.com", "version": "v1"},
        )
    ],
}


@pytest.mark.parametrize("case", CASES)
async def test_a_layer_becomes_what_an_overlay_becomes(case: str, renderers: Renderers) -> None:
    files = {f"x/{number}.yaml": text for number, text in enumerate(CASES[case])}
    overlay = "resources: [" + ", ".join(name.removeprefix("x/") for name in files) + "]\n"

    async def applied(files: dict[str, str], **spec: object) -> dict[str, object]:
        world = Installation(files=files, operator=OPERATOR, targetNamespace="shop-dev", **spec)
        world.server.create(m.namespace("shop-dev"), "installer")
        world.renderers = sources.Renderers(renderers)
        ran = await world.run()
        assert ran.problems == []
        found = {key.key: world.server.get(key) for key in world.server.objects}
        return {
            key: {
                **{of: tree[of] for of in tree if of not in {"metadata", "status"}},
                "at": get_object(tree, "metadata").get("namespace"),
            }
            for key, tree in found.items()
            if tree is not None and get_object(tree, "metadata", "labels").get("signet-gitops.dev/installation")
        }

    layer = await applied(files)
    assert layer == await applied({**files, "x/kustomization.yaml": overlay}, render={"kustomize": {"path": "x"}})
    assert layer
