"""An Application that renders a chart of its repository, with values of a SOPS file and of OpenBao, against real servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testbed.installation import Installation, Tenant

CHART = "apiVersion: v2\nname: shop\nversion: 1.0.0\n"
SECRET = """\
apiVersion: v1
kind: Secret
metadata: {name: {{ .Release.Name }}-db, namespace: {{ .Release.Namespace }}}
data:
  password: {{ required "a password" .Values.auth.password | b64enc | quote }}
  url: {{ printf "postgres://%s:%s@db" (.Values.auth.user | default "shop") .Values.auth.token | b64enc }}
"""
SETTINGS = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
  annotations: {checksum/secret: {{ include (print $.Template.BasePath "/db.yaml") . | sha256sum }}}
data:
  kubernetes: {{ .Capabilities.KubeVersion.Version }}
  apps: {{ .Capabilities.APIVersions.Has "apps/v1/Deployment" | quote }}
"""


def test_a_chart_with_values_of_sops_and_openbao_is_applied_and_rotated(installation: Installation, tenant: Tenant):
    first, second, token, newer = (installation.canary(f"chart-{name}") for name in ("a", "b", "token", "newer"))
    path = f"apps/{tenant.namespace}-chart"
    installation.openbao.put(path, {"token": token}, mount=installation.mount)
    files = {
        "chart/Chart.yaml": CHART,
        "chart/values.yaml": "auth: {user: web}\n",
        "chart/templates/db.yaml": SECRET,
        "chart/templates/settings.yaml": SETTINGS,
        "secrets.yaml": sealed(tenant, first),
    }
    helm = {
        "chart": {"path": "chart"},
        "releaseName": "prod",
        "valuesFiles": ["secrets.yaml"],
        "values": {"auth": {"token": f"vault://main/{installation.mount}/{path}#token"}},
    }
    tenant.deploy(files, render={"helm": helm})
    assert tenant.secret("prod-db") == {"password": first, "url": f"postgres://web:{token}@db"}
    settings = tenant.data("settings")
    assert (settings["kubernetes"][:3], settings["apps"]) == ("v1.", "true")

    report = tenant.sync({"chart/templates/bad.yaml": '{{ fail "no" }}'})
    assert report.failure(reason="Chart")["hint"]
    tenant.sync({"chart/templates/bad.yaml": "", "secrets.yaml": sealed(tenant, second)})
    tenant.until_ready()
    assert tenant.secret("prod-db")["password"] == second
    installation.openbao.put(path, {"token": newer}, mount=installation.mount)
    tenant.until(lambda _: tenant.secret("prod-db")["url"] == f"postgres://web:{newer}@db", "the new token")


def sealed(tenant: Tenant, password: str) -> str:
    return tenant.seal(f"auth:\n  password: {password}\n", "--encrypted-regex", "^password$")
