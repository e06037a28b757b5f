"""An Application whose chart is in a registry, with values of a SOPS file of its own repository: a newer version rolls out without a commit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from agent.manifests import chart_dependencies
from testbed.registry import CHART, archive

if TYPE_CHECKING:
    from testbed.installation import Installation, Tenant
    from testbed.registry import Registry

SECRET = """\
apiVersion: v1
kind: Secret
metadata: {name: db}
data: {password: {{ .Values.auth.password | b64enc }}}
"""
SETTINGS = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {version: {{ .Chart.Version | quote }}}
"""


def packed(version: str) -> bytes:
    return archive(
        {
            "shop/Chart.yaml": f"apiVersion: v2\nname: shop\nversion: {version}\n",
            "shop/templates/db.yaml": SECRET,
            "shop/templates/settings.yaml": SETTINGS,
        }
    )


def test_a_chart_of_a_registry_is_applied_and_followed(
    installation: Installation, tenant: Tenant, registry: Registry
) -> None:
    hosts = [urlsplit(installation.gitserver.url).netloc]
    installation.configure(git={"allowedHosts": hosts}, oci={"allowedHosts": [registry.host]})
    installation.canaries["registry"] = registry.password
    try:
        tenant.put_secret("charts", {".dockerconfigjson": registry.docker_config(), "ca.crt": registry.ca_pem})
        repository = f"{tenant.namespace}/shop"
        registry.push(repository, packed("1.2.0"), "1.2.0", media_type=CHART)
        password = installation.canary("chart-of-registry")
        values = tenant.seal(f"auth:\n  password: {password}\n", "--encrypted-regex", "^password$")
        chart = {"oci": registry.url(repository), "version": "^1.2", "credentials": {"secretName": "charts"}}
        tenant.deploy({"values.yaml": values}, render={"helm": {"chart": chart, "valuesFiles": ["values.yaml"]}})
        assert (tenant.secret("db"), tenant.data("settings")) == ({"password": password}, {"version": "1.2.0"})

        registry.push(repository, packed("1.3.0"), "1.3.0", media_type=CHART)
        tenant.sync()
        tenant.until_ready()
        assert tenant.data("settings") == {"version": "1.3.0"}
        assert tenant.secret("db") == {"password": password}
    finally:
        installation.configure()


UMBRELLA = """\
apiVersion: v2
name: umbrella
version: 0.1.0
dependencies:
- {{name: shop, version: ^1.2, repository: '{repository}'}}
"""


def test_a_chart_of_the_source_gets_what_its_lock_names_from_the_registry(
    installation: Installation, tenant: Tenant, registry: Registry
) -> None:
    hosts = [urlsplit(installation.gitserver.url).netloc]
    installation.configure(git={"allowedHosts": hosts}, oci={"allowedHosts": [registry.host]})
    installation.canaries["registry"] = registry.password
    try:
        tenant.put_secret("charts", {".dockerconfigjson": registry.docker_config(), "ca.crt": registry.ca_pem})
        for version in ("1.2.0", "1.3.0"):
            registry.push(f"{tenant.namespace}/shop", packed(version), version, media_type=CHART)
        repository = registry.url(tenant.namespace)
        wanted = {"name": "shop", "version": "^1.2", "repository": repository}
        digest = chart_dependencies.digest([wanted], [{**wanted, "version": "1.2.0"}])
        password = installation.canary("chart-of-lock")
        files = {
            "chart/Chart.yaml": UMBRELLA.format(repository=repository),
            "chart/Chart.lock": json.dumps({"dependencies": [{**wanted, "version": "1.2.0"}], "digest": digest}),
            "values.yaml": tenant.seal(
                f"shop:\n  auth:\n    password: {password}\n", "--encrypted-regex", "^password$"
            ),
        }
        logins = [{"url": repository, "credentials": {"secretName": "charts"}}]
        helm = {"chart": {"path": "chart"}, "valuesFiles": ["values.yaml"], "dependencies": logins}
        tenant.deploy(files, render={"helm": helm})
        assert (tenant.secret("db"), tenant.data("settings")) == ({"password": password}, {"version": "1.2.0"})
    finally:
        installation.configure()
