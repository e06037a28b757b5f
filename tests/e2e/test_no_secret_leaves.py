"""Everything that the agent emitted in all these tests is searched for every secret that they knew."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from manifests_written import config_map, deployment, secret

from testbed.canary import Canaries, ProcessWatch

if TYPE_CHECKING:
    from testbed.installation import Installation, Tenant

HOLD_SECRETS = ("vault-token", "kubeconfig")
"""Files that the tests gave the agent."""

GROUP = "canaries.example.com"
ACCOUNTS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"accounts.{GROUP}"},
    "spec": {
        "group": GROUP,
        "names": {"kind": "Account", "plural": "accounts", "singular": "account"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {
                                    "password": {"type": "string", "pattern": "^never$"},
                                    "pin": {"type": "integer"},
                                },
                            }
                        },
                    }
                },
            }
        ],
    },
}
"""A kind whose refusals quote values: a pattern's with 422, a type's with 500."""


def test_secrets_stand_in_secrets_and_nowhere_else(installation: Installation, tenant: Tenant):
    agent = installation.agent
    sealed, stored, wrong, patterned, typed = (
        installation.canary(name) for name in ("sealed", "stored", "wrong", "patterned", "typed")
    )
    _serve_accounts(installation, tenant)
    vault = f"vault://main/{installation.mount}/apps/{tenant.namespace}#password"
    installation.openbao.put(f"apps/{tenant.namespace}", {"password": stored}, mount=installation.mount)
    uses = [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "stored", "key": "password"}}}]
    _ = tenant.commit(
        {
            "sealed.yaml": tenant.seal(secret("sealed", password=sealed)),
            "stored.yaml": secret("stored", password=vault),
            "web.yaml": deployment("web", env=uses),
            "sink.yaml": tenant.seal(config_map("sink", value=wrong), "--encrypted-regex", "^data$"),
            "patterned.yaml": tenant.seal(_account("patterned", password=patterned), "--encrypted-regex", "^spec$"),
            "typed.yaml": tenant.seal(_account("typed", pin=typed), "--encrypted-regex", "^spec$"),
        }
    )
    assert agent.process is not None
    with ProcessWatch(agent.process.pid) as watch:
        tenant.configure()
        account = f"Account.{GROUP} {tenant.namespace}"
        for field, wanted in {
            "spec.password": {"object": f"{account}/patterned", "reason": "ObjectInvalid"},
            "spec.pin": {"object": f"{account}/typed", "reason": "ObjectInvalid"},
            "data.value": {"object": f"ConfigMap {tenant.namespace}/sink", "reason": "Sink"},
        }.items():
            assert tenant.until_failure(**wanted)["field"] == field
        assert tenant.secret("sealed") == {"password": sealed}
        tenant.controlplane.merge(tenant.path("secrets", "stored"), {"data": {"password": "aGFja2Vk"}})
        tenant.until(lambda _: tenant.secret("stored") == {"password": stored}, "healed")

    canaries = Canaries(installation.canaries)
    found = watch.search(canaries) + canaries.search_process(agent.process.pid)
    found += canaries.search_text(agent.metrics(), "metrics")
    found += canaries.search_cluster(installation.controlplane)
    found += canaries.search_tree(installation.statuses, "statuses of Applications that are gone")
    agent.stop()
    found += canaries.search_text(agent.logs(), "logs")
    found += canaries.search_files(agent.folder, agent.memory, ignore=HOLD_SECRETS)

    assert not found, [str(finding) for finding in found]
    assert watch.processes > 1, "git was seen at work"
    assert canaries.searched.texts > 200, "there was something to search"
    assert canaries.searched.bytes > 100_000


def _account(name: str, **spec: str) -> str:
    return json.dumps({"apiVersion": f"{GROUP}/v1", "kind": "Account", "metadata": {"name": name}, "spec": spec})


def _serve_accounts(installation: Installation, tenant: Tenant) -> None:
    """Install the kind, let the tenant's applier write it, and let secrets stand in it."""
    controlplane = installation.controlplane
    _ = controlplane.apply(ACCOUNTS)
    controlplane.kubectl("wait", "--for=condition=Established", f"crd/accounts.{GROUP}", "--timeout=30s")
    rule = {"apiGroups": [GROUP], "resources": ["accounts"], "verbs": ["*"]}
    controlplane.grant(tenant.namespace, tenant.account, rule, name="accounts")
    fields = [{"group": GROUP, "kind": "Account", "path": f"spec.{field}"} for field in ("password", "pin")]
    installation.configure(sinks={"customResources": fields})
