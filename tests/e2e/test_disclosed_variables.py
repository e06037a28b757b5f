"""A sealed variable becomes clear text where Application and operator both say so, on real servers, and the trail says that it did."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from manifests_written import config_map, secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.installation import Installation, Tenant


@pytest.fixture
def granted(installation: Installation, tenant: Tenant) -> Iterator[dict[str, object]]:
    """The grant to add to the operator's file, which is as before when the test ends."""
    yield {"disclosures": [{"applicationNamespace": tenant.namespace, "variables": ["DOMAIN"]}]}
    installation.configure()


def test_a_variable_is_disclosed_by_two_consents_and_the_trail_names_it(
    installation: Installation, tenant: Tenant, granted: dict[str, object]
) -> None:
    domain, password = f"{tenant.namespace}.example.com", installation.canary("undisclosed")
    files = {
        "app/web.yaml": config_map("web", url="https://${DOMAIN}"),
        "app/db.yaml": secret("db", login="${PASSWORD} at ${DOMAIN}"),
        "vars.yaml": tenant.seal(f"DOMAIN: {domain}\nPASSWORD: {password}\n", "--encrypted-regex", "."),
    }
    tenant.commit(files)
    tenant.configure(source=tenant.source("app"), substitute={"files": ["vars.yaml"], "disclose": ["DOMAIN"]})
    failure = tenant.until_failure(reason="Sink", object=f"ConfigMap {tenant.namespace}/web")
    assert "spec.substitute.disclose" in failure["hint"]
    assert tenant.secret("db") == {"login": f"{password} at {domain}"}
    assert tenant.data("web") == {}
    uid = installation.controlplane.get(tenant.application.path)["metadata"]["uid"]

    def disclosed() -> list[dict[str, object]]:
        trail = installation.agent.audit()
        return [each for each in trail if each.get("action") == "disclose" and uid in str(each)]

    assert disclosed() == []
    installation.configure(**granted)
    tenant.until_ready()
    assert tenant.data("web") == {"url": f"https://{domain}"}
    [entry] = disclosed()
    assert "vars.yaml#DOMAIN" in str(entry)
    assert domain not in str(entry)
