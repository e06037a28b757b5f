"""An Application whose chart is in a registry, with values of a SOPS file of its own repository: a newer version rolls out without a commit."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

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
