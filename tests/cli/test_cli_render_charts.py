"""`agent render` of a chart: as in the cluster, without a key, and with keys where they are asked for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from render import build

if TYPE_CHECKING:
    from conftest import Shell

CANARY = "canary-of-charts-4711"
APPLICATION = """
apiVersion: signet-gitops.dev/v1alpha1
kind: Application
metadata: {name: web, namespace: shop}
spec:
  source: {url: 'https://git.example.com/shop.git', revision: {branch: main}}
  render:
    helm:
      chart: {path: charts/shop}
      valuesFiles: ['secrets://secrets.prod.yaml']
      values: {token: 'vault://main/kv/a#b'}
"""
TEMPLATE = """\
apiVersion: v1
kind: Secret
metadata: {name: {{ .Release.Name }}-db, namespace: {{ .Release.Namespace }}}
stringData:
  password: {{ .Values.auth.password | quote }}
  url: {{ printf "http://u:%s@h" .Values.auth.password }}
  token: {{ .Values.token }}
  {{- if hasPrefix "x" .Values.auth.password }}
  more: x
  {{- end }}
"""


@pytest.fixture
def tree(shell: Shell) -> Shell:
    _ = build.built()
    shell.write("charts/shop/Chart.yaml", "apiVersion: v2\nname: shop\nversion: 1.0.0\n")
    shell.write("charts/shop/values.yaml", "token: none\n")
    shell.write("charts/shop/templates/db.yaml", TEMPLATE)
    seal(shell, CANARY)
    shell.write("application.yaml", APPLICATION)
    return shell


def seal(shell: Shell, password: str) -> None:
    regex, name = ("--encrypted-regex", "^password$"), "secrets.prod.yaml"
    text = f"auth:\n  password: {password}\n".encode()
    made = shell.agent("encrypt", "--age", shell.recipient, *regex, "--filename-override", name, stdin=text)
    assert made.code == 0, made.err
    shell.write(name, made.out.decode())


def rendered(shell: Shell, *arguments: str) -> dict[str, Any]:
    result = shell.agent("render", "-o", "json", *arguments)
    assert result.code == 0, result.err
    assert CANARY not in result.err
    (item,) = json.loads(result.out)["items"]
    return item


def test_no_key_is_needed_and_no_value_is_shown(tree: Shell) -> None:
    tree.env("SOPS_AGE_KEY", None)
    found = rendered(tree, "-f", "application.yaml")
    assert found["metadata"] == {"name": "web-db", "namespace": "shop"}
    label = "<secret sops:secrets.prod.yaml#auth.password>"
    assert found["stringData"] == {"password": label, "url": label, "token": "vault://main/kv/a#b"}


def test_keys_verify_and_reveal_what_was_made(tree: Shell) -> None:
    assert CANARY not in json.dumps(rendered(tree, "-f", "application.yaml", "--verify"))
    found = rendered(tree, "-f", "application.yaml", "--reveal", "--force")
    assert found["stringData"] == {
        "password": CANARY,
        "url": f"http://u:{CANARY}@h",
        "token": "vault://main/kv/a#b",
    }


def test_verify_asks_what_the_chart_asked(tree: Shell) -> None:
    seal(tree, f"x-{CANARY}")
    assert tree.agent("render", "-f", "application.yaml").code == 0
    result = tree.agent("render", "-f", "application.yaml", "--verify")
    assert (result.code, result.out) == (1, b"")
    assert "as if its sealed values were others" in result.err
    assert "charts/shop/templates/db.yaml:8" in result.err
    assert CANARY not in result.err


def test_a_folder_is_rendered_without_an_application(tree: Shell) -> None:
    found = rendered(tree, "--helm", "charts/shop", "--values", "secrets.prod.yaml", "--release", "prod", "-n", "shop")
    assert (found["metadata"]["name"], found["stringData"]["token"]) == (
        "prod-db",
        "<secret git:Secret shop/prod-db#stringData.token>",
    )
    for arguments, says in (
        (("--values", "a.yaml"), "--values and --release need --helm"),
        (("--helm", "charts/shop", "--kustomize", "prod"), "exclude one another"),
        (("--helm", "../charts"), "not a folder of the repository"),
        (("--helm", "charts/shop", "-f", "application.yaml"), "the Application says what is rendered"),
    ):
        result = tree.agent("render", *arguments)
        assert result.code == 2
        assert says in result.err


def test_a_chart_of_a_server_is_not_fetched_here(tree: Shell) -> None:
    chart = "{oci: 'oci://registry.example.com/charts/shop', version: 1.0.0}"
    tree.write("application.yaml", APPLICATION.replace("{path: charts/shop}", chart))
    done = tree.agent("render", "-f", "application.yaml")
    assert done.code != 0
    assert "commands on a work tree fetch no charts" in done.err
    assert "oci://registry.example.com/charts/shop" in done.err


MADE = """\
{{- $made := randAlphaNum 16 }}{{ $ca := genCA "shop" 30 }}
apiVersion: v1
kind: Secret
metadata: {name: {{ .Release.Name }}-db, namespace: {{ .Release.Namespace }}}
data: {password: {{ $made | b64enc }}, key: {{ $ca.Key | b64enc }}}
stringData: {url: "http://u:{{ $made }}@h", sealed: "{{ .Values.auth.password }}"}
"""


def test_what_a_chart_makes_up_is_shown_as_a_mark_and_never_made(tree: Shell) -> None:
    tree.write("charts/shop/templates/db.yaml", MADE)
    for flags in ([], ["--verify"], ["--reveal", "--force"]):
        found = rendered(tree, "-f", "application.yaml", *flags)
        label = "<secret generated:Secret shop/web-db#data.password>"
        key = "<secret generated:Secret shop/web-db#data.key>"
        assert (found["data"], found["stringData"]["url"]) == ({"password": label, "key": key}, label)


def test_a_certificate_stands_where_no_secret_may(tree: Shell) -> None:
    made = (
        '{{- $ca := genCA "shop" 30 }}\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: ca}\n'
        "data: {ca.crt: {{ $ca.Cert | quote }}, encoded: {{ $ca.Cert | b64enc }}}\n"
    )
    tree.write("charts/shop/templates/db.yaml", made)
    for flags in ([], ["--verify"]):
        label = "<secret generated:ConfigMap ca#data.encoded>"
        assert set(rendered(tree, "-f", "application.yaml", *flags)["data"].values()) == {label}
