"""Passwords and certificates that a chart makes up, against a real API server, which the tenant's ServiceAccount reads them from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from agent.api import names
from testbed.controlplane import ControlPlane
from testbed.installation import Installation
from testbed.processes import wait_until

if TYPE_CHECKING:
    from testbed.gitserver import GitServer
    from testbed.installation import Tenant
    from testbed.openbao import OpenBao

CHART = "apiVersion: v2\nname: shop\nversion: 1.0.0\n"
SECRETS = """\
{{- $password := randAlphaNum 24 }}
apiVersion: v1
kind: Secret
metadata: {name: database}
data: {password: {{ $password | b64enc }}}
---
apiVersion: v1
kind: Secret
metadata: {name: kept}
data: {password: {{ randAlphaNum 24 | b64enc }}}
---
apiVersion: v1
kind: Secret
metadata: {name: url}
stringData:
  url: postgres://shop:{{ $password }}@db/{{ .Values.database }}
  token: {{ .Values.token }}
"""
CERTIFICATES = """\
{{- $ca := genCA "shop-ca" 365 }}
{{- $cert := genSignedCert "web" nil (list "web.shop.svc") 90 $ca }}
apiVersion: v1
kind: Secret
metadata: {name: web-tls}
type: kubernetes.io/tls
data: {tls.crt: {{ $cert.Cert | b64enc }}, tls.key: {{ $cert.Key | b64enc }}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: web-ca}
data: {ca.crt: {{ $ca.Cert | quote }}}
"""

DAY = 24 * 60 * 60


def belonging(tls: dict[str, str], ca: dict[str, str]) -> tuple[x509.Certificate, x509.Certificate]:
    """A certificate and its CA; its key is its own, and the CA signed it."""
    certificate, issuer = (x509.load_pem_x509_certificate(each.encode()) for each in (tls["tls.crt"], ca["ca.crt"]))
    certificate.verify_directly_issued_by(issuer)
    key = serialization.load_pem_private_key(tls["tls.key"].encode(), None)
    assert key.public_key() == certificate.public_key()
    return certificate, issuer


def test_what_a_chart_makes_up_is_made_once_and_made_again_when_that_is_confirmed(
    installation: Installation, tenant: Tenant
):
    path = f"apps/{tenant.namespace}-made"
    token, kept = installation.canary("made-token"), installation.canary("made-kept")
    installation.openbao.put(path, {"token": token}, mount=installation.mount)
    tenant.put_secret("kept", {"password": kept})
    files = {
        "chart/Chart.yaml": CHART,
        "chart/values.yaml": "database: shop\n",
        "chart/templates/secrets.yaml": SECRETS,
        "chart/templates/certificates.yaml": CERTIFICATES,
    }
    helm = {"chart": {"path": "chart"}, "values": {"token": f"vault://main/{installation.mount}/{path}#token"}}
    tenant.deploy(files, render={"helm": helm})
    password, tls, ca = tenant.secret("database")["password"], tenant.secret("web-tls"), tenant.data("web-ca")
    installation.canaries["made-password"] = password
    installation.canaries["made-key"] = tls["tls.key"].splitlines()[3]
    assert tenant.secret("kept") == {"password": kept}
    assert tenant.secret("url") == {"url": f"postgres://shop:{password}@db/shop", "token": token}
    belonging(tls, ca)

    tenant.sync({"chart/values.yaml": "database: other\n", "chart/templates/a.yaml": "{{ $x := uuidv4 }}"})
    tenant.until_ready()
    assert tenant.secret("url")["url"] == f"postgres://shop:{password}@db/other"
    assert (tenant.secret("database")["password"], tenant.secret("web-tls"), tenant.data("web-ca")) == (
        password,
        tls,
        ca,
    )

    _ = installation.controlplane.request("DELETE", tenant.path("secrets", "database"))
    failure = tenant.until_failure(reason="GeneratedValueLost")
    assert tenant.get("secrets", "database") is None
    word = failure["message"].partition("confirm ")[2].rstrip(")")
    tenant.configure(annotations={names.ANNOTATION_CONFIRM_NEW_VALUES: word}, render={"helm": helm})
    tenant.until_ready()
    new = tenant.secret("database")["password"]
    installation.canaries["made-again"] = new
    assert new != password
    assert tenant.secret("url")["url"] == f"postgres://shop:{new}@db/other"


def test_a_certificate_is_renewed_with_its_key_and_its_ca_at_two_thirds_of_its_life(
    gitserver: GitServer, openbao: OpenBao
):
    with ControlPlane() as controlplane, Installation(controlplane, gitserver, openbao) as installation:
        installation.start()
        tenant = installation.tenant()
        files = {"chart/Chart.yaml": CHART, "chart/templates/certificates.yaml": CERTIFICATES}
        tenant.deploy(files, render={"helm": {"chart": {"path": "chart"}}})
        before = tenant.secret("web-tls"), tenant.data("web-ca")
        restart_later(installation, 59 * DAY)
        tenant.sync()
        assert (tenant.secret("web-tls"), tenant.data("web-ca")) == before

        restart_later(installation, 61 * DAY)
        wait_until(lambda: tenant.secret("web-tls") != before[0], 60, "a renewed certificate")
        tenant.sync()
        tenant.until_ready()
        after = tenant.secret("web-tls"), tenant.data("web-ca")
        certificate, issuer = belonging(*after)
        assert (certificate.not_valid_after_utc - belonging(*before)[0].not_valid_after_utc).days in {60, 61}
        assert issuer.public_key() != belonging(*before)[1].public_key()
        assert after[0]["tls.key"] != before[0]["tls.key"]
        restart_later(installation, 61 * DAY)
        tenant.sync()
        assert (tenant.secret("web-tls"), tenant.data("web-ca")) == after


def restart_later(installation: Installation, seconds: int) -> None:
    """Start the agent again, with a clock that is ahead."""
    installation.agent.stop()
    installation.agent.clock = seconds
    installation.agent.start()
