"""A field that only a new object can change: told, and the object replaced only where its author says so."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from manifests_written import config_map, deployment

if TYPE_CHECKING:
    from testbed.installation import Tenant

REPLACE = {"signet-gitops.dev/replace": "true"}


def _annotated(manifest: str, annotations: dict[str, str]) -> str:
    tree = json.loads(manifest)
    tree["metadata"]["annotations"] = annotations
    return json.dumps(tree)


def test_an_immutable_field_is_told_and_the_object_replaced_by_its_authors_word(tenant: Tenant):
    tenant.deploy({"web.yaml": deployment("web", app="one"), "a.yaml": config_map("a", value="1")})
    before = (tenant.get("apps/deployments", "web") or {})["metadata"]["uid"]

    report = tenant.sync({"web.yaml": deployment("web", app="two"), "a.yaml": config_map("a", value="2")})

    failure = report.failure(object=f"Deployment.apps {tenant.namespace}/web", reason="ImmutableField")
    assert failure["field"] == "spec.selector"
    assert "signet-gitops.dev/replace" in failure["hint"]
    assert (tenant.get("apps/deployments", "web") or {})["metadata"]["uid"] == before
    assert tenant.data("a") == {"value": "2"}

    assert tenant.sync({"web.yaml": _annotated(deployment("web", app="two"), REPLACE)}).ready
    live = tenant.get("apps/deployments", "web") or {}
    assert live["metadata"]["uid"] != before
    assert live["spec"]["selector"]["matchLabels"] == {"app": "two"}
    assert any(record.get("action") == "replace" for record in tenant.installation.agent.audit())
